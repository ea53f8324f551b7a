"""DGL: the encoders learn from their own heads alone, the fusion from the joint loss alone."""

from __future__ import annotations

from typing import Any

from dcdp.balance.rule import BalanceRule

__all__ = ["Dgl"]


class Dgl(BalanceRule):
    """Disentangled gradient learning.

    ::

        encoder m:  gradient of L_m alone, the loss of its own head
        fusion:     gradient of L_joint alone, on embeddings cut off from the encoders

    References
    ----------
    Wei, Luo, Luo (2025). Boosting Multimodal Learning via Disentangled Gradient Learning. ICCV, arXiv 2507.10213.

    Notes
    -----
    Certain: the joint loss is cut off before the encoders, which learn from losses of their own instead, and these
    leave the fusion alone. Ours:

    - the losses of their own are those of our branch heads; the paper's come from the fusion module with the other
      modalities taken away;
    - branch losses are averaged over branches, where the public code adds them up with weight 4 by default. Without
      contrast no parameter learns from both losses, so this is a factor on its whole gradient, which AdamW divides out;
    - contrast between branches, where the objective has it, still reaches the encoders; weigh it 0 for the paper's;
    - no coefficient is needed, so SGD and adaptive optimisers do the same. What is logged as coefficient is 1.
    """

    def forward_options(self) -> dict[str, Any]:
        """Cut the joint head off from the encoders."""
        return {"detach_fusion": True}
