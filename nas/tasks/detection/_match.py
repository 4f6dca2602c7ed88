"""Which anchor answers for which object."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.tasks.detection._boxes import corners, iou

MATCHED = 0.5  # intersection over union from which an anchor answers for an object (SSD, section 2.2)


def match(targets: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each anchor its class, 0 for background, and the box it answers for, cy, cx, h, w.

    `targets` (boxes, 5) are class and box, class -1 for none; `anchors` (anchors, 4). Every object gets the anchor that
    overlaps it most, and each other anchor the object it overlaps most, from one half on.
    """
    labels = torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device)
    boxes = anchors.clone()
    there = targets[targets[:, 0] >= 0]
    if not len(there):
        return labels, boxes
    overlap = iou(corners(there[:, 1:]), corners(anchors))
    best, chosen = overlap.max(dim=0)
    forced = overlap.argmax(dim=1)
    best[forced] = 2.0
    chosen[forced] = torch.arange(len(there), device=anchors.device)
    matched = best >= MATCHED
    labels[matched] = there[chosen[matched], 0].long() + 1
    boxes[matched] = there[chosen[matched], 1:]
    return labels, boxes
