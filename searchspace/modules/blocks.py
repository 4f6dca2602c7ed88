"""Blocks as modules, each built from its wiring and the channels it receives."""

from __future__ import annotations

from torch import Tensor, nn

from searchspace.blocks import LayerKind, PlacedBlock, WiredLayer
from searchspace.modules.layers import ConvBNAct, SqueezeExcite, add_identity


class BlockModule(nn.Module):
    """A block: runs its layers in order and adds the shortcut where there is one."""

    def __init__(self, placed: PlacedBlock) -> None:
        super().__init__()
        self.shortcut_channels = placed.shortcut_channels
        for layer in placed.wiring:
            self.add_module(layer.name, _layer(layer, placed))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, size, size) to (batch, out, size', size')."""
        return self.tapped(x)[0]

    def tapped(self, x: Tensor, name: str = "") -> tuple[Tensor, Tensor]:
        """Return the block's output, and that of its layer called `name` (the block's own without a name)."""
        y, tap = x, x
        for key, layer in self.named_children():
            y = layer(y)
            tap = y if key == name else tap
        out = add_identity(y, x, self.shortcut_channels)
        return out, tap if name else out


def _layer(layer: WiredLayer, placed: PlacedBlock) -> nn.Module:
    cin, cout = placed.width(layer.reads), placed.width(layer.writes)
    if layer.kind is LayerKind.SQUEEZE_EXCITE:
        return SqueezeExcite(cin, layer.squeeze, layer.gate)
    depthwise = layer.kind is LayerKind.DEPTHWISE
    return ConvBNAct(cin, cout, layer.kernel, layer.stride, layer.activation, depthwise, placed.padding)


def build_block(placed: PlacedBlock) -> BlockModule:
    """Return the module of a block that receives `placed.in_channels` channels."""
    return BlockModule(placed)
