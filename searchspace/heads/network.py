"""An architecture with a head in the place of its classifier: counts and operations as one network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from searchspace.architecture import Architecture
from searchspace.heads._graph import Graph, HeadLayer, Shape, graph_layers
from searchspace.heads._head import TaskHead
from searchspace.heads._taps import Tap, backbone_ops


@dataclass(frozen=True)
class HeadedNetwork:
    """A backbone and a head on it; `architecture` is the network asked for, before the head changes its tail.

    Raises UserError where the network lacks a feature map that the head reads.
    """

    architecture: Architecture
    head: TaskHead

    def __post_init__(self) -> None:
        _ = self.layers

    @cached_property
    def backbone(self) -> Architecture:
        """The network whose feature maps the head reads."""
        return self.head.backbone(self.architecture)

    @cached_property
    def taps(self) -> tuple[Tap, ...]:
        """The feature maps that the head reads."""
        return self.head.taps(self.backbone)

    @property
    def resolution(self) -> int:
        """Input resolution in pixels."""
        return self.architecture.resolution

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of the feature maps by name."""
        return {tap.name: Shape(tap.size, tap.channels) for tap in self.taps}

    @cached_property
    def graph(self) -> Graph:
        """The layers of the head."""
        return self.head.graph(self.shapes)

    @cached_property
    def last_block(self) -> int:
        """Number of the last block that a feature map needs; the ones behind it are not part of the network."""
        return min(max(tap.block for tap in self.taps), len(self.backbone.blocks))

    @cached_property
    def runs_conv(self) -> bool:
        """Whether the 1x1 convolution behind the blocks is part of the network."""
        return any(tap.block > len(self.backbone.blocks) for tap in self.taps)

    @cached_property
    def layers(self) -> tuple[HeadLayer, ...]:
        """The backbone's layers and the parts of the head, in running order."""
        body = backbone_ops(self.backbone)
        wanted = body[: 1 + self.last_block] + (body[1 + len(self.backbone.blocks) :] if self.runs_conv else ())
        found = [HeadLayer(layer.name, layer.ops, layer.params) for layer in wanted]
        return (*found, *graph_layers(self.graph, self.shapes, self.resolution))

    def ops(self) -> tuple[HeadLayer, ...]:
        """Return the primitive operations layer by layer."""
        return self.layers

    @property
    def params(self) -> int:
        """Number of trained parameters, batch norm's scale and shift included."""
        return sum(layer.params for layer in self.layers)

    @property
    def madds(self) -> int:
        """Number of multiply-adds for one image."""
        return sum(layer.madds for layer in self.layers)

    def __str__(self) -> str:
        return f"{self.architecture} + {self.head.name} of {self.head.classes} classes"
