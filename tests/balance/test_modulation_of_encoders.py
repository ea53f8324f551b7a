"""Modulation as a whole: what moves, by how much, under which optimiser; resume; accumulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcdp.balance import ModulationConfig, Modulator, confidence_sums, parameter_groups
from dcdp.errors import BundleError, ConfigError

K = 3
LR = 0.01
PLAIN = {"alpha": 0.0, "momentum": 0.0}
SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
OFFERED: dict[str, Callable[..., Optimizer]] = {
    "SGD": SGD,
    "SGD with momentum": partial(SGD, momentum=0.9),
    "SGD with Nesterov momentum": partial(SGD, momentum=0.9, nesterov=True),
    "Adam": Adam,
    "Adam, amsgrad": partial(Adam, amsgrad=True),
    "AdamW": AdamW,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "RMSprop": torch.optim.RMSprop,
    "Adagrad": torch.optim.Adagrad,
    "Adamax": torch.optim.Adamax,
    "Adadelta": torch.optim.Adadelta,
}
PAIRS = [(name, "update") for name in OFFERED] + [(name, "gradient") for name in OFFERED if name.startswith("SGD")]


@dataclass
class Seen:
    """All that this rule reads of a network's outputs."""

    branch: Tensor


class Network(nn.Module):
    """Encoders with 1-D convolutions, normalisation and biases; heads of the branches; a joint head."""

    def __init__(self, n_branches: int = 2) -> None:
        super().__init__()
        names = "abcde"[:n_branches]
        self.encoders = nn.ModuleDict({name: self.encoder(2 + place) for place, name in enumerate(names)})
        self.heads = nn.ModuleDict({name: nn.Linear(4, K) for name in names})
        self.joint = nn.Linear(4 * n_branches, K)

    @staticmethod
    def encoder(n_channels: int) -> nn.Module:
        return nn.Sequential(nn.Conv1d(n_channels, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.GELU(),
                             nn.Conv1d(4, 4, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        embedding = {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}
        branch = torch.stack([self.heads[name](embedding[name]) for name in self.encoders], dim=1)
        return self.joint(torch.cat(list(embedding.values()), dim=1)), branch


def network(n_branches: int = 2, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(n_branches)


def optimizer_of(net: Network, make: Callable[..., Optimizer], lr: float = LR, weight_decay: float = 0.0) -> Optimizer:
    return make(parameter_groups(net, net.encoders, lr, weight_decay), lr=lr)


def batch_of(net: Network, n_windows: int = 8, seed: int = 1) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(n_windows, 2 + place, 10, generator=generator)
              for place, name in enumerate(net.encoders)}
    return inputs, torch.randint(K, (n_windows,), generator=generator)


def backward(net: Network, inputs: dict[str, Tensor], label: Tensor, share: float = 1.0) -> Tensor:
    joint, branch = net(inputs)
    each = branch.flatten(0, 1), label.repeat_interleave(branch.shape[1])
    loss = nn.functional.cross_entropy(joint, label) + nn.functional.cross_entropy(*each)
    (share * loss).backward()
    return branch


def everywhere(branch: Tensor) -> Tensor:
    return torch.ones(branch.shape[:2], dtype=torch.bool)


def train(net: Network, optimizer: Optimizer, modulator: Modulator | None, steps: range, lr: float = LR) -> None:
    for step in steps:
        optimizer.zero_grad()
        inputs, label = batch_of(net, seed=step)
        branch = backward(net, inputs, label)
        if modulator is not None:
            modulator.observe(Seen(branch), label, everywhere(branch))
            modulator.modulate(lr)
        optimizer.step()


def copy_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in net.named_parameters()}


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


def distances(name: str, acts_on: str, coefficient: list[float] | None) -> dict[str, Tensor]:
    """How far each parameter moves in five steps of given gradients."""
    net = network(2).double()
    optimizer = optimizer_of(net, OFFERED[name])
    modulator = Modulator(net, optimizer, ModulationConfig(acts_on=acts_on))
    start = copy_of(net)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if coefficient is not None:
            modulator.apply(torch.tensor(coefficient, dtype=torch.float64))
        optimizer.step()
    return {key: value - start[key] for key, value in copy_of(net).items()}


@pytest.mark.parametrize(("name", "acts_on"), PAIRS)
def test_coefficient_of_one_half_moves_a_branch_half_as_far_and_nothing_else(name, acts_on):
    plain, halved = distances(name, acts_on, None), distances(name, acts_on, [0.5, 1.0])
    for key, distance in plain.items():
        assert (distance != 0).all()
        factor = 0.5 if key.startswith("encoders.a.") else 1.0
        torch.testing.assert_close(halved[key], factor * distance, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop"])
def test_scaling_the_gradient_of_an_adaptive_optimiser_would_do_nothing(name):
    """Why that pair is refused."""
    moved = []
    for factor in (1.0, 0.5):
        parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        optimizer = OFFERED[name]([parameter], lr=LR)
        for _ in range(5):
            parameter.grad = torch.full((3,), factor, dtype=torch.float64)
            optimizer.step()
        moved.append(parameter.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", [name for name in OFFERED if not name.startswith("SGD")])
def test_adaptive_optimiser_with_gradient_is_refused(name):
    net = network()
    optimizer = optimizer_of(net, OFFERED[name])
    with pytest.raises(ConfigError, match="acts_on='gradient' needs SGD"):
        Modulator(net, optimizer, ModulationConfig(acts_on="gradient"))
    assert Modulator(net, optimizer, ModulationConfig()).acts_on == "update"


@pytest.mark.parametrize("kind", [torch.optim.Rprop, torch.optim.ASGD])
def test_optimiser_whose_step_does_not_follow_the_rate_is_refused(kind):
    net = network()
    with pytest.raises(ConfigError, match="proportional to its learning rate"):
        Modulator(net, optimizer_of(net, kind), ModulationConfig())


def test_sgd_acts_on_the_gradient_and_needs_no_groups():
    net = network()
    assert Modulator(net, SGD(net.parameters(), lr=LR), ModulationConfig()).acts_on == "gradient"


@pytest.mark.parametrize("name", ["SGD", "SGD with momentum", "Adam", "AdamW"])
@pytest.mark.parametrize("momentum_on", ["gradient", "coefficient"])
def test_alpha_zero_is_plain_training_to_the_bit(name, momentum_on):
    plain, modulated = network(3), network(3)
    train(plain, optimizer_of(plain, OFFERED[name], weight_decay=0.01), None, range(20))
    optimizer = optimizer_of(modulated, OFFERED[name], weight_decay=0.01)
    modulator = Modulator(modulated, optimizer, ModulationConfig(**PLAIN, momentum_on=momentum_on))
    train(modulated, optimizer, modulator, range(20))
    assert equal(plain, modulated)
    assert not equal(plain, network(3))


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_alpha_above_zero_is_not_plain_training(name):
    plain, modulated = network(3), network(3)
    train(plain, optimizer_of(plain, OFFERED[name]), None, range(5))
    optimizer = optimizer_of(modulated, OFFERED[name])
    train(modulated, optimizer, Modulator(modulated, optimizer, ModulationConfig(alpha=1.0)), range(5))
    assert not equal(plain, modulated)


@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
def test_every_parameter_of_each_encoder_is_scaled_and_no_other(n_branches):
    net = network(n_branches)
    optimizer = optimizer_of(net, SGD)
    modulator = Modulator(net, optimizer, ModulationConfig(alpha=2.0, beta=0.5))
    inputs, label = batch_of(net)
    branch = backward(net, inputs, label)
    before = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    modulator.observe(Seen(branch), label, everywhere(branch))
    modulator.modulate()
    coefficient = modulator.last()["coefficient"]
    assert len(set(coefficient.values())) >= 2
    for name, parameter in net.named_parameters():
        factor = coefficient[name.split(".")[1]] if name.startswith("encoders.") else 1.0
        assert (before[name] != 0).any()
        torch.testing.assert_close(parameter.grad, before[name] * factor, rtol=1e-6, atol=0)


@pytest.mark.parametrize("n_branches", [2, 3, 4, 5])
def test_order_of_branches_does_not_matter(n_branches):
    net = network(n_branches)
    inputs, label = batch_of(net)
    branch = backward(net, inputs, label)
    names = list(net.encoders)
    found = []
    for order in (list(range(n_branches)), list(range(n_branches))[::-1]):
        reordered = SimpleNamespace(encoders=nn.ModuleDict({names[m]: net.encoders[names[m]] for m in order}))
        modulator = Modulator(reordered, optimizer_of(net, AdamW), ModulationConfig(alpha=2.0, beta=1.0))
        modulator.observe(Seen(branch[:, order]), label, everywhere(branch))
        modulator.modulate()
        found.append(modulator.last())
    for measure, values in found[0].items():
        assert found[1][measure] == pytest.approx(values)


def test_rates_are_scaled_from_the_base_rate_of_each_step():
    net = network(2)
    optimizer = optimizer_of(net, AdamW, lr=1.0)
    modulator = Modulator(net, optimizer, ModulationConfig())
    modulator.apply([0.5, 0.25])
    modulator.apply([0.5, 0.25])
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25, 1.0]
    modulator.scaler.set_learning_rate(0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1, 0.1]
    modulator.apply([0.5, 1.0])
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1, 0.1]


def test_decay_is_scaled_with_the_update_and_not_with_the_gradient():
    moved = {}
    for acts_on in ("gradient", "update"):
        net = network(2)
        optimizer = optimizer_of(net, SGD, lr=0.1, weight_decay=0.1)
        modulator = Modulator(net, optimizer, ModulationConfig(acts_on=acts_on))
        weight = net.encoders["a"][0].weight
        start = weight.detach().clone()
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        modulator.apply([0.5, 1.0])
        optimizer.step()
        moved[acts_on] = (start - weight.detach()) / start
    torch.testing.assert_close(moved["gradient"], torch.full_like(moved["gradient"], 0.01), rtol=1e-4, atol=0)
    torch.testing.assert_close(moved["update"], torch.full_like(moved["update"], 0.005), rtol=1e-4, atol=0)


def test_branch_without_a_group_of_its_own_is_refused():
    net = network()
    with pytest.raises(ConfigError, match="one optimiser group per branch"):
        Modulator(net, AdamW(net.parameters()), ModulationConfig())
    loose = [{"params": encoder.parameters()} for encoder in net.encoders.values()]
    loose[0]["params"] = [*loose[0]["params"], *net.heads.parameters()]
    with pytest.raises(ConfigError, match="none for 'a'"):
        Modulator(net, AdamW(loose), ModulationConfig())


def test_encoder_shared_by_two_branches_is_refused():
    shared = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="must belong to one encoder: got one in 'a' and 'b'"):
        parameter_groups(shared, {"a": shared, "b": shared}, LR)


def test_groups_hold_every_parameter_once():
    net = network(3)
    groups = parameter_groups(net, net.encoders, LR, 0.1)
    assert [group["name"] for group in groups] == ["a", "b", "c", "shared"]
    assert all(group["lr"] == LR and group["weight_decay"] == 0.1 for group in groups)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, net.parameters()))


