"""Evaluation: figures by subject first, what each branch is worth, and the result file."""

from dcdp.evaluation.alignment import alignment_table, linear_cka, retrieval
from dcdp.evaluation.balance import Subset, non_empty_subsets, shapley_shares, shapley_values, utilisation_gap
from dcdp.evaluation.by_subject import Scores, pool_folds, score, score_branches, subject_macro_f1
from dcdp.evaluation.calibration import fit_temperature, negative_log_likelihood
from dcdp.evaluation.metrics import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    expected_calibration_error,
    macro_f1,
    per_class_f1,
    reliability_table,
    weighted_f1,
)
from dcdp.evaluation.results import FORMAT, assemble_result, environment, read_result, write_result
from dcdp.evaluation.robustness import absent_table
from dcdp.evaluation.schema import check_result
from dcdp.evaluation.statistics import Comparison, compare

__all__ = [
    "FORMAT",
    "Comparison",
    "Scores",
    "Subset",
    "absent_table",
    "accuracy",
    "alignment_table",
    "assemble_result",
    "balanced_accuracy",
    "check_result",
    "compare",
    "confusion_matrix",
    "environment",
    "expected_calibration_error",
    "fit_temperature",
    "linear_cka",
    "macro_f1",
    "negative_log_likelihood",
    "non_empty_subsets",
    "per_class_f1",
    "pool_folds",
    "read_result",
    "reliability_table",
    "retrieval",
    "score",
    "score_branches",
    "shapley_shares",
    "shapley_values",
    "subject_macro_f1",
    "utilisation_gap",
    "weighted_f1",
    "write_result",
]
