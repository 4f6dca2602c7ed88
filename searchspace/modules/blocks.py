"""The building blocks as modules, each built from the block's value and the channels it receives."""

from __future__ import annotations

from torch import Tensor, nn

from searchspace.architecture import (
    Activation,
    Conv,
    Depthwise,
    InvertedResidual,
    PlacedBlock,
    Sandglass,
    Separable,
)
from searchspace.modules.layers import ConvBNAct, SqueezeExcite, add_identity


class BlockModule(nn.Module):
    """A block: runs its layers in order and adds the shortcut where there is one."""

    def __init__(self, placed: PlacedBlock, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.shortcut_channels = placed.shortcut_channels
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, size, size) to (batch, out, size', size')."""
        y = x
        for layer in self.children():
            y = layer(y)
        return add_identity(y, x, self.shortcut_channels)


def _inverted_residual(block: InvertedResidual, cin: int) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    if block.hidden != cin:
        layers["expand"] = ConvBNAct(cin, block.hidden, activation=block.activation)
    layers["depthwise"] = ConvBNAct(
        block.hidden, block.hidden, block.kernel, block.stride, block.activation, depthwise=True
    )
    if block.squeeze:
        layers["squeeze_excite"] = SqueezeExcite(block.hidden, block.squeeze, block.gate)
    layers["project"] = ConvBNAct(block.hidden, block.out)
    return layers


def _sandglass(block: Sandglass, cin: int) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    if block.depthwise is Depthwise.BOTH:
        layers["depthwise_in"] = ConvBNAct(cin, cin, block.kernel, 1, block.activation, depthwise=True)
    layers["reduce"] = ConvBNAct(cin, block.hidden)
    layers["expand"] = ConvBNAct(block.hidden, block.out, activation=block.activation)
    if block.squeeze:
        layers["squeeze_excite"] = SqueezeExcite(block.out, block.squeeze, block.gate)
    if block.depthwise is not Depthwise.NONE:
        layers["depthwise_out"] = ConvBNAct(
            block.out, block.out, block.kernel, block.stride, Activation.LINEAR, depthwise=True
        )
    return layers


def _separable(block: Separable, cin: int) -> dict[str, nn.Module]:
    return {
        "depthwise": ConvBNAct(cin, cin, block.kernel, block.stride, block.activation, depthwise=True),
        "pointwise": ConvBNAct(cin, block.out, activation=block.activation),
    }


def _conv(block: Conv, cin: int) -> dict[str, nn.Module]:
    return {"conv": ConvBNAct(cin, block.out, block.kernel, block.stride, block.activation)}


def build_block(placed: PlacedBlock) -> BlockModule:
    """Return the module of a block that receives `placed.in_channels` channels."""
    match placed.block:
        case InvertedResidual() as block:
            layers = _inverted_residual(block, placed.in_channels)
        case Sandglass() as block:
            layers = _sandglass(block, placed.in_channels)
        case Separable() as block:
            layers = _separable(block, placed.in_channels)
        case Conv() as block:
            layers = _conv(block, placed.in_channels)
    return BlockModule(placed, layers)
