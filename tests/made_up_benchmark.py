"""A made-up benchmark: one small result for each set, method and seed, in the layout of `dcdp benchmark`."""

import json
from pathlib import Path

import numpy as np

SETS = {
    "dsads": ("arena", 8, ("sitting", "standing", "ascending_stairs", "descending_stairs", "rowing", "jumping")),
    "hapt": ("arena", 12, ("walking", "walking_upstairs", "walking_downstairs", "sitting", "standing", "lying")),
    "uschad": ("arena", 14, ("walking_forward", "walking_left", "running", "jumping", "sitting", "sleeping", "lift")),
}
SKILL = {"dcdp": 0.92, "forest": 0.90, "lightgbm": 0.89, "minirocket": 0.91}
SKILL |= {"tinyhar@ours": 0.86, "mlp_mixer@ours": 0.80}
PARAMETERS = {"dcdp": 2_076_780, "forest": 180_000, "lightgbm": 60_000, "minirocket": 120_000, "tinyhar@ours": 90_000}
ROBUST = {"absent_modality": ("acc", "gyr"), "noise": ("0.1", "0.5"), "lost": ("1", "10", "30")}
WINDOWS = {"window_s": 3.0, "stride_s": 1.5, "null": "drop"}


def make_benchmark(folder: Path, sets=tuple(SETS), methods=tuple(SKILL), seeds=(0, 1), **options) -> Path:
    """Write every cell below the folder; ``options`` as for `make_cell`."""
    for data in sets:
        for method in methods:
            for seed in seeds:
                write_cell(folder, make_cell(data, method, seed, **options))
    return folder


def write_cell(folder: Path, result: dict) -> Path:
    path = folder / f"{result['data']}-{result['split']['name']}" / result["method"] / f"s{result['seed']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result), encoding="utf-8")
    return path


def make_cell(data="hapt", method="dcdp", seed=0, *, robust=False, cost=True, n_folds=None) -> dict:
    """Return a result: people differ in how hard they are, methods in skill, seeds a little."""
    split, n_people, labels = SETS[data]
    people = [f"s{place + 1:02d}" for place in range(n_people)]
    groups = [people[place::4] for place in range(4)]
    folds = [
        {
            "fold": "+".join(test),
            "test": list(test),
            "validation": list(groups[(place + 1) % 4]),
            "train": [one for one in people if one not in test and one not in groups[(place + 1) % 4]],
        }
        for place, test in enumerate(groups)
    ][:n_folds]
    tested = [one for fold in folds for one in fold["test"]]
    hard = dict(zip(people, np.random.default_rng(len(data)).normal(0, 0.04, n_people), strict=True))
    rng = np.random.default_rng([seed, sum(map(ord, data + method))])
    scores = {one: float(np.clip(SKILL[method] + hard[one] + rng.normal(0, 0.02), 0, 1)) for one in tested}
    figure = _figure(scores, folds)
    found = {
        "format": 1,
        "data": data,
        "method": method,
        "seed": seed,
        "split": {"name": split, "folds": folds},
        "leak_audit": {
            "passed": True,
            "folds": {fold["fold"]: {"passed": True, "n_windows": {"train": 900, "test": 300}} for fold in folds},
        },
        "config": {"windows": dict(WINDOWS), "training": {"epochs": 20, "learning_rate": 0.002}},
        "versions": {"dcdp": "0.1.0", "python": "3.12.3", "torch": "2.13.0"},
        "machine": {"cores": 2, "processor": "made-up", "system": "Linux", "device": "cpu"},
        "seconds": {"total": 450.0, "train": 400.0, "evaluate": 50.0},
        "labels": list(labels),
        "null_label": None,
        "branches": ["acc", "gyr"],
        "test": dict.fromkeys(("macro_f1", "accuracy", "weighted_f1", "balanced_accuracy"), figure)
        | {
            "calibration_error": _figure(dict.fromkeys(tested, 0.03), folds),
            "per_class_f1": {
                label: float(np.clip(figure["mean"] + rng.normal(0.02 - 0.03 * place, 0.03), 0, 1))
                for place, label in enumerate(labels)
            },
            "confusion": (100 * np.eye(len(labels), dtype=int)).tolist(),
        },
        "validation": {fold["fold"]: {"macro_f1": 0.93} for fold in folds},
        "training": {
            fold["fold"]: {"epochs": 20, "best_epoch": 12, "steps": 900, "parameters": PARAMETERS.get(method, 40_000)}
            for fold in folds
        },
    }
    if cost:
        size = PARAMETERS.get(method, 40_000)
        found["cost"] = {
            "parameters": size,
            "bytes": 4 * size,
            "train_seconds": 0.001 * size + 20 * rng.random(),
            "train_windows_per_s": 3e8 / size,
            "windows_per_s": 2e9 / size,
            "latency_ms": 0.4 + size / 4e5,
        }
    if robust:
        found["robustness"] = {
            kind: {
                level: _robust_point(scores, 0.02 + 0.05 * place)
                for place, level in enumerate(levels)
            }
            for kind, levels in ROBUST.items()
        }
    return found


def _robust_point(scores, loss):
    left = {one: score - loss for one, score in scores.items()}
    return {"macro_f1": {"mean": float(np.mean(list(left.values()))), "by_subject": left}, "loss": loss}


def _figure(scores, folds):
    values = np.array(list(scores.values()))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "by_subject": scores,
        "by_fold": {fold["fold"]: float(np.mean([scores[one] for one in fold["test"]])) for fold in folds},
    }
