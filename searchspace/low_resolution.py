"""Running a phone's network on small images: the first strides of 2 become 1.

A network priced at 224 pixels shrinks its input 32 times; a 32-pixel image would end as a single pixel. No weight of
a network depends on a stride, so the network keeps its identity, its genotype and its latency on the phone; only the
copy that learns from small images runs without its first reductions.
"""

from __future__ import annotations

from dataclasses import replace

from searchspace.architecture import Architecture, Block


def strides_to_drop(image_size: int, total_stride: int) -> int:
    """Return how many of the leading strides of 2 must become 1 for images of `image_size` pixels.

    The last feature map keeps an eighth of the image's side, at least 2 and no more than 4 pixels.
    """
    wanted = min(4, max(2, image_size // 8))
    drop = 0
    while -(-image_size // total_stride) < wanted and total_stride > 1:
        total_stride //= 2
        drop += 1
    return drop


def total_stride(architecture: Architecture) -> int:
    """Return how many times smaller, per side, the last feature map is than the image."""
    product = architecture.stem.stride
    for block in architecture.blocks:
        product *= block.stride
    return product


def drop_strides(architecture: Architecture, count: int) -> Architecture:
    """Return the network with its first `count` strides of 2, the stem's included, set to 1."""
    stem = architecture.stem
    if count and stem.stride == 2:
        stem, count = replace(stem, stride=1), count - 1
    blocks: list[Block] = []
    for block in architecture.blocks:
        dropped = bool(count) and block.stride == 2
        blocks.append(block.with_fields(stride=1) if dropped else block)
        count -= dropped
    return replace(architecture, stem=stem, blocks=tuple(blocks))


def for_images(architecture: Architecture, image_size: int) -> Architecture:
    """Return the network as it runs on square images of `image_size` pixels: unchanged for large ones."""
    drop = strides_to_drop(image_size, total_stride(architecture))
    return drop_strides(architecture, drop).with_resolution(image_size)
