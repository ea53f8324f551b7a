"""Data sets, one file each."""

from dcdp.data.sets.dsads import DSADS
from dcdp.data.sets.hapt import HAPT
from dcdp.data.sets.hugadb import HUGADB
from dcdp.data.sets.mhealth import MHEALTH
from dcdp.data.sets.motionsense import MOTIONSENSE
from dcdp.data.sets.opportunity import OPPORTUNITY_GESTURES, OPPORTUNITY_LOCOMOTION
from dcdp.data.sets.pamap2 import PAMAP2
from dcdp.data.sets.realworld import REALWORLD
from dcdp.data.sets.shoaib import SHOAIB
from dcdp.data.sets.ucihar import UCIHAR
from dcdp.data.sets.uschad import USCHAD
from dcdp.data.sets.wisdm import WISDM

__all__ = [
    "DSADS",
    "HAPT",
    "HUGADB",
    "MHEALTH",
    "MOTIONSENSE",
    "OPPORTUNITY_GESTURES",
    "OPPORTUNITY_LOCOMOTION",
    "PAMAP2",
    "REALWORLD",
    "SHOAIB",
    "UCIHAR",
    "USCHAD",
    "WISDM",
]
