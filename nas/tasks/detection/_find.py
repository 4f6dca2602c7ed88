"""From a detector's outputs to what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from nas.tasks.detection._boxes import corners, decode_boxes, nms


class Found(NamedTuple):
    """What was found in one image, best first: corner boxes (n, 4) from 0 to 1, scores (n,), class indices (n,)."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


@torch.no_grad()
def detections(
    outputs: Mapping[str, Tensor], anchors: Tensor, *, score: float = 0.01, overlap: float = 0.6, most: int = 100
) -> list[Found]:
    """Return what was found in each image, suppressed class by class.

    `outputs` are a detector's `boxes` (n, anchors, 4) and `scores` (n, anchors, 1 + classes), before softmax.
    """
    chances = outputs["scores"].float().softmax(-1)[..., 1:]
    boxes = corners(decode_boxes(outputs["boxes"].float(), anchors)).clamp(0, 1)
    return [_of_image(*pair, score, overlap, most) for pair in zip(boxes, chances, strict=True)]


def _of_image(boxes: Tensor, chances: Tensor, score: float, overlap: float, most: int) -> Found:
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for label in range(chances.shape[1]):
        of_class = chances[:, label]
        likely = (of_class > score).nonzero()[:, 0]
        likely = likely[of_class[likely].argsort(descending=True, stable=True)[: 4 * most]]
        kept = likely[nms(boxes[likely], of_class[likely], overlap=overlap, most=most)]
        rows.append((boxes[kept], of_class[kept], torch.full_like(kept, label)))
    found = Found(*(torch.cat(column) for column in zip(*rows, strict=True)))
    order = found.scores.argsort(descending=True, stable=True)[:most]
    return Found(*(column[order] for column in found))
