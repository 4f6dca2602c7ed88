"""Images with boxes or masks: `load_dense(spec, task, image_size, seed)` gives train, search and test splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nas.data._coco import open_coco
from nas.data._dense_items import DenseImages, DenseParts
from nas.data._scenes import SCENES, scene_parts, scenes
from nas.data._sources import IMAGENET_STATISTICS
from nas.data._voc import open_voc
from nas.data.batches import ALONE, Batch, EvaluationBatches, Shard, batch_seed, shard_of, shuffled
from searchspace.support.errors import UserError

__all__ = ["DENSE_KINDS", "DenseData", "DenseSplit", "load_dense", "scenes"]

DENSE_KINDS = "scenes or scenes:COUNT, coco:DIR (boxes), voc:DIR (masks)"


@dataclass(frozen=True)
class DenseSplit:
    """A split in memory: uint8 `images` (n, 3, size, size) and `targets` of a task, see `nas.tasks`."""

    images: Tensor
    targets: Tensor
    boxes: bool

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> DenseSplit:
        """Return the split with its tensors on a device."""
        return DenseSplit(self.images.to(device), self.targets.to(device), self.boxes)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of full training batches in one pass."""
        return max(1, len(self) // batch_size)

    def train_batches(
        self, batch_size: int, *, seed: int, epoch: int = 0, start: int = 0, shard: Shard = ALONE
    ) -> Iterator[Batch]:
        """Yield one epoch of shuffled, full batches, half of the images mirrored, from batch `start` on."""
        order = shuffled(len(self), seed, epoch)
        for step in range(start, self.steps_per_epoch(batch_size)):
            chosen = torch.from_numpy(shard_of(order[step * batch_size : (step + 1) * batch_size], shard))
            rows = chosen.to(self.images.device)
            generator = torch.Generator().manual_seed(batch_seed(seed, epoch, step, shard.rank))
            flipped = (torch.rand(len(chosen), generator=generator) < 0.5).to(self.images.device)
            images, targets = self.images[rows], self.targets[rows].clone()
            images = torch.where(flipped[:, None, None, None], images.flip(-1), images)
            yield Batch(_normalised(images), _mirrored(targets, flipped, self.boxes))

    def batches(self, batch_size: int) -> EvaluationBatches:
        """Return all images in order as batches that can be iterated any number of times."""
        return EvaluationBatches(self, self.targets, batch_size)

    def images_at(self, indices: Tensor) -> Tensor:
        """Return normalised images (n, 3, size, size) at the indices."""
        return _normalised(self.images[indices.to(self.images.device)])


def _normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in IMAGENET_STATISTICS)
    return (images.float() / 255 - mean) / std


def _mirrored(targets: Tensor, flipped: Tensor, boxes: bool) -> Tensor:
    """Mirror boxes (n, boxes, 5) or masks (n, size, size) left to right where `flipped`."""
    if not boxes:
        return torch.where(flipped[:, None, None], targets.flip(-1), targets)
    mirrored = targets.clone()
    mirrored[..., 2] = torch.where(targets[..., 0] >= 0, 1 - targets[..., 2], targets[..., 2])
    return torch.where(flipped[:, None, None], mirrored, targets)


@dataclass(frozen=True, kw_only=True)
class DenseData:
    """A loaded data set with boxes or masks; masks count background as the first of the `classes`."""

    spec: str
    classes: tuple[str, ...]
    image_size: int
    train: DenseSplit
    search: DenseSplit
    test: DenseSplit
    notes: tuple[str, ...] = ()


def load_dense(spec: str, task: str, image_size: int, seed: int = 0, subset: int | None = None) -> DenseData:
    """Load a data set for detection or segmentation, its images resized to squares.

    `seed` draws the search split from the training images, and with it the scenes of each split. `subset` keeps so many
    training images. Raises UserError naming what is wrong with the specification, an annotation or an image.
    """
    kind, _, place = spec.partition(":")
    boxes = task == "detection"
    if kind == SCENES:
        parts = scene_parts(place, image_size, seed, boxes)
    elif kind == "coco" and place:
        if not boxes:
            raise UserError(f"{spec} holds boxes, for --task detection; masks are read from voc:DIR")
        parts = open_coco(place, image_size, seed, subset)
    elif kind == "voc" and place:
        if boxes:
            raise UserError(f"{spec} holds masks, for --task segmentation; boxes are read from coco:DIR")
        parts = open_voc(place, image_size, seed, subset)
    else:
        raise UserError(f"unknown data set {spec[:80]!r} for --task {task}; expected one of: {DENSE_KINDS}")
    return _loaded(spec, parts, image_size, subset, boxes)


def _loaded(spec: str, parts: DenseParts, image_size: int, subset: int | None, boxes: bool) -> DenseData:
    def split(part: DenseImages, most: int | None = None) -> DenseSplit:
        return DenseSplit(torch.from_numpy(part.images[:most]), torch.from_numpy(part.targets[:most]), boxes)

    return DenseData(
        spec=spec,
        classes=parts.classes,
        image_size=image_size,
        train=split(parts.train, subset),
        search=split(parts.search),
        test=split(parts.test),
        notes=parts.notes,
    )
