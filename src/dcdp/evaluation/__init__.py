"""Evaluation: figures by subject first, what each branch is worth, and the result file."""

from dcdp.evaluation.alignment import alignment_table, linear_cka, retrieval
from dcdp.evaluation.balance import (
    Subset,
    head_losses,
    non_empty_subsets,
    shapley_shares,
    shapley_values,
    utilisation_gap,
)
from dcdp.evaluation.by_subject import (
    Scores,
    macro_f1_by_subject,
    pool_folds,
    score,
    score_branches,
    subject_macro_f1,
)
from dcdp.evaluation.calibration import UNMEASURED_TEMPERATURE, fit_temperature, negative_log_likelihood
from dcdp.evaluation.comparable import check_comparable, check_one_split
from dcdp.evaluation.endurance import AbsenceVerdict, Endurance, absence_verdicts, endurance_of
from dcdp.evaluation.method_results import MethodResult, find_results, read_method_results, unique_results, with_absent
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
from dcdp.evaluation.published import PUBLISHED, Published
from dcdp.evaluation.ranking import Ranking, critical_difference, rank_methods
from dcdp.evaluation.results import FORMAT, assemble_result, environment, read_result, write_result
from dcdp.evaluation.robustness import CLEAN, absent_table, pool_robustness, score_robustness_point
from dcdp.evaluation.schema import check_result
from dcdp.evaluation.standings import Overall, Row, Standing, overall, standings
from dcdp.evaluation.statistics import Comparison, bootstrap_interval, compare, holm, smallest_p

__all__ = [
    "CLEAN",
    "FORMAT",
    "PUBLISHED",
    "UNMEASURED_TEMPERATURE",
    "AbsenceVerdict",
    "Comparison",
    "Endurance",
    "MethodResult",
    "Overall",
    "Published",
    "Ranking",
    "Row",
    "Scores",
    "Standing",
    "Subset",
    "absence_verdicts",
    "absent_table",
    "accuracy",
    "alignment_table",
    "assemble_result",
    "balanced_accuracy",
    "bootstrap_interval",
    "check_comparable",
    "check_one_split",
    "check_result",
    "compare",
    "confusion_matrix",
    "critical_difference",
    "endurance_of",
    "environment",
    "expected_calibration_error",
    "find_results",
    "fit_temperature",
    "head_losses",
    "holm",
    "linear_cka",
    "macro_f1",
    "macro_f1_by_subject",
    "negative_log_likelihood",
    "non_empty_subsets",
    "overall",
    "per_class_f1",
    "pool_folds",
    "pool_robustness",
    "rank_methods",
    "read_method_results",
    "read_result",
    "reliability_table",
    "retrieval",
    "score",
    "score_branches",
    "score_robustness_point",
    "shapley_shares",
    "shapley_values",
    "smallest_p",
    "standings",
    "subject_macro_f1",
    "unique_results",
    "utilisation_gap",
    "weighted_f1",
    "with_absent",
    "write_result",
]
