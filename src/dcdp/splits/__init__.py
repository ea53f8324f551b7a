"""Split by subject, never by window, and prove that nothing leaks."""

from dcdp.splits.copies import drop_copies
from dcdp.splits.folds import arena, group_k_fold, hold_out, inner_folds, leave_one_subject_out, official
from dcdp.splits.leaks import leak_audit, require_classes, require_no_leak
from dcdp.splits.registry import list_splits, make_folds, select_folds, split_name
from dcdp.splits.split import Session, Split

__all__ = [
    "Session",
    "Split",
    "arena",
    "drop_copies",
    "group_k_fold",
    "hold_out",
    "inner_folds",
    "leak_audit",
    "leave_one_subject_out",
    "list_splits",
    "make_folds",
    "official",
    "require_classes",
    "require_no_leak",
    "select_folds",
    "split_name",
]