def observed(modulator: Modulator, leader: float, present: Tensor) -> dict[str, dict[str, float]]:
    """Modulate after a batch in which branch a has logit ``leader`` for the truth and the others 0."""
    branch = torch.zeros(*present.shape, K)
    branch[:, 0, 0] = leader
    modulator.observe(Seen(branch), torch.zeros(len(present), dtype=torch.int64), present)
    modulator.modulate()
    return modulator.last()


def test_branch_absent_in_the_batch_keeps_its_confidence_and_is_not_scaled():
    net = network(3)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig(smoothing=0.5))
    present = torch.ones(4, 3, dtype=torch.bool)
    first = observed(modulator, 3.0, present)
    assert first["coefficient"]["a"] < 1
    present[:, 0] = False
    second = observed(modulator, 9.0, present)
    assert second["coefficient"] == {"a": 1, "b": 1, "c": 1}
    assert second["confidence"] == first["confidence"]
    assert second["discrepancy"] == pytest.approx(first["discrepancy"])
    present[:, 0] = True
    third = observed(modulator, 3.0, present)
    assert third["coefficient"] == pytest.approx(first["coefficient"])


def test_on_the_own_loss_an_absent_branch_keeps_its_coefficient_for_the_next_batch():
    net = network(3)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig(smoothing=0.5, acts_on="own"))
    present = torch.ones(4, 3, dtype=torch.bool)
    first = observed(modulator, 3.0, present)
    assert first["coefficient"]["a"] < 1
    present[:, 0] = False
    assert observed(modulator, 9.0, present)["coefficient"] == first["coefficient"]
    assert modulator.forward_options()["own_scale"].tolist() == list(first["coefficient"].values())


