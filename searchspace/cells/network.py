"""A network of repeated cells as one frozen value, and what is counted from it.

The layout is that of DARTS on CIFAR-10 (`model.py`): a 3x3 stem to three times the channels, cells that read the
outputs of the two cells before them, reduction cells at one and two thirds of the depth where the channels double,
global pooling and a classifier. The auxiliary classifier, used in training only, is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from searchspace.cells.primitives import (
    PRIMITIVES,
    factorized_reduce_ops,
    factorized_reduce_params,
    primitive,
)
from searchspace.ops import Op, OpKind
from searchspace.support.errors import UserError

NODES = 4  # intermediate nodes of a cell
INPUTS = 2  # outputs of the two cells before
STEM_WIDTH = 3  # the stem has three times the first cell's channels


class Edge(NamedTuple):
    """An operation, by its full name, and the state it reads: 0 and 1 are the cell's inputs, 2 the first node."""

    operation: str
    source: int


@dataclass(frozen=True)
class Cell:
    """Four nodes, each the sum of two edges from different earlier states; the output joins all four.

    `edges` are eight, two for each node in turn, the lower state first. Raises UserError for a wrong number, source
    or operation.
    """

    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != 2 * NODES:
            raise UserError(f"a cell has {len(self.edges)} edges, expected {2 * NODES}, two for each of {NODES} nodes")
        for number, edge in enumerate(self.edges):
            node = number // 2
            primitive(edge.operation)
            if not 0 <= edge.source < INPUTS + node:
                raise UserError(f"node {node + 1} reads state {edge.source}, expected 0 to {INPUTS + node - 1}")
        for first, second in zip(self.edges[::2], self.edges[1::2], strict=True):
            if first.source >= second.source:
                raise UserError(
                    f"a node reads states {first.source} and {second.source}, expected two different ones, lower first"
                )

    def nodes(self) -> Iterator[tuple[Edge, Edge]]:
        """Yield the two edges of each node, in order."""
        yield from zip(self.edges[::2], self.edges[1::2], strict=True)

    @property
    def skips(self) -> int:
        """Number of edges that are skip connections, which searches are known to collapse to."""
        return sum(edge.operation == "skip_connect" for edge in self.edges)


class PlacedCell(NamedTuple):
    """A cell of a network: the channels and sizes in pixels it receives, and what it makes of them."""

    number: int
    reduces: bool
    channels: int  # of each node; the output has four times as many
    before: tuple[int, int]  # channels of the two inputs
    before_size: int  # side of the older input, twice `size` behind a reduction
    size: int

    @property
    def out_size(self) -> int:
        """Side of the output in pixels."""
        return -(-self.size // 2) if self.reduces else self.size


class CellLayer(NamedTuple):
    """A named part of a cell network with its primitive operations and its number of trained parameters."""

    name: str
    ops: tuple[Op, ...]
    params: int

    @property
    def madds(self) -> int:
        """Number of multiply-adds of the layer for one image."""
        return sum(op.madds for op in self.ops)


@dataclass(frozen=True, kw_only=True)
class CellNetwork:
    """A whole network: side of the images in pixels, number of cells, channels of the first, the two cells, classes."""

    resolution: int = 32
    cells: int = 20
    channels: int = 36
    normal: Cell
    reduction: Cell
    classes: int = 10

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("resolution", self.resolution, 8, 4096),
            ("cells", self.cells, 3, 200),
            ("channels", self.channels, 2, 4096),
            ("classes", self.classes, 1, 16_384),
        ):
            if not low <= value <= high:
                raise UserError(f"{name} is {value}, expected a whole number from {low} to {high}")

    def with_resolution(self, resolution: int) -> CellNetwork:
        """Return the same network at another input resolution in pixels."""
        return replace(self, resolution=resolution)

    def with_classes(self, classes: int) -> CellNetwork:
        """Return the same network with another number of classes."""
        return replace(self, classes=classes)

    def placed_cells(self) -> Iterator[PlacedCell]:
        """Yield every cell with the shapes it receives."""
        yield from placed_cells(self.resolution, self.cells, self.channels)

    @cached_property
    def _layers(self) -> tuple[CellLayer, ...]:
        stem = stem_layer(self.resolution, self.channels)
        cells = []
        for placed in self.placed_cells():
            cell = self.reduction if placed.reduces else self.normal
            cells.append(cell_layer(placed, cell))
        *_, last = self.placed_cells()
        return (stem, *cells, head_layer(last, self.classes))

    def ops(self) -> tuple[CellLayer, ...]:
        """Return the primitive operations layer by layer: stem, cell1, ..., head."""
        return self._layers

    @cached_property
    def params(self) -> int:
        """Number of trained parameters without the auxiliary classifier, batch norm's scale and shift included."""
        return sum(layer.params for layer in self._layers)

    @cached_property
    def madds(self) -> int:
        """Number of multiply-adds for one image, in the MobileNet papers' convention."""
        return sum(layer.madds for layer in self._layers)

    def __str__(self) -> str:
        """Return the canonical compact text, which `searchspace.cells.parse_cells` reads back."""
        from searchspace.cells.text import format_cells

        return format_cells(self)


