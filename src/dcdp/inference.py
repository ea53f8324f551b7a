"""Run a trained network over many windows, once, and keep what evaluation asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dcdp.batches import Batches
from dcdp.models.dual_path import DualPath

__all__ = ["Inferred", "infer", "softmax"]

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inferred:
    """What a network says of N windows.

    Attributes
    ----------
    joint
        (N, K) logits.
    branch
        (N, M, K) logits.
    embedding
        (N, M, E), 0 where a branch is absent.
    stages
        One (N, M, S, D) array a contrast stage; empty unless asked for.
    present
        (N, M) bool.
    expert
        (N, M, K) log-probabilities of each branch's trees, or None; their say is in ``joint`` and ``branch``.
    """

    joint: Array
    branch: Array
    embedding: Array
    stages: tuple[Array, ...]
    present: NDArray[np.bool_]
    expert: Array | None = None

    def probability(self, temperature: float = 1.0) -> Array:
        """Return joint probabilities (N, K)."""
        return softmax(self.joint / temperature)

    def without(self, network: DualPath, used: NDArray[np.bool_], temperature: float = 1.0) -> Array:
        """Return probabilities (N, K) if only the branches of ``used`` (M,) were there; equal ones where none is.

        The encoders are not run again: absence acts on the fusion alone.
        """
        left = self.present & used
        with torch.inference_mode():
            device = next(network.parameters()).device
            expert = None if self.expert is None else _tensor(self.expert, device)
            logits = network.classify(_tensor(self.embedding, device), _tensor(left, device), expert).cpu().numpy()
        logits[~left.any(1)] = 0
        return softmax(logits / temperature)


def infer(network: DualPath, batches: Batches, *, contrast: bool = False, batch_size: int = 256) -> Inferred:
    """Run the network over all windows, in order, without gradients.

    Parameters
    ----------
    network
        Put into evaluation mode, and left there.
    batches
        N >= 1 windows.
    contrast
        Whether to keep the stage embeddings.
    batch_size
        Windows at a time; bounds the memory, not the result. What a layer makes of them should fit a CPU's caches.
    """
    network.eval()
    parts, experts = [], []
    with torch.inference_mode():
        for start in range(0, len(batches), batch_size):
            batch = batches.gather(np.arange(start, min(start + batch_size, len(batches))))
            out = network(batch.inputs, batch.present, contrast=contrast)
            parts.append([out.joint, out.branch, out.embedding, *out.stages])
            experts += [] if out.expert is None else [out.expert.cpu().numpy()]
    joint, branch, embedding, *stages = (torch.cat(column).float().cpu().numpy() for column in zip(*parts, strict=True))
    expert = np.concatenate(experts) if experts else None
    return Inferred(joint, branch, embedding, tuple(stages), batches.present, expert)


def softmax(logits: NDArray[np.floating]) -> Array:
    """Softmax over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    share: Array = (shifted / shifted.sum(-1, keepdims=True)).astype(np.float32)
    return share


def _tensor(array: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)
