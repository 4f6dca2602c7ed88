"""Heads as graphs of primitive layers, and the operations and counts that follow from a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from searchspace.blocks import Activation, activation_ops
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError


class NodeKind(StrEnum):
    """The primitive layers of heads."""

    CONV = "conv"
    DEPTHWISE = "depthwise"
    POOL = "pool"  # the mean of the whole map
    RESIZE = "resize"  # bilinear, to the size of the node that `like` names, or to the image
    SIGMOID = "sigmoid"
    SCALE = "scale"  # multiplication by a gate of one pixel
    ADD = "add"
    CONCAT = "concat"


IMAGE = "image"


class Node(NamedTuple):
    """One layer: what it is called, the nodes or feature maps (`stride16`) it reads, and its fields.

    `part` is the row of a table it is counted in. A convolution has batch norm where `normalised`, else a bias.
    """

    name: str
    kind: NodeKind
    reads: tuple[str, ...]
    part: str
    out: int = 0
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    activation: Activation = Activation.LINEAR
    normalised: bool = True
    like: str = ""


class Shape(NamedTuple):
    """A feature map's side in pixels and channels."""

    size: int
    channels: int


Graph = tuple[Node, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class HeadLayer:
    """A named part of a head with its primitive operations and its number of trained parameters."""

    name: str
    ops: tuple[Op, ...]
    params: int

    @property
    def madds(self) -> int:
        """Number of multiply-adds of the part for one image."""
        return sum(op.madds for op in self.ops)


def separable(
    name: str, source: str, part: str, out: int, *, activation: Activation, stride: int = 1, dilation: int = 1
) -> Graph:
    """Return a depthwise 3x3 and a pointwise convolution, each with batch norm and activation; the last is `name`."""
    inner = f"{name}_depthwise"
    return (
        Node(inner, NodeKind.DEPTHWISE, (source,), part, 0, 3, stride, dilation, activation),
        Node(name, NodeKind.CONV, (inner,), part, out, activation=activation),
    )


def shapes_of(graph: Graph, taps: Shapes, resolution: int) -> dict[str, Shape]:
    """Return the shape of every node; raises UserError where a map would not grow by a whole factor."""
    shapes = {IMAGE: Shape(resolution, 3), **taps}
    for node in graph:
        shapes[node.name] = _shape(node, [shapes[name] for name in node.reads], shapes)
    return shapes


def _shape(node: Node, reads: Sequence[Shape], shapes: Shapes) -> Shape:
    size, channels = reads[0]
    match node.kind:
        case NodeKind.CONV:
            return Shape(-(-size // node.stride), node.out)
        case NodeKind.DEPTHWISE:
            return Shape(-(-size // node.stride), channels)
        case NodeKind.POOL:
            return Shape(1, channels)
        case NodeKind.RESIZE:
            target = shapes[node.like].size
            if target % size:
                raise UserError(
                    f"a map of {size} px cannot grow to {target} px by a whole factor: give the network a resolution "
                    "that is a multiple of its total stride (32), such as 224, 320 or 512"
                )
            return Shape(target, channels)
        case NodeKind.CONCAT:
            return Shape(size, sum(shape.channels for shape in reads))
        case _:
            return Shape(size, channels)


def node_ops(node: Node, shapes: Shapes) -> tuple[Op, ...]:
    """Return the operations of one node."""
    size, cin = shapes[node.reads[0]]
    out_size, out = shapes[node.name]
    match node.kind:
        case NodeKind.CONV if size == node.kernel == 1:
            return (Op(OpKind.LINEAR, 1, cin, out), *activation_ops(node.activation, 1, out))
        case NodeKind.CONV:
            conv = Op(OpKind.CONV, size, cin, out, node.kernel, node.stride, node.dilation)
            return (conv, *activation_ops(node.activation, out_size, out))
        case NodeKind.DEPTHWISE:
            depthwise = Op(OpKind.DWCONV, size, cin, cin, node.kernel, node.stride, node.dilation)
            return (depthwise, *activation_ops(node.activation, out_size, cin))
        case NodeKind.RESIZE:
            return (Op(OpKind.RESIZE, size, cin, cin, stride=out_size // size),) if out_size > size else ()
        case NodeKind.POOL:
            return (Op(OpKind.POOL, size, cin, cin),)
        case _:
            return (Op(OpKind(node.kind.value), out_size, out, out),)


def node_params(node: Node, shapes: Shapes) -> int:
    """Return the trained parameters of one node: weights, and batch norm's scale and shift or a bias."""
    cin, out = shapes[node.reads[0]].channels, shapes[node.name].channels
    beside = (2 if node.normalised else 1) * out
    match node.kind:
        case NodeKind.CONV:
            return node.kernel**2 * cin * out + beside
        case NodeKind.DEPTHWISE:
            return node.kernel**2 * cin + beside
        case _:
            return 0


def graph_layers(graph: Graph, taps: Shapes, resolution: int) -> tuple[HeadLayer, ...]:
    """Return the parts of a head, in the order in which they first appear."""
    shapes = shapes_of(graph, taps, resolution)
    parts = dict.fromkeys(node.part for node in graph)
    return tuple(
        HeadLayer(
            part,
            tuple(op for node in graph if node.part == part for op in node_ops(node, shapes)),
            sum(node_params(node, shapes) for node in graph if node.part == part),
        )
        for part in parts
    )
