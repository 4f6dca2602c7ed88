"""Which dimensions of a network's weights belong to which width: the map that pruning follows.

Module names are those of `searchspace.modules`. A dense layer writes one width and reads another; a depthwise one
carries a width on, so it only follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netadapt.groups import Role, Site, expands
from searchspace.architecture import (
    Architecture,
    Conv,
    Depthwise,
    InvertedResidual,
    PlacedBlock,
    Sandglass,
    Separable,
)


class WeightLayer(NamedTuple):
    """One layer with weights: module path, the width of its output, of its input (None: RGB, or depthwise)."""

    module: str
    writes: Site | None  # None: the classes
    reads: Site | None
    depthwise: bool = False
    normalised: bool = True  # convolution `conv` and batch norm `norm`; otherwise weight and bias of its own

    @property
    def weight(self) -> str:
        """Name of the weight tensor: (out, in, ...), depthwise (channels, 1, k, k)."""
        return f"{self.module}.conv.weight" if self.normalised else f"{self.module}.weight"

    @property
    def vectors(self) -> tuple[str, ...]:
        """Names of the tensors that hold one number for each output channel."""
        if not self.normalised:
            return (f"{self.module}.bias",)
        return tuple(f"{self.module}.norm.{name}" for name in ("weight", "bias", "running_mean", "running_var"))

    @property
    def scale_and_shift(self) -> tuple[str, str]:
        """Names of the last two tensors applied to an output channel: batch norm's, or the layer's own."""
        if not self.normalised:
            return self.weight, f"{self.module}.bias"
        return f"{self.module}.norm.weight", f"{self.module}.norm.bias"


def weight_layers(architecture: Architecture) -> tuple[WeightLayer, ...]:
    """Return every layer with weights, in running order."""
    blocks = [
        layer
        for number, placed in enumerate(architecture.placed_blocks(), start=1)
        for layer in _block_layers(number, placed)
    ]
    return (WeightLayer("stem", Site(0, Role.OUT), None), *blocks, *_head_layers(architecture))


def _block_layers(number: int, placed: PlacedBlock) -> Iterator[WeightLayer]:
    block, path = placed.block, f"blocks.{number - 1}"
    before, hidden, out = Site(number - 1, Role.OUT), Site(number, Role.HIDDEN), Site(number, Role.OUT)
    match block:
        case InvertedResidual():
            if expands(placed):
                yield WeightLayer(f"{path}.expand", hidden, before)
            yield WeightLayer(f"{path}.depthwise", hidden, None, depthwise=True)
            yield from _squeeze_excite(number, path, block.squeeze, hidden)
            yield WeightLayer(f"{path}.project", out, hidden)
        case Sandglass():
            if block.depthwise is Depthwise.BOTH:
                yield WeightLayer(f"{path}.depthwise_in", before, None, depthwise=True)
            yield WeightLayer(f"{path}.reduce", hidden, before)
            yield WeightLayer(f"{path}.expand", out, hidden)
            yield from _squeeze_excite(number, path, block.squeeze, out)
            if block.depthwise is not Depthwise.NONE:
                yield WeightLayer(f"{path}.depthwise_out", out, None, depthwise=True)
        case Separable():
            yield WeightLayer(f"{path}.depthwise", before, None, depthwise=True)
            yield WeightLayer(f"{path}.pointwise", out, before)
        case Conv():
            yield WeightLayer(f"{path}.conv", out, before)


def _squeeze_excite(number: int, path: str, squeeze: int, wide: Site) -> Iterator[WeightLayer]:
    if squeeze:
        inside = Site(number, Role.SQUEEZE)
        yield WeightLayer(f"{path}.squeeze_excite.reduce", inside, wide, normalised=False)
        yield WeightLayer(f"{path}.squeeze_excite.expand", wide, inside, normalised=False)


def _head_layers(architecture: Architecture) -> Iterator[WeightLayer]:
    head, number = architecture.head, len(architecture.blocks) + 1
    last = Site(number - 1, Role.OUT)
    if head.conv:
        yield WeightLayer("head.conv", Site(number, Role.CONV), last)
        last = Site(number, Role.CONV)
    if head.hidden:
        yield WeightLayer("head.hidden", Site(number, Role.HIDDEN), last, normalised=False)
        last = Site(number, Role.HIDDEN)
    yield WeightLayer("head.classifier", None, last, normalised=False)
