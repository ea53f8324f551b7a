"""A made-up run folder: every file that training writes, with numbers drawn from a seed."""

import json
from pathlib import Path

import numpy as np
import pytest

PLAIN = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "lying")
SPORTS = (
    "sitting",
    "standing",
    "lying on back",
    "lying on right side",
    "ascending stairs",
    "descending stairs",
    "standing still in an elevator",
    "moving around in an elevator",
    "walking in a parking lot",
    "walking on a treadmill flat at 4 km/h",
    "walking on a treadmill inclined at 4 km/h",
    "running on a treadmill",
    "exercising on a stepper",
    "exercising on a cross trainer",
    "cycling on an exercise bike horizontal",
    "cycling on an exercise bike vertical",
    "rowing",
    "jumping",
    "playing basketball",
)


@pytest.fixture
def made_up_run(tmp_path):
    """Return a maker of run folders."""

    def make(name="run", **options):
        return make_run(tmp_path / name, **options)

    return make


def make_run(
    run: Path,
    *,
    labels=PLAIN,
    n_subjects=9,
    n_folds=3,
    branches=("acc", "gyr", "mag"),
    peers=("forest",),
    n_epochs=4,
    steps_per_epoch=30,
    n_windows=60,
    seed=0,
) -> Path:
    rng = np.random.default_rng(seed)
    subjects = [f"s{place + 1:02d}" for place in range(n_subjects)]
    parts = [subjects[place :: max(n_folds, 3)] for place in range(max(n_folds, 3))]
    folds = [
        {
            "fold": "+".join(test),
            "test": test,
            "validation": parts[(place + 1) % len(parts)][:2],
            "train": [one for one in subjects if one not in test],
        }
        for place, test in enumerate(parts[:n_folds])
    ]
    tested = [subject for fold in folds for subject in fold["test"]]
    skill = {subject: float(np.clip(0.92 + 0.04 * rng.normal(), 0.6, 0.995)) for subject in tested}
    confusion = np.zeros((len(labels), len(labels)), int)
    for fold in folds:
        folder = run / "folds" / fold["fold"]
        folder.mkdir(parents=True)
        write_history(folder / "history.jsonl", rng, branches, n_epochs, steps_per_epoch)
        label, guess = write_predictions(
            folder / "predictions.npz", rng, fold["test"], skill, len(labels), branches, n_windows
        )
        np.add.at(confusion, (label, guess), 1)
    (run / "config.toml").write_text('[windows]\nwindow_s = 3.0\nstride_s = 1.5\n\n[network]\npreset = "base"\n')
    result = make_result(rng, labels, branches, folds, skill, confusion, peers)
    (run / "result.json").write_text(json.dumps(result))
    return run


def make_result(rng, labels, branches, folds, skill, confusion, peers):
    def over(scores):
        values = np.array(list(scores.values()))
        return {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "by_subject": scores,
            "by_fold": {fold["fold"]: float(np.mean([scores[one] for one in fold["test"]])) for fold in folds},
        }

    def near(shift, spread):
        return {one: float(np.clip(score + shift + spread * rng.normal(), 0, 1)) for one, score in skill.items()}

    true, found = confusion.sum(1), confusion.sum(0)
    share = rng.dirichlet(8 * np.ones(len(branches)))
    names = [fold["fold"] for fold in folds]
    return {
        "format": 1,
        "data": "made-up",
        "method": "dcdp",
        "seed": 0,
        "split": {"name": "arena", "folds": folds},
        "leak_audit": {
            "passed": True,
            "folds": {
                name: {
                    "shared_subjects": 0,
                    "shared_samples": 0,
                    "n_windows": {"train": 5200, "validation": 800, "test": 790},
                }
                for name in names
            },
        },
        "config": {"windows": {"window_s": 3.0}, "training": {"lr": 0.001, "epochs": 30}},
        "versions": {"dcdp": "0.1.0", "python": "3.12.3", "torch": "2.13.0", "numpy": "2.4.6"},
        "machine": {"cores": 2, "processor": "x86_64", "device": "cpu"},
        "seconds": {"total": 412.7, "train": 371.2, "evaluate": 41.5},
        "labels": list(labels),
        "null_label": None,
        "branches": list(branches),
        "test": {
            "macro_f1": over(skill),
            "accuracy": over(near(0.01, 0.005)),
            "weighted_f1": over(near(0.008, 0.004)),
            "balanced_accuracy": over(near(0.002, 0.004)),
            "calibration_error": {"mean": 0.031, "by_subject": {}},
            "per_class_f1": {
                label: float(2 * confusion[k, k] / max(true[k] + found[k], 1)) for k, label in enumerate(labels)
            },
            "confusion": confusion.tolist(),
            "by_branch": {
                name: {"macro_f1": 0.8 - 0.05 * k, "accuracy": 0.83 - 0.05 * k} for k, name in enumerate(branches)
            },
            "absent": {name: {"macro_f1": 0.9 - 0.04 * k, "loss": 0.02 + 0.04 * k} for k, name in enumerate(branches)},
            "shapley": dict(zip(branches, share.tolist(), strict=True)),
            "alignment": {
                f"stage_{k}": {"retrieval_window": 0.2 * k, "retrieval_activity": 0.3 * k, "cka": 0.25 * k}
                for k in (1, 2, 3)
            },
        },
        "validation": {name: {"macro_f1": 0.93} for name in names},
        "training": {
            name: {
                "epochs": 30,
                "best_epoch": 22,
                "steps": 3600,
                "windows_per_s": 5100.0,
                "parameters": 412_000,
                "n_windows": {"train": 5200, "validation": 800, "test": 790},
            }
            for name in names
        },
        "peers": {
            name: {"macro_f1": over(near(-0.04 - 0.02 * k, 0.02)), "seconds": 31.0} for k, name in enumerate(peers)
        },
    }


