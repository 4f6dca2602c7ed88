"""Where images come from: a data specification is opened as lists of labelled items that are decoded later.

A source only lists its images; nothing is decoded until a split asks for it. `Items.names` identify images
across runs and machines, because the splits are drawn by hashing them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.data._archive import shown
from nas.data._folders import open_image_folder
from nas.data._items import Items, Parts
from nas.data._pillow import pillow
from nas.data_kinds import DATA_KINDS
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

# Mean and standard deviation of the RGB channels in [0, 1].
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
DIGITS_STATISTICS = ((0.3053,) * 3, (0.3760,) * 3)

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """An opened data specification: its parts, and how its images are scaled and augmented.

    `native_size` is the side in pixels shared by all images, or None where sizes differ. `shift` is the
    padding of the random crop for small images; `flip` says whether a mirrored image keeps its class.
    """

    spec: str
    parts: Parts
    statistics: Statistics = IMAGENET_STATISTICS
    native_size: int | None = None
    shift: int = 0
    flip: bool = True


def open_source(spec: str) -> Source:
    """Open a data specification such as `cifar10:PATH`; raises UserError naming what is wrong and where."""
    kind, _, location = spec.partition(":")
    if kind == "digits" and not location:
        return Source(spec=spec, parts=_digits(), statistics=DIGITS_STATISTICS, native_size=8, shift=1, flip=False)
    if kind not in ("cifar10", "imagefolder", "datasets"):
        raise UserError(f"unknown data set '{shown(spec)}'; expected one of: {DATA_KINDS}")
    if not location:
        raise UserError(f"the data set '{spec}' needs a place after the colon, for example {kind}:FOLDER")
    if kind == "cifar10":
        from nas.data._cifar import open_cifar10

        return Source(spec=spec, parts=open_cifar10(location), statistics=CIFAR10_STATISTICS, native_size=32, shift=4)
    if kind == "datasets":
        from nas.data._datasets import open_dataset

        return Source(spec=spec, parts=open_dataset(location))
    return Source(spec=spec, parts=open_image_folder(location))


def _digits() -> Parts:
    bunch = optional_import("sklearn.datasets", purpose="--data digits", extra="data").load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    items = Items(
        names=tuple(f"{index:04d}" for index in range(len(pixels))),
        labels=bunch.target.astype(np.int64),
        open_image=lambda index: pillow().fromarray(pixels[index]),
        origin="digits",
        fingerprint="scikit-learn digits",
    )
    return Parts(classes=tuple(str(digit) for digit in range(10)), train=items)
