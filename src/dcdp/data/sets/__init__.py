"""Data sets, one file each."""

from dcdp.data.sets.dsads import DSADS
from dcdp.data.sets.hapt import HAPT
from dcdp.data.sets.uschad import USCHAD

__all__ = ["DSADS", "HAPT", "USCHAD"]