def write_history(path, rng, branches, n_epochs, steps_per_epoch):
    lines, best, n, pace = [], 0.0, n_epochs * steps_per_epoch, rng.uniform(0.6, 1.4)
    for step in range(n):
        t = pace * step / n
        know = {
            name: 1.0 - 0.85 * np.exp(-(6 - k) * t) * (0.9 + 0.2 * rng.random()) - 0.02 * k
            for k, name in enumerate(branches)
        }
        ratio = {name: know[name] / np.mean([know[one] for one in branches if one != name]) for name in branches}
        fall = 2.2 * np.exp(-4 * t) + 0.15 + 0.08 * rng.random()
        stages = {f"stage_{k}": float(3 * np.exp(-k * 2 * t) + 0.3 * rng.random()) for k in (1, 2, 3)}
        loss = {"joint": fall, "branch": 1.3 * fall, "contrast": sum(stages.values()) / 6, **stages}
        loss["total"] = loss["joint"] + loss["branch"] + loss["contrast"]
        lines.append(
            {
                "kind": "step",
                "epoch": step // steps_per_epoch,
                "step": step,
                "loss": loss,
                "confidence": know,
                "discrepancy": ratio,
                "coefficient": {name: 1 - np.tanh(2 * (rho - 1)) for name, rho in ratio.items()},
                "learning_rate": 1e-3,
            }
        )
        if (step + 1) % steps_per_epoch == 0:
            score = 0.94 - 0.5 * np.exp(-5 * t) + 0.01 * rng.normal()
            lines.append(
                {
                    "kind": "epoch",
                    "epoch": step // steps_per_epoch,
                    "step": step,
                    "seconds": 1.9,
                    "train_loss": fall,
                    "validation": {
                        "loss": fall,
                        "macro_f1": score,
                        "accuracy": score + 0.01,
                        "branches": {name: score - 0.1 - 0.03 * k for k, name in enumerate(branches)},
                    },
                    "best": bool(score > best),
                }
            )
            best = max(best, score)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_predictions(path, rng, subjects, skill, n_classes, branches, n_windows):
    n = n_windows * len(subjects)
    subject, label = np.repeat(subjects, n_windows), rng.integers(n_classes, size=n)
    centres = 1.1 * rng.normal(size=(n_classes, 16))
    embedding = centres[label] + rng.normal(size=(n, 16))
    hit = rng.random(n) < np.array([skill[one] for one in subject])
    guess = np.where(hit, label, (label + rng.choice([1, -1, 2], size=n)) % n_classes)
    logits = rng.normal(size=(n, n_classes))
    logits[np.arange(n), guess] += rng.uniform(2, 7, n)
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.savez(
        path,
        label=label,
        probability=probability.astype(np.float32),
        embedding=embedding.astype(np.float32),
        branch_probability=np.repeat(probability[:, None], len(branches), 1).astype(np.float32),
        subject=subject,
        recording=np.zeros(n, np.int64),
        start_s=1.5 * np.arange(n),
    )
    return label, probability.argmax(1)
