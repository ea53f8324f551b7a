"""The coefficient formula: bounds, exact cases, order of branches, direction."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcdp.balance import branch_coefficients, discrepancy

unhurried = settings(deadline=None)
confidences = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=5)
alphas = st.floats(0, 100)
betas = st.floats(0, 10)


@unhurried
@given(st.lists(st.floats(0, float(torch.finfo(torch.float32).max), width=32), min_size=2, max_size=5), alphas, betas)
def test_coefficients_are_bounded_for_any_discrepancy(values, alpha, beta):
    rho = torch.tensor(values)
    kappa = branch_coefficients(rho, alpha, beta)
    leads = rho > 1
    assert (kappa > 0).all()
    assert (kappa[leads] <= 1).all()
    assert (kappa[~leads] >= 1).all()
    assert (kappa[~leads] <= (1 + beta) * (1 + 1e-6)).all()


@unhurried
@given(confidences, betas)
def test_alpha_zero_is_exactly_one(values, beta):
    kappa = branch_coefficients(discrepancy(torch.tensor(values)), 0.0, beta)
    assert kappa.tolist() == [1.0] * len(values)


@unhurried
@given(confidences, alphas)
def test_beta_zero_only_brakes(values, alpha):
    rho = discrepancy(torch.tensor(values))
    assert (branch_coefficients(rho, alpha, 0.0)[rho <= 1] == 1).all()


@unhurried
@given(confidences, alphas, betas, st.randoms())
def test_coefficients_follow_the_order_of_branches(values, alpha, beta, random):
    order = random.sample(range(len(values)), len(values))
    rho = discrepancy(torch.tensor(values, dtype=torch.float64))
    swapped = discrepancy(torch.tensor(values, dtype=torch.float64)[order])
    # Sums in another order differ in the last digits, which a large alpha magnifies.
    tolerance = 1e-9 * (1 + alpha) * (1 + beta) * (1 + min(float(rho.max()), 10))
    torch.testing.assert_close(branch_coefficients(swapped, alpha, beta), branch_coefficients(rho, alpha, beta)[order],
                               atol=tolerance, rtol=1e-6)


@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
@pytest.mark.parametrize("leader", [0, -1])
def test_the_leader_alone_is_braked_and_all_others_are_lifted(n_branches, leader):
    confidence = torch.full((n_branches,), 0.4)
    confidence[leader] = 0.8
    kappa = branch_coefficients(discrepancy(confidence), 1.0, 0.5)
    others = [m for m in range(n_branches) if m != leader % n_branches]
    assert kappa[leader].item() == pytest.approx(1 - math.tanh(2 - 1))
    assert len(others) == n_branches - 1
    for m in others:
        rho = 0.4 / ((0.8 + 0.4 * (n_branches - 2)) / (n_branches - 1))
        assert kappa[m].item() == pytest.approx(1 + 0.5 * math.tanh(1 / rho - 1), rel=1e-5)


def test_equal_branches_are_left_alone():
    assert branch_coefficients(discrepancy(torch.full((4,), 0.3)), 5.0, 5.0).tolist() == pytest.approx([1.0] * 4)
