"""Make training windows vary the way new people, mountings and sensors do, on the batch."""

from __future__ import annotations

from dcdp.augmentation.chain import augment
from dcdp.augmentation.config import AugmentConfig
from dcdp.augmentation.rotation import random_rotations

__all__ = ["AugmentConfig", "augment", "random_rotations"]
