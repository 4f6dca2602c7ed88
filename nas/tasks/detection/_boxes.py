"""Boxes: corners, overlap, their code relative to anchors, and non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor

# What offsets of centres and logarithms of sides are divided by (SSD, Liu et al., arXiv 1512.02325).
CENTRE, SIDE = 0.1, 0.2
_LARGEST_LOG = 4.0


def corners(boxes: Tensor) -> Tensor:
    """Turn cy, cx, h, w (..., 4) into y1, x1, y2, x2."""
    half = boxes[..., 2:] / 2
    return torch.cat((boxes[..., :2] - half, boxes[..., :2] + half), dim=-1)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Return intersection over union (n, m) of corner boxes (n, 4) and (m, 4)."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1) for boxes in (first, second)]
    return shared / (areas[0][:, None] + areas[1][None] - shared).clamp(min=1e-9)


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return the code of boxes relative to anchors, both cy, cx, h, w (..., 4)."""
    centres = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:] / CENTRE
    sides = torch.log(boxes[..., 2:].clamp(min=1e-6) / anchors[..., 2:]) / SIDE
    return torch.cat((centres, sides), dim=-1)


def decode_boxes(code: Tensor, anchors: Tensor) -> Tensor:
    """Return boxes cy, cx, h, w (..., 4) from their code; the inverse of `encode_boxes`."""
    centres = code[..., :2] * CENTRE * anchors[..., 2:] + anchors[..., :2]
    sides = (code[..., 2:] * SIDE).clamp(max=_LARGEST_LOG).exp() * anchors[..., 2:]
    return torch.cat((centres, sides), dim=-1)


def nms(boxes: Tensor, scores: Tensor, *, overlap: float = 0.6, most: int = 100) -> Tensor:
    """Return the indices, best first, of at most `most` corner boxes (n, 4) that no better one overlaps by more."""
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    left = order
    while len(left) and len(kept) < most:
        best = int(left[0])
        kept.append(best)
        rest = left[1:]
        left = rest[iou(boxes[best][None], boxes[rest])[0] <= overlap]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
