"""dcdp: multimodal human-activity recognition that uses every sensor.

The names of `dcdp.api` are here too; they are loaded when first asked for, since they need torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcdp.api import (
        RunConfig,
        RunRequest,
        cut_windows,
        default_config,
        evaluate,
        evaluate_run,
        extract_features,
        fit,
        load,
        load_bundle,
        make_folds,
        override,
        predict_file,
        train_run,
    )

__version__ = "0.1.0"

__all__ = [
    "RunConfig",
    "RunRequest",
    "cut_windows",
    "default_config",
    "evaluate",
    "evaluate_run",
    "extract_features",
    "fit",
    "load",
    "load_bundle",
    "make_folds",
    "override",
    "predict_file",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'dcdp' has no attribute '{name}'")
    from dcdp import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
