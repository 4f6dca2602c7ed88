"""Where images come from: a data specification is opened as lists of labelled items that are decoded later.

A source only lists its images; nothing is decoded until a split asks for it. `Items.names` identify images
across runs and machines, because the splits are drawn by hashing them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from nas.data._folders import open_image_folder
from nas.data._items import Items
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

# Mean and standard deviation of the RGB channels in [0, 1].
IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
DIGITS_STATISTICS = ((0.3053,) * 3, (0.3760,) * 3)

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

KINDS = "digits, cifar10:FOLDER, imagefolder:FOLDER_OR_ZIP, datasets:NAME_OR_FOLDER"


@dataclass(frozen=True, kw_only=True)
class Source:
    """An opened data specification; `search` and `test` are None where the source has no such part of its
    own.

    `native_size` is the side in pixels shared by all images, or None where sizes differ. `shift` is the
    padding of the random crop for small images; `flip` says whether a mirrored image keeps its class.
    """

    spec: str
    classes: tuple[str, ...]
    train: Items
    search: Items | None
    test: Items | None
    statistics: tuple[tuple[float, ...], tuple[float, ...]]
    native_size: int | None = None
    shift: int = 0
    flip: bool = True


def open_source(spec: str) -> Source:
    """Open a data specification such as `cifar10:PATH`; raises UserError naming what is wrong and where."""
    kind, _, location = spec.partition(":")
    if kind == "digits" and not location:
        return _open_digits(spec)
    openers = {"cifar10": _open_cifar10, "imagefolder": _open_imagefolder, "datasets": _open_datasets}
    if kind not in openers:
        raise UserError(f"unknown data set '{spec}'; expected one of: {KINDS}")
    if not location:
        raise UserError(f"the data set '{spec}' needs a place after the colon, for example {kind}:FOLDER")
    return openers[kind](spec, location)


def _open_digits(spec: str) -> Source:
    bunch = optional_import("sklearn.datasets", purpose="--data digits", extra="data").load_digits()
    pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    items = Items(
        names=tuple(f"{index:04d}" for index in range(len(pixels))),
        labels=bunch.target.astype(np.int64),
        open_image=lambda index: Image.fromarray(pixels[index]),
        origin="digits",
        fingerprint="scikit-learn digits",
    )
    return Source(
        spec=spec,
        classes=tuple(str(digit) for digit in range(10)),
        train=items,
        search=None,
        test=None,
        statistics=DIGITS_STATISTICS,
        native_size=8,
        shift=1,
        flip=False,
    )


def _open_cifar10(spec: str, location: str) -> Source:
    from nas.data._cifar import open_cifar10_parts

    train, test = open_cifar10_parts(location, CIFAR10_CLASSES)
    return Source(
        spec=spec,
        classes=CIFAR10_CLASSES,
        train=train,
        search=None,
        test=test,
        statistics=CIFAR10_STATISTICS,
        native_size=32,
        shift=4,
    )


def _open_imagefolder(spec: str, location: str) -> Source:
    folder = open_image_folder(location)
    return Source(
        spec=spec,
        classes=folder.classes,
        train=folder.train,
        search=folder.search,
        test=folder.test,
        statistics=IMAGENET_STATISTICS,
    )


def _open_datasets(spec: str, location: str) -> Source:
    from nas.data._datasets import open_datasets_parts

    classes, parts = open_datasets_parts(location)
    return Source(
        spec=spec,
        classes=classes,
        train=parts["train"],
        search=parts.get("validation"),
        test=parts.get("test"),
        statistics=IMAGENET_STATISTICS,
    )