def placed_cells(resolution: int, cells: int, channels: int) -> Iterator[PlacedCell]:
    """Yield every place for a cell in a network of DARTS' layout, with the shapes it receives."""
    before = (STEM_WIDTH * channels, STEM_WIDTH * channels)
    sizes, width = (resolution, resolution), channels
    for number in range(cells):
        reduces = number in (cells // 3, 2 * cells // 3)
        width *= 2 if reduces else 1
        placed = PlacedCell(number, reduces, width, before, sizes[0], sizes[1])
        yield placed
        before, sizes = (before[1], NODES * width), (sizes[1], placed.out_size)


def stem_layer(resolution: int, channels: int) -> CellLayer:
    """Return the 3x3 convolution with batch norm and no activation that the cells start from."""
    op = Op(OpKind.CONV, resolution, 3, STEM_WIDTH * channels, 3)
    return CellLayer("stem", (op,), op.params)


def input_ops(placed: PlacedCell) -> tuple[tuple[Op, ...], int]:
    """Return operations and parameters of the two layers that bring a cell's inputs to its channels and size."""
    older, newer = placed.before
    if placed.before_size != placed.size:
        ops = factorized_reduce_ops(placed.before_size, older, placed.channels)
        params = factorized_reduce_params(older, placed.channels)
    else:
        ops, params = _relu_conv(placed.size, older, placed.channels)
    second, second_params = _relu_conv(placed.size, newer, placed.channels)
    return (*ops, *second), params + second_params


def edge_shape(placed: PlacedCell, source: int) -> tuple[int, int]:
    """Return the side in pixels that an edge of a cell reads, and its stride."""
    strided = placed.reduces and source < INPUTS
    return (placed.size if source < INPUTS else placed.out_size), 2 if strided else 1


def join_ops(placed: PlacedCell) -> tuple[Op, ...]:
    """Return the additions of the nodes and the joining of their channels."""
    add = Op(OpKind.ADD, placed.out_size, placed.channels, placed.channels)
    joined = NODES * placed.channels
    return (*[add] * NODES, Op(OpKind.CONCAT, placed.out_size, joined, joined))


def cell_layer(placed: PlacedCell, cell: Cell) -> CellLayer:
    """Return the operations and parameters of a cell at its place."""
    ops, params = input_ops(placed)
    for edge in cell.edges:
        size, stride = edge_shape(placed, edge.source)
        ops += PRIMITIVES[edge.operation].ops(size, placed.channels, stride)
        params += PRIMITIVES[edge.operation].params(placed.channels, stride)
    return CellLayer(f"cell{placed.number + 1}", ops + join_ops(placed), params)


def head_layer(last: PlacedCell, classes: int) -> CellLayer:
    """Return global pooling and the classifier."""
    width = NODES * last.channels
    classifier = Op(OpKind.LINEAR, 1, width, classes)
    return CellLayer("head", (Op(OpKind.POOL, last.out_size, width, width), classifier), classifier.params)


def _relu_conv(size: int, inputs: int, outputs: int) -> tuple[tuple[Op, ...], int]:
    conv = Op(OpKind.CONV, size, inputs, outputs)
    return (Op(OpKind.RELU, size, inputs, inputs), conv), conv.params
