"""The wiring of a block: the chain of primitive layers it is made of.

Each family declares it once. Operations and counts, the torch module, the weights that pruning cuts and the groups of
coupled widths all follow from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from searchspace.blocks._values import Activation, Gate


class Width(StrEnum):
    """The widths of a block: that of its input, and those that it has as fields of these names."""

    IN = "in"
    HIDDEN = "hidden"
    OUT = "out"


class LayerKind(StrEnum):
    """The primitive layers; each convolution comes with its batch norm."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    SQUEEZE_EXCITE = "squeeze-excite"


class WiredLayer(NamedTuple):
    """One primitive layer: `name` in the module, `label` for people, the width it reads and the one it writes."""

    kind: LayerKind
    name: str
    label: str
    reads: Width
    writes: Width
    kernel: int = 1
    stride: int = 1
    activation: Activation = Activation.LINEAR
    squeeze: int = 0  # the width inside squeeze-excite
    gate: Gate = Gate.HARD

    @property
    def dense(self) -> bool:
        """Whether the layer mixes channels, so that its output is a width of its own."""
        return self.kind is LayerKind.CONV


Wiring = tuple[WiredLayer, ...]


def conv(
    name: str,
    label: str,
    reads: Width,
    writes: Width,
    activation: Activation = Activation.LINEAR,
    kernel: int = 1,
    stride: int = 1,
) -> WiredLayer:
    """Return a dense convolution with batch norm."""
    return WiredLayer(LayerKind.CONV, name, label, reads, writes, kernel, stride, activation)


def depthwise(
    name: str,
    label: str,
    width: Width,
    kernel: int,
    stride: int = 1,
    activation: Activation = Activation.LINEAR,
) -> WiredLayer:
    """Return a depthwise convolution with batch norm, of a tensor that is `width` channels wide."""
    return WiredLayer(LayerKind.DEPTHWISE, name, label, width, width, kernel, stride, activation)


def squeeze_excite(width: Width, squeeze: int, gate: Gate) -> Wiring:
    """Return squeeze-excite on a tensor `width` channels wide; nothing for a squeeze of 0."""
    if not squeeze:
        return ()
    name = "squeeze_excite"
    return (WiredLayer(LayerKind.SQUEEZE_EXCITE, name, "squeeze-excite", width, width, squeeze=squeeze, gate=gate),)
