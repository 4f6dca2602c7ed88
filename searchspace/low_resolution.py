"""Networks designed for 224 pixels, made to run on small images by taking back their first strides."""

from __future__ import annotations

from dataclasses import replace

from searchspace.architecture import Architecture
from searchspace.errors import UserError

SMALLEST_FINAL_MAP = 2


def for_image_size(architecture: Architecture, image_size: int, smallest_map: int = SMALLEST_FINAL_MAP) -> Architecture:
    """Return the network for `image_size` pixels whose last feature map is at least `smallest_map` pixels a side.

    The stem's stride and then the first blocks' become 1, as few as suffice; no other property changes, so weights
    of the one fit the other. On 32 pixels a MobileNet keeps 16 of its 32-fold reduction: a final map of 2 pixels
    instead of 1. Latencies are those of the original network at its own resolution. Raises UserError when even
    without any stride the map stays smaller.
    """
    if image_size < smallest_map:
        raise UserError(
            f"images of {image_size} px cannot give a final map of {smallest_map} px; use a larger image size"
        )
    reduced = architecture.with_resolution(image_size)
    if reduced.final_size >= smallest_map:
        return reduced
    if reduced.stem.stride > 1:
        reduced = replace(reduced, stem=replace(reduced.stem, stride=1))
    for number, block in enumerate(reduced.blocks):
        if reduced.final_size >= smallest_map:
            break
        if block.stride > 1:
            unstrided = replace(block, stride=1)
            reduced = replace(reduced, blocks=(*reduced.blocks[:number], unstrided, *reduced.blocks[number + 1 :]))
    return reduced
