"""Labelled images that are listed but not yet decoded, and what an opened data set is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
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


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every kind of data set opens as; `search` and `test` are None where it has no such part of its own.

    `numbered` says that the classes are bare indices, without names. `notes` are sentences about what was left out or
    looks odd, to be told to whoever gave the data.
    """

    classes: tuple[str, ...]
    train: Items
    search: Items | None = None
    test: Items | None = None
    numbered: bool = False
    notes: tuple[str, ...] = ()
