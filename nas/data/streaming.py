"""A split too large for memory: images are read, decoded and cropped by a pool of threads ahead of the step.

Pillow releases the interpreter lock while it decodes and scales, so threads keep all cores busy without a second
process or a copy. A random crop is cut while decoding, so no pixel outside it is ever scaled.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.data._cache import pixels_of, resize_and_crop
from nas.data._decode import open_rgb
from nas.data._items import Items
from nas.data._pillow import pillow
from nas.data._prefetch import prefetched
from nas.data.augment import INCEPTION_CROP_AREA, Augmentation
from nas.data.batches import ALONE, Batch, EvaluationBatches, Shard, batch_seed, shard_of, shuffled

BATCHES_AHEAD = 3
CROP_ASPECT_RATIOS = (3 / 4, 4 / 3)
CROP_ATTEMPTS = 10


@dataclass(frozen=True)
class StreamedSplit:
    """The items at `indices` (n,), decoded whenever a batch needs them; batches are finished on `device`."""

    items: Items
    indices: NDArray[np.int64]
    augmentation: Augmentation
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        return len(self.indices)

    def to(self, device: torch.device | str) -> StreamedSplit:
        """Return the split with its batches finished on a device."""
        return StreamedSplit(self.items, self.indices, self.augmentation, device)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of full training batches in one pass (one batch of everything for a smaller split)."""
        return max(1, len(self) // batch_size)

    def train_batches(
        self, batch_size: int, *, seed: int, epoch: int = 0, start: int = 0, shard: Shard = ALONE
    ) -> Iterator[Batch]:
        """Yield one epoch of shuffled, augmented, full batches, from batch `start` on; as `MemorySplit` does."""
        order = shuffled(len(self), seed, epoch)
        steps = range(start, self.steps_per_epoch(batch_size))
        chosen = (shard_of(order[step * batch_size : (step + 1) * batch_size], shard) for step in steps)
        seeds = [batch_seed(seed, epoch, step, shard.rank) for step in steps]
        cropped = self._cropped(zip(chosen, seeds, strict=False))
        for (images, labels), one_seed in zip(prefetched(cropped, BATCHES_AHEAD), seeds, strict=True):
            placed = images.to(self.device, non_blocking=True)
            yield Batch(self.augmentation.finish(placed, one_seed), labels.to(self.device, non_blocking=True))

    def batches(self, batch_size: int) -> EvaluationBatches:
        """Return all images in order, unaugmented, as batches that can be iterated any number of times."""
        return EvaluationBatches(self, torch.from_numpy(self.items.labels[self.indices]), batch_size, ahead=2)

    def images_at(self, indices: Tensor) -> Tensor:
        """Return normalised, unaugmented images (n, 3, size, size) at the indices."""
        stored = self.augmentation.stored_size

        def decode(row: int) -> NDArray[np.uint8]:
            return pixels_of(resize_and_crop(open_rgb(self.items, row, stored), stored))

        with _pool() as pool:
            pixels = list(pool.map(decode, self.indices[indices.numpy()].tolist()))
        return self.augmentation.evaluate(torch.from_numpy(np.stack(pixels)).to(self.device))

    def _cropped(self, batches: Iterator[tuple[NDArray[np.int64], int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield uint8 images (n, 3, size, size), each a random crop, and their labels (n,)."""
        size = self.augmentation.image_size

        def decode(row: int, seed: int) -> NDArray[np.uint8]:
            # Twice the size: a small crop of a reduced image would come out blurred.
            image = open_rgb(self.items, row, 2 * size)
            box = random_crop_box(*image.size, np.random.default_rng([seed, row]))
            return pixels_of(image.resize((size, size), pillow().Resampling.BILINEAR, box=box))

        with _pool() as pool:
            for chosen, seed in batches:
                rows = self.indices[chosen]
                pixels = list(pool.map(decode, rows.tolist(), [seed] * len(rows)))
                yield torch.from_numpy(np.stack(pixels)), torch.from_numpy(self.items.labels[rows])


def random_crop_box(width: int, height: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of a random crop: 8 to 100 % of the area, aspect ratio 3:4 to 4:3.

    The procedure of Inception preprocessing (Szegedy et al. 2015): up to ten tries, else the largest centred crop
    of an allowed shape.
    """
    low, high = CROP_ASPECT_RATIOS
    for _ in range(CROP_ATTEMPTS):
        area = width * height * rng.uniform(*INCEPTION_CROP_AREA)
        ratio = math.exp(rng.uniform(math.log(low), math.log(high)))
        crop_width, crop_height = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if crop_width <= width and crop_height <= height:
            left, top = rng.uniform(0, width - crop_width), rng.uniform(0, height - crop_height)
            return left, top, left + crop_width, top + crop_height
    crop_width, crop_height = min(width, height * high), min(height, width / low)
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return left, top, left + crop_width, top + crop_height


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=os.cpu_count())
