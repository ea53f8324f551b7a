"""Momentum: against the closed form, on the gradient and on the coefficient."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from dcdp.balance import GradientMomentum, ModulationConfig, Modulator, branch_coefficients, parameter_groups

MU = 0.8


def slow_mean(gradients: list[Tensor]) -> Tensor:
    weights = [MU ** (len(gradients) - 1 - t) for t in range(len(gradients))]
    return sum(w * g for w, g in zip(weights, gradients, strict=True)) / sum(weights)


def given_gradients(n_steps: int, seed: int = 0) -> list[Tensor]:
    return list(torch.randn(n_steps, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def test_gradient_becomes_the_bias_corrected_mean():
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    momentum = GradientMomentum({"w": parameter}, MU)
    seen = []
    for gradient in given_gradients(6):
        seen.append(gradient)
        parameter.grad = gradient.clone()
        momentum.replace()
        torch.testing.assert_close(parameter.grad, slow_mean(seen))


def test_parameter_without_a_gradient_keeps_its_mean_and_count():
    still, moving, frozen = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(3))
    frozen.requires_grad_(False)
    momentum = GradientMomentum({"still": still, "moving": moving, "frozen": frozen}, MU)
    momentum.replace()
    seen = []
    for step, gradient in enumerate(given_gradients(6)):
        moving.grad = gradient.clone()
        still.grad = gradient.clone() if step % 2 else None
        seen += [gradient] if step % 2 else []
        momentum.replace()
    assert still.grad is not None
    torch.testing.assert_close(still.grad, slow_mean(seen))
    assert momentum.state_dict()["counts"].tolist() == [3, 6]


def modulated(acts_on: str, momentum_on: str) -> tuple[nn.Parameter, dict[str, object], Modulator]:
    encoders = {name: nn.Linear(3, 1, bias=False).double() for name in "ab"}
    kind = torch.optim.SGD if acts_on == "gradient" else torch.optim.AdamW
    optimizer = kind(parameter_groups(nn.ModuleDict(encoders), encoders, 1.0))
    config = ModulationConfig(momentum=MU, momentum_on=momentum_on, smoothing=0.0)
    modulator = Modulator(SimpleNamespace(encoders=encoders), optimizer, config)
    return encoders["a"].weight, optimizer.param_groups[0], modulator


@pytest.mark.parametrize("acts_on", ["gradient", "update"])
def test_mean_is_over_the_scaled_gradient_or_the_plain_one(acts_on):
    weight, group, modulator = modulated(acts_on, "gradient")
    seen = []
    for step, gradient in enumerate(given_gradients(5)):
        kappa = 1 / (1 + step)
        weight.grad = gradient[None].clone()
        modulator.apply(torch.tensor([kappa, 1.0], dtype=torch.float64))
        seen.append(gradient * (kappa if acts_on == "gradient" else 1.0))
        torch.testing.assert_close(weight.grad[0], slow_mean(seen))
        assert group["lr"] == (1.0 if acts_on == "gradient" else kappa)


def test_mean_over_the_coefficient_leaves_the_gradient_alone():
    weight, group, modulator = modulated("update", "coefficient")
    seen = []
    for logit in (0.0, 3.0, 1.0, 5.0):
        branch = torch.zeros(4, 2, 3)
        branch[:, 0, 0] = logit
        weight.grad = torch.ones_like(weight)
        everywhere = torch.ones(4, 2, dtype=torch.bool)
        modulator.observe(SimpleNamespace(branch=branch), torch.zeros(4, dtype=torch.int64), everywhere)
        modulator.modulate()
        seen.append(branch_coefficients(torch.tensor(modulator.last()["discrepancy"]["a"])))
        assert (weight.grad == 1).all()
        assert group["lr"] == pytest.approx(float(slow_mean(seen)), rel=1e-5)
    assert len({float(kappa) for kappa in seen}) > 2


def test_plain_sgd_with_mean_of_a_constant_gradient_moves_as_without():
    weight, _, modulator = modulated("gradient", "gradient")
    for _ in range(4):
        weight.grad = torch.full_like(weight, 2.0)
        modulator.apply(torch.ones(2, dtype=torch.float64))
        torch.testing.assert_close(weight.grad, torch.full_like(weight, 2.0))
