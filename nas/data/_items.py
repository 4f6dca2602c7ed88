"""Labelled images that are listed but not yet decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Items:
    """Labelled images in a fixed order.

    `names` identify images across runs and machines (the splits are drawn by hashing them), `labels` are
    class indices (n,), `open_image(index)` returns the image undecoded or decoded, `origin` is the place to
    name in an error, and `fingerprint` changes when the images do.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    open_image: Callable[[int], Image.Image]
    origin: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.names)
