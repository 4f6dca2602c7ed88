"""Images with boxes or masks, as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.data._pillow import pillow
from searchspace.support.errors import UserError

NO_BOX = -1.0


class DenseImages(NamedTuple):
    """Images uint8 (n, 3, size, size) with targets: boxes float32 (n, boxes, 5) or masks int64 (n, size, size)."""

    images: NDArray[np.uint8]
    targets: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class DenseParts:
    """The parts of a data set, and sentences on what was left out of it."""

    classes: tuple[str, ...]
    train: DenseImages
    search: DenseImages
    test: DenseImages
    notes: tuple[str, ...] = ()


def padded(boxes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return rows of class, cy, cx, h, w as one array (n, boxes, 5), class -1 where an image has fewer."""
    widest = max([1, *map(len, boxes)])
    targets = np.zeros((len(boxes), widest, 5), np.float32)
    targets[..., 0] = NO_BOX
    for row, of_image in zip(targets, boxes, strict=True):
        row[: len(of_image)] = of_image
    return targets


def read_image(path: Path, image_size: int) -> NDArray[np.uint8]:
    """Return an image as RGB (3, size, size), stretched to a square; raises UserError naming a damaged one."""
    try:
        with pillow().open(path) as image:
            upright = pillow("ImageOps").exif_transpose(image).convert("RGB")
            resized = upright.resize((image_size, image_size), pillow().Resampling.BILINEAR)
    except FileNotFoundError:
        raise UserError(f"there is no image {path}") from None
    except Exception as error:  # Pillow's decoders raise dozens of types for damaged files
        raise UserError(f"{path} is not a readable image ({error or type(error).__name__})") from error
    return np.ascontiguousarray(np.asarray(resized, np.uint8).transpose(2, 0, 1))


def is_search(name: str, seed: int) -> bool:
    """Tell whether a training image belongs to the search split: a tenth of them, by a hash of name and seed."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()[0] < 26
