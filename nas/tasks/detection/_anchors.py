"""The anchors of SSDLite, laid out as TensorFlow's object detection models do."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from searchspace.heads import SSDLite

LOWEST, HIGHEST = 0.2, 0.95  # scales of the first and the last map, as shares of the image's side
RATIOS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)  # width to height


def anchors_of(head: SSDLite, image_size: int) -> Tensor:
    """Return the anchors (anchors, 4), cy, cx, h, w from 0 to 1, in the order of the head's outputs.

    Scales rise evenly from 0.2 to 0.95 over the six maps. Each cell has five ratios and a square between its scale and
    the next; the finest map has a square of scale 0.1 and ratios 2 and 1/2 (`reduce_boxes_in_lowest_layer`).
    """
    sizes = head.map_sizes(image_size)
    scales = [LOWEST + (HIGHEST - LOWEST) * number / (len(sizes) - 1) for number in range(len(sizes))] + [1.0]
    parts = []
    for number, size in enumerate(sizes):
        scale = scales[number]
        if number == 0:
            shapes = [(0.1, 1.0), (scale, 2.0), (scale, 1 / 2)]
        else:
            shapes = [*((scale, ratio) for ratio in RATIOS), (math.sqrt(scale * scales[number + 1]), 1.0)]
        sides = torch.tensor([(at / math.sqrt(ratio), at * math.sqrt(ratio)) for at, ratio in shapes])
        middle = (torch.arange(size) + 0.5) / size
        centres = torch.stack(torch.meshgrid(middle, middle, indexing="ij"), dim=-1)  # (size, size, 2)
        spread = centres[:, :, None].expand(size, size, len(shapes), 2)
        parts.append(torch.cat((spread, sides.expand(size, size, len(shapes), 2)), dim=-1).reshape(-1, 4))
    return torch.cat(parts)