def test_on_the_own_loss_a_branch_never_seen_is_not_scaled():
    net = network(3)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig(acts_on="own"))
    last = observed(modulator, 3.0, torch.tensor([[True, True, False]] * 4))
    assert last["coefficient"]["a"] < 1
    assert last["coefficient"]["c"] == 1


@pytest.mark.parametrize(("kind", "acts_on"), [(SGD, "gradient"), (SGD, "update"), (AdamW, "update"), (AdamW, "own")])
def test_coefficients_from_elsewhere_are_those_that_are_logged(kind, acts_on):
    net = network(2)
    modulator = Modulator(net, optimizer_of(net, kind), ModulationConfig(acts_on=acts_on))
    last = observed(modulator, 3.0, torch.ones(4, 2, dtype=torch.bool))
    for given in ([0.5, 0.25], torch.tensor([0.75, 1.0], dtype=torch.float64)):
        modulator.apply(given)
        assert list(modulator.last()["coefficient"].values()) == list(map(float, given))
    assert {key: value for key, value in modulator.last().items() if key != "coefficient"} == {
        key: value for key, value in last.items() if key != "coefficient"
    }


def test_branch_never_seen_is_nobodys_rival():
    net = network(2)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig())
    last = observed(modulator, 3.0, torch.tensor([[True, False]] * 4))
    assert last["coefficient"] == last["discrepancy"] == {"a": 1, "b": 1}
    assert last["confidence"]["b"] == 0


