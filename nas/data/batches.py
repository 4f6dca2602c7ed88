"""A split of labelled images in memory and its batches, a function of seed, epoch and step only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from nas.data._prefetch import prefetched
from nas.data.augment import Augmentation
from searchspace.support.errors import UserError


class Batch(NamedTuple):
    """Normalised images (n, 3, size, size) float32 and their class indices (n,) int64."""

    images: Tensor
    labels: Tensor


class Shard(NamedTuple):
    """Which part of every global batch one of several processes takes."""

    rank: int = 0
    of: int = 1


ALONE = Shard()


class Split(Protocol):
    """Labelled images of one part of a data set."""

    def __len__(self) -> int:
        """Return the number of images."""

    def to(self, device: torch.device | str) -> Split:
        """Return the split with its batches made on a device."""

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of full training batches in one pass."""

    def train_batches(
        self, batch_size: int, *, seed: int, epoch: int = 0, start: int = 0, shard: Shard = ALONE
    ) -> Iterator[Batch]:
        """Yield one epoch of shuffled, augmented, full batches, from batch `start` on."""

    def batches(self, batch_size: int) -> EvaluationBatches:
        """Return all images in order, unaugmented, as batches that can be iterated any number of times."""

    def images_at(self, indices: Tensor) -> Tensor:
        """Return normalised, unaugmented images (n, 3, size, size) at the indices."""


def sample(split: Split, count: int, seed: int) -> Batch:
    """Return at most `count` unaugmented images and their labels, drawn at random without repetition.

    Data sets come sorted by class: their first images would be of one class.
    """
    rng = np.random.default_rng([seed, 0xCA1])
    drawn = torch.from_numpy(np.sort(rng.choice(len(split), size=min(count, len(split)), replace=False)))
    labels = split.batches(1).labels
    return Batch(split.images_at(drawn), labels[drawn.to(labels.device)])


@dataclass(frozen=True)
class EvaluationBatches:
    """All images of a split in order and without augmentation; the last batch may be smaller.

    Up to `ahead` batches are prepared in a thread while the caller works on another.
    """

    split: Split
    labels: Tensor
    batch_size: int
    ahead: int = 0

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return prefetched(self._in_order(), self.ahead) if self.ahead else self._in_order()

    def _in_order(self) -> Iterator[Batch]:
        for start in range(0, len(self.split), self.batch_size):
            indices = torch.arange(start, min(start + self.batch_size, len(self.split)))
            yield Batch(self.split.images_at(indices), self.labels[indices.to(self.labels.device)])


@dataclass(frozen=True)
class MemorySplit:
    """A split whose decoded images lie in memory: uint8 `images` (stored, 3, side, side), `labels` (stored,).

    `indices` (n,) picks the split's rows of both, so that splits of one set share their memory.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    augmentation: Augmentation

    def __len__(self) -> int:
        return len(self.indices)

    def to(self, device: torch.device | str) -> MemorySplit:
        """Return the split with its images on a device, where batches are then made without any copying."""
        return MemorySplit(self.images.to(device), self.labels.to(device), self.indices.to(device), self.augmentation)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of full training batches in one pass (one batch of everything for a smaller
        split)."""
        return max(1, len(self) // batch_size)

    def train_batches(
        self, batch_size: int, *, seed: int, epoch: int = 0, start: int = 0, shard: Shard = ALONE
    ) -> Iterator[Batch]:
        """Yield one epoch of shuffled, augmented, full batches, from batch `start` on.

        `batch_size` counts the images of all shards together. Batch k of an epoch is the same whether or not
        the batches before it were drawn.
        """
        order = shuffled(len(self), seed, epoch)
        for step in range(start, self.steps_per_epoch(batch_size)):
            chosen = shard_of(order[step * batch_size : (step + 1) * batch_size], shard)
            rows = self.indices[torch.from_numpy(chosen).to(self.indices.device)]
            images = self.augmentation.train(self.images[rows], seed=batch_seed(seed, epoch, step, shard.rank))
            yield Batch(images, self.labels[rows])

    def batches(self, batch_size: int) -> EvaluationBatches:
        """Return all images in order, unaugmented, as batches that can be iterated any number of times."""
        return EvaluationBatches(self, self.labels[self.indices], batch_size)

    def images_at(self, indices: Tensor) -> Tensor:
        """Return normalised, unaugmented images (n, 3, size, size) at the indices."""
        return self.augmentation.evaluate(self.images[self.indices[indices.to(self.indices.device)]])


def endless_batches(split: Split, batch_size: int, *, seed: int) -> Iterator[Batch]:
    """Yield augmented training batches for ever, one epoch after another."""
    epoch = 0
    while True:
        yield from split.train_batches(batch_size, seed=seed, epoch=epoch)
        epoch += 1


def shuffled(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return a permutation of 0..count-1, a function of seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def batch_seed(seed: int, epoch: int, step: int, rank: int = 0) -> int:
    """Return the seed of everything random in one batch."""
    return int(np.random.SeedSequence([seed, epoch, step, rank]).generate_state(1, np.uint64)[0] >> 1)


def shard_of(batch: np.ndarray, shard: Shard) -> np.ndarray:
    """Return this shard's images of a global batch."""
    if len(batch) < shard.of:
        raise UserError(f"a batch of {len(batch)} images cannot be shared by {shard.of} processes")
    return batch[shard.rank :: shard.of]
