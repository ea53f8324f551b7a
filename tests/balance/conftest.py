"""A network of any number of branches with 1-D convolutions, one step of training on it, and every rival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance import BalanceRule, ModulationConfig, make_rule, parameter_groups
from dcdp.models.dual_path import DualPath, Outputs
from dcdp.objectives import ObjectiveConfig, objective_terms

K, D, E = 3, 4, 5
LR = 0.01
NAMES = "abcde"
RIVALS = ("ogm_ge", "agm", "pmr", "mmpareto", "g_blending", "cggm", "dgl")
OBJECTIVE = ObjectiveConfig(contrast=0.0, label_smoothing=0.0)


class Encoder(nn.Module):
    """One convolution with normalisation and biases; double, so that what differs is the mathematics."""

    stage_widths, embedding_width = (D,), D

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(n_channels, D, 3), nn.GroupNorm(2, D), nn.Tanh())

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        stage = self.layers(x)
        return [stage], stage.mean(-1)


def make_network(n_branches: int, order: Sequence[int] | None = None) -> DualPath:
    """Return the same network whatever the order of its branches."""
    torch.manual_seed(0)
    encoders = {NAMES[m]: Encoder(2 + m) for m in range(n_branches)}
    net = DualPath(encoders, K, E, 4, (1,), 0.0).double()
    if order is None:
        return net
    other = DualPath({NAMES[m]: encoders[NAMES[m]] for m in order}, K, E, 4, (1,), 0.0).double()
    state = net.state_dict()
    for name in ("heads.weight", "heads.bias", "fuse.weight", "fuse.bias", "project.0.weight"):
        state[name] = state[name][list(order)]
    state["joint.1.weight"] = state["joint.1.weight"].view(K, n_branches, E)[:, list(order)].flatten(1)
    other.load_state_dict(state)
    return other


def make_optimizer(net: DualPath, name: str) -> Optimizer:
    groups = parameter_groups(net, net.encoders, LR)
    return torch.optim.SGD(groups) if name == "sgd" else torch.optim.AdamW(groups, weight_decay=0.0)


@dataclass
class Batch:
    """Windows of every branch."""

    inputs: dict[str, Tensor]
    label: Tensor
    present: Tensor


def make_batch(n_branches: int, seed: int = 1, n_windows: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = {
        NAMES[m]: torch.randn(n_windows, 2 + m, 9, generator=generator, dtype=torch.float64) for m in range(n_branches)
    }
    label = torch.randint(K, (n_windows,), generator=generator)
    return Batch(inputs, label, torch.ones(n_windows, n_branches, dtype=torch.bool))


def backward(net: DualPath, rule: BalanceRule, batch: Batch, config: ObjectiveConfig = OBJECTIVE) -> Outputs:
    """Leave the gradient of one batch in the parameters, and let the rule see the batch."""
    outputs = net(batch.inputs, batch.present, **rule.forward_options())
    terms, _ = objective_terms(outputs, batch.label, batch.present, config, 0.0)
    losses = rule.losses(terms, outputs, batch.label, batch.present)
    for place, loss in enumerate(losses):
        loss.backward(retain_graph=place < len(losses) - 1)
        rule.after_backward(place)
    rule.observe(outputs, batch.label, batch.present)
    return outputs


def gradients(net: DualPath) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


def rule_of(net: DualPath, name: str, optimizer: Optimizer, **options: object) -> BalanceRule:
    return make_rule(net, optimizer, ModulationConfig(rule=name, **options))


@pytest.fixture
def kit() -> SimpleNamespace:
    """Return the functions above, and the names ``K``, ``LR``, ``OBJECTIVE``."""
    functions = (make_network, make_optimizer, make_batch, backward, gradients, rule_of)
    return SimpleNamespace(**{f.__name__: f for f in functions}, K=K, LR=LR, OBJECTIVE=OBJECTIVE)


@pytest.fixture(params=RIVALS)
def rival(request: pytest.FixtureRequest) -> str:
    """Return the name of each rival in turn."""
    return request.param
