"""How a network runs on images of another size than its own: at what resolution, with which strides.

A network priced at 224 pixels shrinks its input 32 times; a 32-pixel image would end as a single pixel. No weight of
a network depends on a stride, so the network keeps its identity, its genotype and its latency on the phone; only the
copy that learns from small images runs without its first reductions. From 64 pixels on a network keeps its strides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from searchspace.architecture import Architecture, Block
from searchspace.support.errors import UserError

SMALL_PX = 64


@dataclass(frozen=True)
class RunForm:
    """How networks run on images of `image_size` pixels: with their first `dropped_strides` strides of 2 set to 1."""

    image_size: int
    dropped_strides: int = 0

    def of(self, architecture: Architecture) -> Architecture:
        """Return the network as it runs; its weights are those of the network given."""
        return drop_strides(architecture, self.dropped_strides).with_resolution(self.image_size)


def size_to_run_at(resolution: int, native_size: int | None) -> int:
    """Return the side in pixels at which a network of a resolution runs on a data set, unless the user says otherwise.

    Its own; only images that are all smaller than 64 pixels (`native_size`) are not enlarged for it.
    """
    return min(resolution, native_size) if native_size is not None and native_size < SMALL_PX else resolution


def network_asked_for(architecture: Architecture, image_size: int | None) -> Architecture:
    """Return the network that is asked for with an image size: at that resolution, or at its own where None is given.

    Images smaller than 64 pixels stand in for those of the network: it is still the larger one that is asked for.
    """
    if image_size is None or image_size < min(SMALL_PX, architecture.resolution):
        return architecture
    return architecture.with_resolution(image_size)


def strides_to_drop(image_size: int, total_stride: int) -> int:
    """Return how many of the leading strides of 2 must become 1 for images of `image_size` pixels.

    None from 64 pixels on; below, the last feature map keeps an eighth of the image's side, at least 2 pixels and no
    more than 4.
    """
    if image_size >= SMALL_PX:
        return 0
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


def reductions(architecture: Architecture) -> int:
    """Return how many strides of 2 a network has."""
    return total_stride(architecture).bit_length() - 1


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


def run_form(architecture: Architecture, image_size: int, dropped_strides: int | None = None) -> RunForm:
    """Return how a network runs on square images of `image_size` pixels.

    Without `dropped_strides` strides are dropped only for images smaller than 64 pixels and than the network's own
    resolution. Raises UserError where the network has fewer strides of 2 than are to be dropped.
    """
    if dropped_strides is None:
        smaller = image_size < architecture.resolution
        return RunForm(image_size, strides_to_drop(image_size, total_stride(architecture)) if smaller else 0)
    if not 0 <= dropped_strides <= reductions(architecture):
        raise UserError(
            f"{dropped_strides} strides to drop, expected 0 to {reductions(architecture)}: "
            "the network has no more strides of 2"
        )
    return RunForm(image_size, dropped_strides)


def for_images(architecture: Architecture, image_size: int) -> Architecture:
    """Return the network as it runs on square images of `image_size` pixels."""
    return run_form(architecture, image_size).of(architecture)


def dropped_between(architecture: Architecture, run: Architecture) -> int | None:
    """Return how many first strides `run` has dropped of a network, None where it is another network.

    Resolution and classes may differ: no weight but the classifier's depends on them.
    """
    for count in range(reductions(architecture) + 1):
        same = drop_strides(architecture, count).with_resolution(run.resolution).with_classes(run.classes)
        if same == run:
            return count
    return None
