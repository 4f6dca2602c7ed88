"""The task: multibox loss with hard negatives, and COCO's mean average precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nas.tasks.detection._anchors import anchors_of
from nas.tasks.detection._boxes import corners, encode_boxes
from nas.tasks.detection._find import detections
from nas.tasks.detection._match import match
from searchspace.heads import SSDLite
from searchspace.support.optional import optional_import

NEGATIVES = 3  # for each matched anchor, the hardest ones (SSD, section 2.2)


@dataclass(frozen=True)
class Detection:
    """SSD's multibox loss, COCO's mAP at overlaps from 0.5 to 0.95; targets (n, boxes, 5)."""

    head: SSDLite
    image_size: int
    name: str = "detection"
    metric: str = "map"

    def anchors(self, device: torch.device) -> Tensor:
        """Return the anchors on a device."""
        return _anchors(self.head, self.image_size).to(device)

    def loss(self, outputs: Mapping[str, Tensor], targets: Tensor, label_smoothing: float) -> Tensor:
        """Return smooth L1 of matched boxes and cross-entropy of them and hard negatives, per matched anchor."""
        scores, labels, positive = self._scored(outputs, targets)
        anchors = self.anchors(targets.device)
        wanted = torch.stack([encode_boxes(match(one, anchors)[1], anchors) for one in targets])
        boxes = functional.smooth_l1_loss(outputs["boxes"].float()[positive], wanted[positive], reduction="sum")
        flat = functional.cross_entropy(
            scores.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=label_smoothing
        )
        each = flat.view_as(labels)
        hard = each.detach().masked_fill(positive, -1.0)
        rank = hard.argsort(dim=1, descending=True).argsort(dim=1)
        negative = (rank < NEGATIVES * positive.sum(1, keepdim=True).clamp(min=1)) & ~positive
        return (boxes + each[positive | negative].sum()) / positive.sum().clamp(min=1)

    def correct(self, outputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Return the share of matched anchors classified rightly, summed over the images."""
        scores, labels, positive = self._scored(outputs, targets)
        right = (scores.detach().argmax(-1) == labels) & positive
        return (right.sum(1) / positive.sum(1).clamp(min=1)).sum()

    def meter(self) -> DetectionMeter:
        """Return a new meter; raises UserError without the extra `detection`."""
        return DetectionMeter(self)

    def _scored(self, outputs: Mapping[str, Tensor], targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        anchors = self.anchors(targets.device)
        labels = torch.stack([match(one, anchors)[0] for one in targets])
        return outputs["scores"].float(), labels, labels > 0


@lru_cache(maxsize=8)
def _anchors(head: SSDLite, image_size: int) -> Tensor:
    return anchors_of(head, image_size)


class DetectionMeter:
    """COCO's mAP, by pycocotools; boxes are handed over in pixels of the images as they are run."""

    def __init__(self, task: Detection) -> None:
        self.task = task
        self.coco: Any = optional_import("pycocotools.coco", purpose="measuring mAP", extra="detection")
        self.evaluation: Any = optional_import("pycocotools.cocoeval", purpose="measuring mAP", extra="detection")
        self._truth: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []
        self._images = 0

    def update(self, outputs: Mapping[str, Tensor], targets: Tensor) -> None:
        """Take a batch of outputs and targets (n, boxes, 5)."""
        found = detections(outputs, self.task.anchors(targets.device))
        for one, target in zip(found, targets, strict=True):
            self._images += 1
            there = target[target[:, 0] >= 0]
            for label, box in zip(there[:, 0].tolist(), self._in_pixels(corners(there[:, 1:])), strict=True):
                self._truth.append(self._entry(label, box) | {"id": len(self._truth) + 1, "iscrowd": 0})
            columns = zip(one.classes.tolist(), self._in_pixels(one.boxes), one.scores.tolist(), strict=True)
            self._found += [self._entry(label, box) | {"score": score} for label, box, score in columns]

    def values(self) -> dict[str, float]:
        """Return `map` (overlaps 0.5 to 0.95) and `map50` in per cent."""
        if not self._found or not self._truth:
            return {"map": 0.0, "map50": 0.0}
        from latency_lut.tflite.runtime import quiet

        with quiet():
            truth = self.coco.COCO()
            truth.dataset = {
                "info": {},
                "images": [{"id": number + 1} for number in range(self._images)],
                "categories": [{"id": number + 1} for number in range(self.task.head.classes)],
                "annotations": self._truth,
            }
            truth.createIndex()
            evaluation = self.evaluation.COCOeval(truth, truth.loadRes(self._found), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return {"map": 100 * float(evaluation.stats[0]), "map50": 100 * float(evaluation.stats[1])}

    def _in_pixels(self, boxes: Tensor) -> list[list[float]]:
        """Return corner boxes as COCO's x, y, width, height in pixels."""
        y1, x1, y2, x2 = (boxes * self.task.image_size).unbind(-1)
        pixels: list[list[float]] = torch.stack((x1, y1, x2 - x1, y2 - y1), dim=-1).tolist()
        return pixels

    def _entry(self, label: float, box: list[float]) -> dict[str, Any]:
        return {"image_id": self._images, "category_id": int(label) + 1, "bbox": box, "area": box[2] * box[3]}
