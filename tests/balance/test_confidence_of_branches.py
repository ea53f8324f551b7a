"""Confidence and discrepancy: slow loops, absence, smoothing, order of branches, ranks."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dcdp.balance import (
    ModulationConfig,
    Modulator,
    MovingMean,
    confidence_sums,
    discrepancy,
    parameter_groups,
    sum_over_ranks,
)
from dcdp.errors import ConfigError

unhurried = settings(deadline=None)
confidences = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5)


def batch(b: int = 8, m: int = 3, k: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(b, m, k, generator=generator)
    return logits, torch.randint(k, (b,), generator=generator), torch.rand(b, m, generator=generator) > 0.4


@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
def test_sums_equal_a_slow_loop(n_branches):
    logits, label, present = batch(m=n_branches)
    for m in range(n_branches):
        rows = [b for b in range(8) if present[b, m]]
        expected = sum(math.exp(logits[b, m, label[b]]) / sum(math.exp(u) for u in logits[b, m]) for b in rows)
        total, count = confidence_sums(logits, label, present)[:, m].tolist()
        assert total == pytest.approx(expected, rel=1e-5)
        assert count == len(rows)


def test_logits_that_are_absent_or_not_finite_do_not_count():
    logits, label, present = batch()
    clean = confidence_sums(logits, label, present)
    assert torch.equal(confidence_sums(logits.masked_fill(~present[..., None], math.nan), label, present), clean)
    logits[0], present[0] = math.nan, True
    present_elsewhere = present.clone()
    present_elsewhere[0] = False
    assert torch.equal(confidence_sums(logits, label, present),
                       confidence_sums(logits.nan_to_num(), label, present_elsewhere))


def test_sums_need_no_gradient():
    logits, label, present = batch()
    assert not confidence_sums(logits.requires_grad_(), label, present).requires_grad


@unhurried
@given(confidences)
def test_discrepancy_equals_a_slow_loop(values):
    rho = discrepancy(torch.tensor(values)).tolist()
    for m, value in enumerate(values):
        others = values[:m] + values[m + 1:]
        expected = max(value, 1e-12) / max(sum(others) / len(others), 1e-12)
        assert rho[m] == pytest.approx(expected, rel=1e-4)


@unhurried
@given(confidences, st.randoms())
def test_discrepancy_follows_the_order_of_branches(values, random):
    order = random.sample(range(len(values)), len(values))
    torch.testing.assert_close(discrepancy(torch.tensor(values)[order]), discrepancy(torch.tensor(values))[order])


def test_unknown_branch_is_nobodys_rival():
    known = torch.tensor([True, True, False])
    rho = discrepancy(torch.tensor([0.8, 0.4, 0.9]), known)
    torch.testing.assert_close(rho, torch.tensor([2.0, 0.5, 1.0]))
    assert discrepancy(torch.tensor([0.8])).tolist() == [1.0]
    assert discrepancy(torch.tensor([0.8, 0.1]), torch.tensor([True, False])).tolist() == [1.0, 1.0]


def test_moving_mean_equals_a_slow_loop_and_skips_what_is_not_valid():
    mean, slow = MovingMean(2, 0.8), [[], []]
    for step in range(6):
        value, valid = torch.tensor([step / 10, 1 - step / 7]), torch.tensor([True, step % 2 == 0])
        mean.update(value, valid)
        for m in range(2):
            if valid[m]:
                slow[m].append(float(value[m]))
    for m in range(2):
        weights = [0.8 ** age for age in range(len(slow[m]))][::-1]
        expected = sum(w * x for w, x in zip(weights, slow[m], strict=True)) / sum(weights)
        assert mean.mean[m].item() == pytest.approx(expected, rel=1e-5)


def test_moving_mean_without_values_is_unknown_and_without_smoothing_is_the_latest():
    mean = MovingMean(2, 0.0)
    assert mean.known.tolist() == [False, False]
    assert mean.mean.tolist() == [0, 0]
    for value in (0.3, 0.7):
        mean.update(torch.tensor([value, value]), torch.tensor([True, False]))
    assert mean.known.tolist() == [True, False]
    assert mean.mean[0] == torch.tensor(0.7)
    with pytest.raises(ConfigError, match="smoothing must lie in"):
        MovingMean(2, 1.0)


def test_on_one_rank_the_sums_stay():
    sums = torch.rand(2, 3)
    assert sum_over_ranks(sums) is sums


def run_rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    logits, label, present = batch(b=8)
    part = slice(0, 3) if rank == 0 else slice(3, 8)
    encoders = {name: nn.Linear(2, 2) for name in "abc"}
    optimizer = torch.optim.AdamW(parameter_groups(nn.ModuleDict(encoders), encoders, 0.1))
    modulator = Modulator(SimpleNamespace(encoders=encoders), optimizer, ModulationConfig())
    modulator.observe(SimpleNamespace(branch=logits[part]), label[part], present[part])
    modulator.modulate()
    torch.save(modulator.last(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_confidence_is_a_mean_over_all_ranks(tmp_path: Path):
    mp.spawn(run_rank, args=(str(tmp_path),), nprocs=2)
    logits, label, present = batch(b=8)
    total, count = confidence_sums(logits, label, present)
    expected = dict(zip("abc", (total / count).tolist(), strict=True))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first == second
    assert first["confidence"] == pytest.approx(expected, rel=1e-5)
