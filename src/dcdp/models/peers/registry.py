"""The peers by name: of which kind, from which paper, trained by which recipe, built how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from dcdp.errors import ConfigError, unknown_name
from dcdp.models.network import BranchLayout
from dcdp.models.peers.attend_discriminate import AttendDiscriminate
from dcdp.models.peers.cnn_har import CnnHar
from dcdp.models.peers.deepconv_lstm import DeepConvLstm
from dcdp.models.peers.dynamic_whar import SensorGraph, sensor_nodes
from dcdp.models.peers.mlp_mixer import MlpMixer
from dcdp.models.peers.side_by_side import SingleHead, common_samples
from dcdp.models.peers.tinierhar import TinierHar
from dcdp.models.peers.tinyhar import TinyHar

__all__ = ["Peer", "Recipe", "build_peer", "get_peer", "list_peers"]

Kind = Literal["classical", "deep"]
_Body = Callable[[Sequence[BranchLayout], int], nn.Module]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a deep peer's paper or its authors' programme trains it, as far as the one loop goes.

    Epochs, steps, patience, batch size and the fall of the learning rate are those of our own method for all alike.

    Attributes
    ----------
    optimizer
        ``adamw`` (Adam, where nothing decays) or ``sgd``, with a momentum of 0.9.
    learning_rate, weight_decay
        At its peak, and of every weight.
    warmup, clip_norm
        As in `dcdp.training.TrainingConfig`.
    """

    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: float = 0.0
    clip_norm: float = 0.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One rival.

    Attributes
    ----------
    name, kind
        ``deep`` ones are trained by `dcdp.training.fit`, ``classical`` ones have a fit of their own.
    paper
        First author and year.
    recipe, body
        Of the deep ones: how to train, and what makes the plain network ``(B, C, T) -> (B, K)``.
    packages
        What must be installed beyond dcdp itself.
    """

    name: str
    kind: Kind
    paper: str
    recipe: Recipe | None = None
    body: _Body | None = None
    packages: tuple[str, ...] = ()


def _plain(make: Callable[[int, int, int], nn.Module]) -> _Body:
    def body(layouts: Sequence[BranchLayout], n_classes: int) -> nn.Module:
        return make(sum(len(layout.channels) for layout in layouts), common_samples(layouts), n_classes)

    return body


def _graph(layouts: Sequence[BranchLayout], n_classes: int) -> nn.Module:
    return SensorGraph(sensor_nodes(layouts), common_samples(layouts), n_classes)


_BY_SGD = Recipe("sgd", learning_rate=0.01, weight_decay=5e-4)
"""The programme of CNN-HAR's authors (CNNHAR, ``fcnn.m`` and ``cnn_train.m``), there on batches of 12."""
_WARMED_UP = Recipe(learning_rate=0.01, warmup=0.05, clip_norm=1.0)
"""The programme and job script of MLP-Mixer's authors (MLPMixerHAR, ``main.py``): 500 of 10 000 steps warm up."""

_PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("attend_discriminate", "deep", "Abedin 2021", Recipe(), _plain(AttendDiscriminate)),
        Peer("cnn_har", "deep", "Yang 2015", _BY_SGD, _plain(CnnHar)),
        Peer("deepconv_lstm", "deep", "Ordonez 2016", Recipe(), _plain(DeepConvLstm)),
        Peer("dynamic_whar", "deep", "Miao 2022", Recipe(), _graph),
        Peer("forest", "classical", "Breiman 2001"),
        Peer("forest_extended", "classical", "Breiman 2001"),
        Peer("lightgbm", "classical", "Ke 2017"),
        Peer("minirocket", "classical", "Dempster 2021", packages=("sktime", "numba")),
        Peer("mlp_mixer", "deep", "Ojiako 2023", _WARMED_UP, _plain(MlpMixer)),
        Peer("tinierhar", "deep", "Bian 2025", Recipe(weight_decay=0.01), _plain(TinierHar)),
        Peer("tinyhar", "deep", "Zhou 2022", Recipe(), _plain(TinyHar)),
    )
}


def list_peers(kind: Kind | None = None) -> tuple[str, ...]:
    """Return the names of all peers, or of those of one kind, sorted.

    Examples
    --------
    >>> list_peers("classical")
    ('forest', 'forest_extended', 'lightgbm', 'minirocket')
    """
    return tuple(sorted(name for name, peer in _PEERS.items() if kind in (None, peer.kind)))


def get_peer(name: str) -> Peer:
    """Return a peer by name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in _PEERS:
        raise unknown_name("peer", name, _PEERS)
    return _PEERS[name]


def build_peer(name: str, layouts: Sequence[BranchLayout], n_classes: int) -> SingleHead:
    """Return an untrained deep peer for these branches; its normalisers still have to be fitted.

    Raises
    ------
    ConfigError
        If there is no peer of that name, or it is not a network.
    """
    peer = get_peer(name)
    if peer.body is None:
        raise ConfigError("only a deep peer is a network", f"'{name}'", f"Take one of {', '.join(list_peers('deep'))}.")
    return SingleHead(layouts, peer.body(layouts, n_classes))
