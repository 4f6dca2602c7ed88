"""Loading a data set: `load_data(spec, image_size, seed)` gives train and search splits, the test split on request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from nas.data import _splits
from nas.data._cache import Progress, decode_items
from nas.data._items import Items
from nas.data._sources import Source, open_source
from nas.data.augment import CENTRE_CROP, Augmentation, scaled_side
from nas.data.batches import MemorySplit, Split
from nas.data.streaming import StreamedSplit
from searchspace.low_resolution import size_to_run_at
from searchspace.support.errors import UserError

_LOG = logging.getLogger(__name__)
# Sets that take more than this when decoded are decoded anew in every epoch.
DECODED_LIMIT_BYTES = 4 * 2**30


class Prepared(Protocol):
    """How weights expect their images: what `nas.weights.Preparation` says of them."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, in [0, 1]."""

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, in [0, 1]."""

    @property
    def crop(self) -> float:
        """Side of the centre crop over that of the scaled image."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A loaded data set: its classes, the statistics it is normalised with, and the splits a search may see.

    `numbered` says that the classes are bare indices, `has_test` that the data set brings a test part of its own,
    `notes` are sentences about what was left out of it. The test split is deliberately no field: only `test_split()`
    opens it. `crop` is the side of the centre crop over that of the scaled image, 1 where nothing is cut off.
    """

    spec: str
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float
    train: Split
    search: Split
    numbered: bool
    has_test: bool
    notes: tuple[str, ...]
    _open_test: Callable[[], Split]
    _load_at: Callable[[int], Data]

    def test_split(self) -> Split:
        """Open the test split, for the one final evaluation of a finished network."""
        return self._open_test()

    def at_size(self, image_size: int) -> Data:
        """Return the same splits for networks of another resolution in pixels."""
        return self if image_size == self.image_size else self._load_at(image_size)


def load_data(
    spec: str,
    image_size: int | None = None,
    seed: int = 0,
    subset: int | None = None,
    *,
    resolution: int = 224,
    preparation: Prepared | None = None,
    progress: Progress | None = None,
    quiet: bool = False,
) -> Data:
    """Load the data set a specification names, ready for networks of `image_size` pixels.

    `image_size` defaults to the network's `resolution`, and for sets of images smaller than 64 pixels to their own
    side where that is smaller (`searchspace.low_resolution.size_to_run_at`). `seed` draws the search split from
    the training images; the test images are the same for every seed. `subset` keeps that many training and at
    most that many test images. `preparation` is that of weights: its mean and deviation replace the data set's own, and
    its crop the centre crop of large images; images smaller than 64 pixels are never cropped.
    What was left out is logged as a warning, unless `quiet`, and stands in the result's `notes`.
    Raises UserError naming what is wrong with the specification, a folder or an image.
    """
    source = open_source(spec)
    for note in () if quiet else source.parts.notes:
        _LOG.warning("%s: %s", spec, note)
    size = image_size if image_size is not None else size_to_run_at(resolution, source.native_size)
    if size < 1:
        raise UserError(f"the image size is {size}, expected a positive number of pixels")
    mean, std = (preparation.mean, preparation.std) if preparation is not None else source.statistics
    crop = 1.0 if source.native_size else preparation.crop if preparation is not None else CENTRE_CROP
    stored = source.native_size or scaled_side(size, crop)
    augmentation = Augmentation(
        image_size=size, stored_size=stored, shift=source.shift, flip=source.flip, mean=mean, std=std
    )
    train, search, open_test = _draw_splits(source, seed, subset, augmentation, progress)
    return Data(
        spec=spec,
        classes=source.parts.classes,
        image_size=size,
        mean=mean,
        std=std,
        crop=crop,
        train=train,
        search=search,
        numbered=source.parts.numbered,
        has_test=source.parts.test is not None,
        notes=source.parts.notes,
        _open_test=open_test,
        _load_at=lambda other: load_data(
            spec, other, seed, subset, preparation=preparation, progress=progress, quiet=True
        ),
    )


def _draw_splits(
    source: Source, seed: int, subset: int | None, augmentation: Augmentation, progress: Progress | None
) -> tuple[Split, Split, Callable[[], Split]]:
    parts = source.parts
    pool, carved = _splits.pool_and_test(parts)
    pool = _splits.take_subset(parts.train, pool, subset)
    tested = parts.test if parts.test is not None else parts.train
    test = _splits.take_subset(tested, np.arange(len(tested)) if carved is None else carved, subset)
    if parts.search is None:
        train, search = _splits.train_and_search(parts.train, pool, seed)
        opened = _open_splits(parts.train, augmentation, progress, pool, train, search)
    else:
        rows = _splits.take_subset(parts.search, np.arange(len(parts.search)), subset)
        opened = _open_splits(parts.train, augmentation, progress, pool, pool) + _open_splits(
            parts.search, augmentation, progress, rows, rows
        )
    return opened[0], opened[1], lambda: _open_splits(tested, augmentation, progress, test, test)[0]


def _open_splits(
    items: Items,
    augmentation: Augmentation,
    progress: Progress | None,
    stored: _splits.Indices,
    *parts: _splits.Indices,
) -> list[Split]:
    """Return a split for each part of the `stored` items: decoded once where they fit in memory, else streamed."""
    if 3 * augmentation.stored_size**2 * len(stored) > DECODED_LIMIT_BYTES:
        return [StreamedSplit(items, part, augmentation) for part in parts]
    images = decode_items(items, stored, augmentation.stored_size, progress)
    labels = torch.from_numpy(items.labels[stored])
    return [
        MemorySplit(images, labels, torch.from_numpy(np.searchsorted(stored, part)), augmentation) for part in parts
    ]
