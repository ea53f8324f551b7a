"""Data sets, their stores and their checks."""

from dcdp.data.declaration import DataSet
from dcdp.data.index import RecordingEntry
from dcdp.data.quality import Finding, check_store, require_trainable
from dcdp.data.registry import get_set, list_sets, open_set
from dcdp.data.store import Store, memory_store

__all__ = [
    "DataSet",
    "Finding",
    "RecordingEntry",
    "Store",
    "check_store",
    "get_set",
    "list_sets",
    "memory_store",
    "open_set",
    "require_trainable",
]
