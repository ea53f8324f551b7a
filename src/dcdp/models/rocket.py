"""Describe the shapes of a branch's waveforms by fixed convolutions, as MiniRocket does, inside the network."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["RocketFeatures"]

_LENGTH = 9
_N_TWOS = 3
_MOST_CHANNELS = 3
_MOST_DILATIONS = 5
_MOST_HZ = 50.0
_GOLDEN = (5**0.5 - 1) / 2
_FITTED_ON = 1024
_STEEP = 1e6
_LEAST_STD = 1e-3


class RocketFeatures(nn.Module):
    """Shares of time in which the response to a fixed kernel exceeds a threshold, on the scale of the training windows.

    ::

        response_k(t) = sum_c sum_l w_k[l] x_c(t + dilation (l - 4)) - threshold_k
        feature_k     = (mean_t [response_k(t) > 0] - mean_k) / std_k

    The kernels are the 84 of MiniRocket: nine weights, three of them 2 and six -1, which sum to 0. Each is taken at up
    to five dilations, from 1 to an eighth of the window, with two thresholds, and reads a fixed random subset of the
    channels.

    Parameters
    ----------
    n_channels, n_samples, rate_hz
        C and T of the input, and its rate [Hz]. Above 50 Hz neighbouring samples are averaged first.
    seed
        Of the channels that each kernel reads.

    Attributes
    ----------
    n_features
        F, length of the output.

    References
    ----------
    Dempster, Schmidt, Webb (2021). MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
    Classification. KDD, arXiv 2012.08791.

    Notes
    -----
    Deviations: some 840 features a branch for 10 000 in all; every window is padded with zeros; thresholds are
    quantiles of the responses to many training windows for those to one; kernels read three channels at most and never
    two branches.
    """

    kernels: Tensor
    reads: Tensor
    threshold: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, n_channels: int, n_samples: int, rate_hz: float, seed: int = 0) -> None:
        super().__init__()
        self.stride = max(1, round(rate_hz / _MOST_HZ))
        self.dilations = _dilations(max(1, n_samples // self.stride))
        kernels = _kernels()
        n_levels, n_kernels, n_thresholds = len(self.dilations), len(kernels), 2
        self.n_features = n_levels * n_kernels * n_thresholds
        self.register_buffer("kernels", kernels, persistent=False)  # (84, 9)
        self.register_buffer("reads", _subsets(n_levels * n_kernels, n_channels, seed).view(n_levels, n_kernels, -1))
        self.register_buffer("threshold", torch.zeros(n_levels, n_kernels, n_thresholds))
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("std", torch.ones(self.n_features))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take thresholds and scale from standardised training windows ``x`` (N, C, T), N >= 1."""
        some = _thinned(x[:: max(1, len(x) // _FITTED_ON)], self.stride)
        n_kernels, n_thresholds = self.threshold.shape[1:]
        level = (torch.arange(1, n_kernels * n_thresholds + 1, device=x.device) * _GOLDEN % 1).view(n_kernels, -1)
        self.threshold.zero_()
        for i in range(len(self.dilations)):
            response = self._responses(some, i)[:, ::n_thresholds].transpose(0, 1).flatten(1) / _STEEP
            place = (level * (response.shape[1] - 1)).long()
            self.threshold[i] = response.sort(1).values.gather(1, place)
        shares = torch.cat([self._shares(part) for part in torch.split(x, 512)])
        self.mean.copy_(shares.mean(0))
        self.std.copy_(shares.std(0, correction=0).clamp_min(_LEAST_STD))

    def seen(self, keep: Tensor) -> Tensor:
        """Return 1 for every feature (B, F) whose channels are all kept, else 0, of channels kept (B, C), 1 or 0."""
        hidden = (1 - keep) @ self.reads.flatten(0, 1).T
        return (hidden == 0).to(keep.dtype).repeat_interleave(self.threshold.shape[-1], 1)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return (B, F) features of standardised windows ``x`` (B, C, T)."""
        return (self._shares(x) - self.mean) / self.std

    def _shares(self, x: Tensor) -> Tensor:
        x = _thinned(x, self.stride)
        return torch.cat([self._responses(x, i).clamp_(0, 1).mean(-1) for i in range(len(self.dilations))], 1)

    def _responses(self, x: Tensor, i: int) -> Tensor:
        """Return responses (B, 84 * thresholds, T) at dilation ``i``, so steep that clipped to [0, 1] they are steps.

        A product with shifted copies is several times faster on a CPU than a dilated convolution.
        """
        dilation, n = self.dilations[i], x.shape[-1]
        padded = nn.functional.pad(x, (dilation * (_LENGTH // 2),) * 2)
        shifted = torch.cat([padded[..., k * dilation : k * dilation + n] for k in range(_LENGTH)], 1)  # (B, 9 C, T)
        weight = (self.kernels.unsqueeze(-1) * self.reads[i].unsqueeze(1)).flatten(1)  # (84, 9 C)
        weight = weight.repeat_interleave(self.threshold.shape[-1], 0)
        weight = torch.cat([weight, -self.threshold[i].flatten().unsqueeze(1)], 1) * _STEEP
        return weight @ torch.cat([shifted, torch.ones_like(shifted[:, :1])], 1)


def _thinned(x: Tensor, stride: int) -> Tensor:
    """Average each ``stride`` samples; what is over at the end is left out."""
    if stride == 1 or x.shape[-1] < stride:
        return x
    n = x.shape[-1] // stride
    return x[..., : n * stride].reshape(*x.shape[:-1], n, stride).mean(-1)


def _kernels() -> Tensor:
    places = list(combinations(range(_LENGTH), _N_TWOS))
    kernels = torch.full((len(places), _LENGTH), -1.0)
    for row, own in zip(kernels, places, strict=True):
        row[list(own)] = 2.0
    return kernels


def _dilations(n_samples: int) -> tuple[int, ...]:
    """Return whole dilations, evenly spaced on a logarithmic scale, the widest of which spans the window."""
    widest = max((n_samples - 1) / (_LENGTH - 1), 1.0)
    return tuple(sorted({int(d) for d in np.geomspace(1, widest, _MOST_DILATIONS) + 1e-9}))


def _subsets(n: int, n_channels: int, seed: int) -> Tensor:
    """Return (n, C) of 0 and 1: in each row one to three channels."""
    rng = np.random.default_rng(seed)
    subsets = torch.zeros(n, n_channels)
    for row in subsets:
        size = int(rng.integers(1, min(n_channels, _MOST_CHANNELS) + 1))
        row[torch.from_numpy(rng.permutation(n_channels)[:size])] = 1.0
    return subsets
