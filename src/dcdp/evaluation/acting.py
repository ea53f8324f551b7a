"""Which settings can act on a method: what must agree between results that are taken for one."""

from __future__ import annotations

__all__ = ["HIDDEN_RECIPE", "OURS", "reads_setting"]

OURS = "dcdp"
"""The name of our own network with its default configuration."""
HIDDEN_RECIPE = "hidden"
"""``NAME@hidden`` is a deep peer by our recipe from which whole branches are hidden too."""

# The peers' registry stands on PyTorch, and results are compared without it: a test holds the two together.
_CLASSICAL = ("forest", "forest_extended", "lightgbm", "minirocket")
_READ_BY_CLASSICAL = ("windows.", "body.", "network.branch_by", "training.normaliser_windows")
_OF_OUR_RECIPE = (
    "augment.", "objective.label_smoothing", "training.average", "training.clip_norm", "training.learning_rate",
    "training.optimizer", "training.warmup", "training.weight_decay",
)  # fmt: skip


def reads_setting(base: str, key: str) -> bool:
    """Return whether a setting such as ``training.epochs`` can change what a method learns.

    Parameters
    ----------
    base
        ``dcdp``, or a peer with or without a recipe (``tinyhar@ours``).

    Examples
    --------
    >>> [reads_setting(base, "training.epochs") for base in ("dcdp", "tinyhar", "forest")]
    [True, True, False]
    >>> [reads_setting(base, "augment.vigour") for base in ("tinyhar", "tinyhar@ours", "forest@ours")]
    [False, True, True]
    >>> [reads_setting(base, "network.branch_dropout") for base in ("tinyhar@ours", "tinyhar@hidden")]
    [False, True]
    """
    if base == OURS:
        return True
    plain, _, recipe = base.partition("@")
    if plain in _CLASSICAL:
        return key.startswith(_READ_BY_CLASSICAL) or (recipe != "" and key.startswith("augment."))
    if key.startswith(_OF_OUR_RECIPE):
        return recipe != ""
    if key == "network.branch_dropout":
        return recipe == HIDDEN_RECIPE
    return key == "network.branch_by" or not key.startswith(("network.", "modulation.", "objective."))
