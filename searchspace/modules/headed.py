"""Architectures as backbones, and heads on their feature maps, as modules.

A backbone's state dict names are those of the network it comes from, so that a classifier's weights fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork, Node, NodeKind, Tap
from searchspace.heads._graph import IMAGE, shapes_of
from searchspace.modules.blocks import build_block
from searchspace.modules.layers import NORM_EPS, NORM_MOMENTUM, ConvBNAct, activate, conv_same
from searchspace.modules.network import initialise


class Backbone(nn.Module):
    """A network up to the last of the feature maps asked for: images (batch, 3, s, s) to maps by name."""

    def __init__(self, architecture: Architecture, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.taps = {(tap.block, tap.layer): tap.name for tap in taps}
        last = max(tap.block for tap in taps)
        stem, head = architecture.stem, architecture.head
        self.stem = ConvBNAct(3, stem.out, stem.kernel, stem.stride, stem.activation, padding=architecture.padding)
        self.blocks = nn.Sequential(*map(build_block, list(architecture.placed_blocks())[:last]))
        self.head = nn.Module()
        if last > len(architecture.blocks):
            self.head.conv = ConvBNAct(architecture.blocks[-1].out, head.conv, activation=head.activation)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map images to the feature maps (batch, channels, size, size) by name, such as `stride16`."""
        found: dict[str, Tensor] = {}
        x = self.stem(x)
        inner = {block: layer for block, layer in self.taps if layer}
        for number, block in enumerate(self.blocks, start=1):
            x, tap = block.tapped(x, inner.get(number, ""))  # type: ignore[operator]
            if number in inner:
                found[self.taps[number, inner[number]]] = tap
            if (number, "") in self.taps:
                found[self.taps[number, ""]] = x
        behind = len(self.blocks) + 1, ""
        if behind in self.taps:
            found[self.taps[behind]] = self.head.conv(x)  # type: ignore[operator]
        return found


class HeadConv(nn.Module):
    """A convolution, dilated where asked for, with batch norm or a bias, and its activation."""

    def __init__(self, node: Node, in_channels: int) -> None:
        super().__init__()
        depthwise = node.kind is NodeKind.DEPTHWISE
        self.node = node
        self.groups = in_channels if depthwise else 1
        out = in_channels if depthwise else node.out
        self.conv = nn.Conv2d(in_channels, out, node.kernel, groups=self.groups, bias=not node.normalised)
        self.norm = nn.BatchNorm2d(out, eps=NORM_EPS, momentum=NORM_MOMENTUM) if node.normalised else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, size, size) to (batch, out, size', size'), padded as TensorFlow's SAME."""
        node, weight, bias = self.node, self.conv.weight, self.conv.bias
        if node.dilation > 1:
            around = node.dilation * (node.kernel // 2)
            y = F.conv2d(x, weight, bias, padding=around, dilation=node.dilation, groups=self.groups)
        else:
            y = conv_same(x, weight, node.stride, self.groups, bias)
        return activate(y if self.norm is None else self.norm(y), node.activation)


class HeadGraph(nn.Module):
    """A head: feature maps by name to the outputs of its nodes by name."""

    def __init__(self, network: HeadedNetwork) -> None:
        super().__init__()
        self.nodes = network.graph
        shapes = shapes_of(network.graph, network.shapes, network.resolution)
        self.layers = nn.ModuleDict(
            {
                node.name: HeadConv(node, shapes[node.reads[0]].channels)
                for node in network.graph
                if node.kind in (NodeKind.CONV, NodeKind.DEPTHWISE)
            }
        )

    def forward(self, maps: Mapping[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
        """Return the output of every node; `size` is the height and width of the images in pixels."""
        found = dict(maps)
        for node in self.nodes:
            found[node.name] = self._run(node, found, size)
        return found

    def _run(self, node: Node, found: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        first, *others = (found[name] for name in node.reads)
        match node.kind:
            case NodeKind.POOL:
                return first.mean((2, 3), keepdim=True)
            case NodeKind.RESIZE:
                target = size if node.like == IMAGE else tuple(found[node.like].shape[-2:])
                return F.interpolate(first, target, mode="bilinear", align_corners=False)
            case NodeKind.SIGMOID:
                return torch.sigmoid(first)
            case NodeKind.SCALE:
                return first * others[0]
            case NodeKind.ADD:
                return first + others[0]
            case NodeKind.CONCAT:
                return torch.cat((first, *others), dim=1)
            case _:
                result: Tensor = self.layers[node.name](first)
                return result


class HeadedModule(nn.Module):
    """A backbone and its head: images (batch, 3, size, size) to the head's named outputs.

    Detection gives `boxes` (batch, anchors, 4) and `scores` (batch, anchors, 1 + classes), segmentation `scores`
    (batch, classes, size, size); scores are before softmax.
    """

    def __init__(self, network: HeadedNetwork) -> None:
        super().__init__()
        self.network = network
        self.backbone = Backbone(network.backbone, network.taps)
        self.head = HeadGraph(network)

    @property
    def architecture(self) -> Architecture:
        """The backbone's architecture, as the head has changed it."""
        return self.network.backbone

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        found = self.head(self.backbone(x), x.shape[-2:])
        outputs = self.network.head.outputs()
        if self.network.head.task == "segmentation":
            return {name: found[nodes[0]] for name, nodes in outputs.items()}
        widths = {"boxes": 4, "scores": self.network.head.classes + 1}
        return {
            name: torch.cat([_by_anchor(found[node], widths[name]) for node in nodes], dim=1)
            for name, nodes in outputs.items()
        }


def _by_anchor(y: Tensor, width: int) -> Tensor:
    """Turn (batch, anchors x width, h, w) to (batch, h x w x anchors, width)."""
    last = y.permute(0, 2, 3, 1)
    return last.reshape(y.shape[0], -1, width)


def build_headed(network: HeadedNetwork, *, seed: int) -> HeadedModule:
    """Return the module of a network and its head with fresh weights drawn from `seed`."""
    module = HeadedModule(network)
    generator = torch.Generator().manual_seed(seed)
    initialise(module, generator)
    for layer in module.head.layers.values():
        if isinstance(layer, HeadConv) and layer.norm is None:  # outputs that start near zero, as in SSD
            nn.init.normal_(layer.conv.weight, std=0.01, generator=generator)
    return module


def build_backbone(architecture: Architecture, taps: Sequence[Tap], *, seed: int) -> Backbone:
    """Return the backbone of an architecture that gives these feature maps, with fresh weights drawn from `seed`."""
    module = Backbone(architecture, taps)
    initialise(module, torch.Generator().manual_seed(seed))
    return module