def test_step_without_observation_keeps_the_last_coefficients():
    net = network(2)
    optimizer = optimizer_of(net, AdamW)
    modulator = Modulator(net, optimizer, ModulationConfig())
    modulator.modulate(LR)
    assert modulator.last()["coefficient"] == {"a": 1, "b": 1}
    last = observed(modulator, 3.0, torch.ones(4, 2, dtype=torch.bool))
    modulator.modulate(2 * LR)
    assert modulator.last() == last
    assert optimizer.param_groups[0]["lr"] == 2 * LR * last["coefficient"]["a"]


def test_logits_of_another_number_of_branches_are_refused():
    net = network(2)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig())
    with pytest.raises(ConfigError, match=r"one entry per branch \(a, b\): got 3 entries"):
        modulator.observe(Seen(torch.zeros(4, 3, K)), torch.zeros(4, dtype=torch.int64), torch.ones(4, 3).bool())


@pytest.mark.parametrize("name", ["SGD", "SGD with momentum", "AdamW"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_micro_batches_equal_the_large_batch(name, momentum):
    nets = [network(2).double(), network(2).double()]
    for net, n_parts in zip(nets, (1, 4), strict=True):
        optimizer = optimizer_of(net, OFFERED[name])
        modulator = Modulator(net, optimizer, ModulationConfig(alpha=2.0, beta=0.5, momentum=momentum))
        for step in range(5):
            optimizer.zero_grad()
            inputs, label = batch_of(net, 16, seed=step)
            for part in torch.arange(16).chunk(n_parts):
                piece = {key: value[part].double() for key, value in inputs.items()}
                branch = backward(net, piece, label[part], 1 / n_parts)
                modulator.observe(Seen(branch), label[part], everywhere(branch))
            modulator.modulate(LR)
            optimizer.step()
        assert modulator.last()["coefficient"] != {"a": 1, "b": 1}
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


def test_micro_batches_of_unlike_presence_give_the_mean_over_all_windows():
    net = network(2)
    modulator = Modulator(net, optimizer_of(net, AdamW), ModulationConfig())
    generator = torch.Generator().manual_seed(0)
    branch, label = torch.randn(8, 2, K, generator=generator), torch.randint(K, (8,), generator=generator)
    present = torch.rand(8, 2, generator=generator) > 0.4
    for part in (slice(0, 3), slice(3, 8)):
        modulator.observe(Seen(branch[part]), label[part], present[part])
    modulator.modulate()
    total, count = confidence_sums(branch, label, present)
    assert list(modulator.last()["confidence"].values()) == pytest.approx((total / count).tolist())


@pytest.mark.parametrize("momentum_on", ["gradient", "coefficient"])
@pytest.mark.parametrize("name", ["SGD with momentum", "AdamW"])
def test_resumed_run_equals_the_run_that_was_not_stopped(name, momentum_on):
    config = ModulationConfig(alpha=2.0, beta=0.5, momentum=0.8, momentum_on=momentum_on)
    whole, first, second = network(3), network(3), network(3, seed=9)
    optimizer = optimizer_of(whole, OFFERED[name])
    train(whole, optimizer, Modulator(whole, optimizer, config), range(10))
    optimizer = optimizer_of(first, OFFERED[name])
    modulator = Modulator(first, optimizer, config)
    train(first, optimizer, modulator, range(6))
    saved = optimizer.state_dict(), {key: value.clone() for key, value in modulator.state_dict().items()}
    second.load_state_dict(first.state_dict())
    resumed = optimizer_of(second, OFFERED[name])
    resumed.load_state_dict(saved[0])
    again = Modulator(second, resumed, config)
    again.load_state_dict(saved[1])
    assert again.last() == modulator.last()
    train(second, resumed, again, range(6, 10))
    assert equal(second, whole)
    assert not equal(first, whole)


def test_saved_base_rate_is_the_one_before_the_coefficient():
    net = network(2)
    optimizer = optimizer_of(net, AdamW)
    modulator = Modulator(net, optimizer, ModulationConfig())
    modulator.scaler.set_learning_rate(0.4)
    modulator.apply([0.5, 1.0])
    again = Modulator(net, optimizer, ModulationConfig())
    again.load_state_dict(modulator.state_dict())
    again.apply([1.0, 1.0])
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.4, 0.4]


def test_state_of_other_branches_or_momentum_is_refused():
    two, three = network(2), network(3)
    config = ModulationConfig()
    state = Modulator(two, optimizer_of(two, AdamW), config).state_dict()
    assert all(isinstance(value, Tensor) for value in state.values())
    with pytest.raises(BundleError, match=r"a difference in .*confidence\.total"):
        Modulator(three, optimizer_of(three, AdamW), config).load_state_dict(state)
    with pytest.raises(BundleError, match=r"a difference in momentum\.counts"):
        Modulator(two, optimizer_of(two, AdamW), ModulationConfig(momentum=0.9)).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1.0}, "alpha must be finite and not negative"),
        ({"beta": float("inf")}, "beta must be finite and not negative"),
        ({"smoothing": 1.0}, "smoothing must lie in"),
        ({"momentum": -0.1}, "momentum must lie in"),
        ({"momentum_on": "gradients"}, "Did you mean 'gradient'"),
        ({"acts_on": "updates"}, "Did you mean 'update'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        ModulationConfig(**change)
