"""Segmentation: one class a pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = 255  # of a pixel that does not count, as in VOC's masks


@dataclass(frozen=True)
class Segmentation:
    """Cross-entropy of every pixel, mean intersection over union of `classes`, background among them."""

    classes: int
    name: str = "segmentation"
    metric: str = "miou"

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor, label_smoothing: float) -> Tensor:
        """Return the mean over the pixels that count; scores (n, classes, h, w), targets (n, h, w)."""
        scores = outputs["scores"].float()
        total = functional.cross_entropy(
            scores, targets, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing
        )
        return total / (targets != IGNORED).sum().clamp(min=1)

    def correct(self, outputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Return the share of pixels answered rightly, summed over the images."""
        counted = targets != IGNORED
        right = (outputs["scores"].detach().argmax(dim=1) == targets) & counted
        return (right.sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)).sum()

    def meter(self) -> SegmentationMeter:
        """Return a new meter."""
        return SegmentationMeter(self.classes)


class SegmentationMeter:
    """Intersection over union of each class that occurs in targets or answers, over all pixels of all images."""

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)  # (target, answer)

    def update(self, outputs: Mapping[str, Tensor], targets: Tensor) -> None:
        """Take scores (n, classes, h, w) and targets (n, h, w)."""
        answers = outputs["scores"].argmax(dim=1)
        counted = targets != IGNORED
        classes = len(self.confusion)
        pairs = targets[counted] * classes + answers[counted]
        self.confusion += torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).cpu()

    def values(self) -> dict[str, float]:
        """Return `miou` and `pixel_accuracy` in per cent."""
        right = self.confusion.diagonal().double()
        union = self.confusion.sum(0) + self.confusion.sum(1) - right
        seen = union > 0
        miou = float((right[seen] / union[seen]).mean()) if bool(seen.any()) else 0.0
        return {"miou": 100 * miou, "pixel_accuracy": 100 * float(right.sum() / self.confusion.sum().clamp(min=1))}
