"""Feature maps of an architecture: where in it the maps at strides 4 to 32 are."""

from __future__ import annotations

from typing import NamedTuple

from searchspace.architecture import Architecture, Layer
from searchspace.blocks import PlacedBlock, conv_ops
from searchspace.support.errors import UserError


class Tap(NamedTuple):
    """A feature map: `stride` from the image, `size` pixels square, `channels`, and the place it is taken from.

    `block` is the number of the block from 1, 0 for the stem, one more than the last for the convolution of the
    classifier's head; `layer` is the layer inside the block whose output it is, empty for the block's own output.
    """

    stride: int
    size: int
    channels: int
    block: int
    layer: str = ""

    @property
    def name(self) -> str:
        """What graphs call it: `stride16`."""
        return f"stride{self.stride}"


def inner_layer(placed: PlacedBlock) -> tuple[str, int] | None:
    """Return the layer before the one that takes a block's stride, with its channels; None where there is none."""
    before: tuple[str, int] | None = None
    for layer in placed.wiring:
        if layer.stride > 1:
            return before
        before = layer.name, placed.width(layer.writes)
    return None


def strides_of(architecture: Architecture) -> tuple[int, ...]:
    """Return the strides, from the image, of the maps that the blocks make, rising."""
    found, stride = [], architecture.stem.stride
    for block in architecture.blocks:
        stride *= block.stride
        found.append(stride)
    return tuple(sorted(set(found)))


def tap_at(architecture: Architecture, stride: int, *, inside: bool = False) -> Tap:
    """Return the deepest feature map at a stride; raises UserError, listing the strides there are, for another.

    With `inside` it may lie inside the block that leaves the stride, behind its expansion, as SSDLite takes it. At the
    last stride it is the output of the 1x1 convolution behind the blocks where there is one.
    """
    found: Tap | None = None
    now = architecture.stem.stride
    for number, placed in enumerate(architecture.placed_blocks(), start=1):
        inner = inner_layer(placed) if inside and placed.block.stride > 1 else None
        if now == stride and found is not None and inner is not None:
            return Tap(stride, placed.in_size, inner[1], number, inner[0])
        now *= placed.block.stride
        if now == stride:
            found = Tap(stride, placed.out_size, placed.block.out, number)
    if found is None:
        known = ", ".join(map(str, strides_of(architecture)))
        raise UserError(f"the network has no feature map at stride {stride}: its blocks' maps are at strides {known}")
    if now == stride and architecture.head.conv:
        return found._replace(channels=architecture.head.conv, block=len(architecture.blocks) + 1)
    return found


def feature_taps(architecture: Architecture, *, inside: bool = False) -> tuple[Tap, ...]:
    """Return the deepest feature map at every stride of 4 to 32 that the network has."""
    return tuple(
        tap_at(architecture, stride, inside=inside) for stride in strides_of(architecture) if 4 <= stride <= 32
    )


def backbone_ops(architecture: Architecture) -> tuple[Layer, ...]:
    """Return the operations of a network without its classifier: stem, blocks, and the head's 1x1 convolution."""
    *body, _ = architecture.ops()
    head = architecture.head
    if not head.conv:
        return tuple(body)
    conv = conv_ops(architecture.final_size, architecture.blocks[-1].out, head.conv, 1, 1, head.activation)
    return (*body, Layer("conv", conv))
