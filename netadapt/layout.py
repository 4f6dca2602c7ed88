"""Which dimensions of a network's weights belong to which width: the map that pruning follows.

Module names are those of `searchspace.modules`. A dense layer writes one width and reads another; a depthwise one
carries a width on, so it only follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netadapt.groups import Role, Site, width_site
from searchspace.architecture import Architecture, PlacedBlock
from searchspace.blocks import LayerKind


class WeightLayer(NamedTuple):
    """One layer with weights: module path, the width of its output, of its input (None: RGB, or depthwise)."""

    module: str
    writes: Site | None  # None: the classes
    reads: Site | None
    depthwise: bool = False
    normalised: bool = True  # convolution `conv` and batch norm `norm`; otherwise weight and bias of its own
    gates: bool = False  # of squeeze-excite, which only scales the channels it is said to write

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
    for wired in placed.wiring:
        path = f"blocks.{number - 1}.{wired.name}"
        reads, writes = width_site(number, wired.reads), width_site(number, wired.writes)
        match wired.kind:
            case LayerKind.CONV:
                yield WeightLayer(path, writes, reads)
            case LayerKind.DEPTHWISE:
                yield WeightLayer(path, writes, None, depthwise=True)
            case LayerKind.SQUEEZE_EXCITE:
                inside = Site(number, Role.SQUEEZE)
                yield WeightLayer(f"{path}.reduce", inside, reads, normalised=False, gates=True)
                yield WeightLayer(f"{path}.expand", writes, inside, normalised=False, gates=True)


def _head_layers(architecture: Architecture) -> Iterator[WeightLayer]:
    head, number = architecture.head, len(architecture.blocks) + 1
    last = Site(number - 1, Role.OUT)
    if head.conv:
        yield WeightLayer("head.conv", Site(number, Role.CONV), last)
        last = Site(number, Role.CONV)
    if head.hidden:
        yield WeightLayer("head.hidden", Site(number, Role.HIDDEN), last, normalised=head.normalised)
        last = Site(number, Role.HIDDEN)
    yield WeightLayer("head.classifier", None, last, normalised=False)
