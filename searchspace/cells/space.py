"""The space of cell networks: for each node of both cells two states to read and an operation for each.

With DARTS' seven operations it holds (1 x 3 x 6 x 10 x 7^8)^2, about 10^18, networks. It is a `ChoiceSet` like the
staged spaces, with the same `decode`, `encode`, `slots` and `slot_table`, so that sampling, mutation, strategies and
compiled costs work on it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspace.cells.network import (
    INPUTS,
    NODES,
    Cell,
    CellNetwork,
    Edge,
    PlacedCell,
    edge_shape,
    head_layer,
    input_ops,
    join_ops,
    placed_cells,
    stem_layer,
)
from searchspace.cells.primitives import DARTS, PRIMITIVES, primitive
from searchspace.choices import Choice, ChoiceSet, Genotypes
from searchspace.ops import Op
from searchspace.support.errors import UserError

NORMAL, REDUCTION = "normal", "reduction"


@dataclass(frozen=True, slots=True)
class CellSlot:
    """A part of all cells of a kind that depends on few choices; `depends` are their indices, rising.

    Without `kind` it is what no choice touches: stem, inputs and joins of all cells, head.
    """

    name: str
    kind: str
    edge: int  # 0 or 1 of the node whose choices `depends` names
    depends: tuple[int, ...]


class CellSpace(ChoiceSet):
    """All networks of `cells` cells with `channels` channels in the first, for images of `resolution` pixels.

    Raises UserError for an unknown operation or a list with one twice.
    """

    def __init__(
        self,
        operations: Sequence[str] = DARTS,
        *,
        name: str = "darts",
        resolution: int = 32,
        cells: int = 20,
        channels: int = 36,
        classes: int = 10,
    ) -> None:
        if len(set(operations)) != len(operations) or not operations:
            raise UserError(f"{name}: operations are {', '.join(operations)}, expected at least one, none twice")
        self.name = name
        self.operations = tuple(primitive(operation).name for operation in operations)
        self.layout = {"resolution": resolution, "cells": cells, "channels": channels, "classes": classes}
        choices = []
        for kind in (NORMAL, REDUCTION):
            for node in range(NODES):
                place = f"{kind}/node{node + 1}"
                choices.append(Choice(f"{place}/states", tuple(combinations(range(INPUTS + node), 2))))
                choices += [Choice(f"{place}/operation{edge + 1}", self.operations) for edge in range(2)]
        super().__init__(choices)

    def with_classes(self, classes: int) -> CellSpace:
        """Return the same space for another number of classes; genotypes keep their meaning."""
        return CellSpace(self.operations, name=self.name, **{**self.layout, "classes": classes})

    def network(self, normal: Cell, reduction: Cell) -> CellNetwork:
        """Return the network of this space's layout with the two cells."""
        return CellNetwork(normal=normal, reduction=reduction, **self.layout)

    def decode(self, genotype: NDArray[Any] | Sequence[int]) -> CellNetwork:
        """Return the network of one genotype, shape (choices,).

        Raises UserError where the shape or a value index does not fit the space.
        """
        values = self.check(genotype)[0].tolist()
        edges: list[Edge] = []
        for start in range(0, len(values), 3):
            chosen = [self.choices[start + k].values[values[start + k]] for k in range(3)]
            edges += [Edge(chosen[1 + edge], chosen[0][edge]) for edge in range(2)]
        return self.network(Cell(tuple(edges[: 2 * NODES])), Cell(tuple(edges[2 * NODES :])))

    def encode(self, network: CellNetwork) -> Genotypes:
        """Return the genotype of a network, shape (choices,); its layout is ignored.

        Raises UserError naming an operation that the space does not have.
        """
        values: list[int] = []
        for cell in (network.normal, network.reduction):
            for first, second in cell.nodes():
                states = self.choices[len(values)].values.index((first.source, second.source))
                values += [states, self._operation(first), self._operation(second)]
        return np.array(values, dtype=np.uint8)

    def __contains__(self, network: CellNetwork) -> bool:
        cells = (network.normal, network.reduction)
        return all(edge.operation in self.operations for cell in cells for edge in cell.edges)

    def _operation(self, edge: Edge) -> int:
        if edge.operation not in self.operations:
            raise UserError(f"{edge.operation} is none of the operations of {self.name}: {', '.join(self.operations)}")
        return self.operations.index(edge.operation)

    # Slots, for tables compiled over the space

    @cached_property
    def placed(self) -> tuple[PlacedCell, ...]:
        """The places of all cells."""
        layout = self.layout
        return tuple(placed_cells(layout["resolution"], layout["cells"], layout["channels"]))

    @cached_property
    def slots(self) -> tuple[CellSlot, ...]:
        """What no choice touches, then every edge of both kinds of cell, over all cells of the kind."""
        slots = [CellSlot("fixed", "", 0, ())]
        for path, at in self.index.items():
            kind, node, field = path.split("/")
            if field == "states":
                slots += [CellSlot(f"{kind}/{node}/{e + 1}", kind, e, (at, at + 1 + e)) for e in range(2)]
        return tuple(slots)

    def slot_table(self, slot: CellSlot) -> Iterator[tuple[Op, ...]]:
        """Yield the operations of a slot for all values of `slot.depends`, the last one varying fastest."""
        if not slot.kind:
            yield self._fixed_ops()
            return
        states, operations = (self.choices[at].values for at in slot.depends)
        for pair, operation in product(states, operations):
            yield self._edge_ops(slot.kind, pair[slot.edge], operation)

    def _fixed_ops(self) -> tuple[Op, ...]:
        ops = stem_layer(self.layout["resolution"], self.layout["channels"]).ops
        for placed in self.placed:
            ops += (*input_ops(placed)[0], *join_ops(placed))
        return ops + head_layer(self.placed[-1], self.layout["classes"]).ops

    def _edge_ops(self, kind: str, source: int, operation: str) -> tuple[Op, ...]:
        ops: tuple[Op, ...] = ()
        for placed in self.placed:
            if placed.reduces == (kind == REDUCTION):
                size, stride = edge_shape(placed, source)
                ops += PRIMITIVES[operation].ops(size, placed.channels, stride)
        return ops

    # For people

    def describe(self, genotype: NDArray[Any] | Sequence[int]) -> str:
        """Return the choices of a genotype, one `path = value` a line."""
        row = self.check(genotype)[0]
        return "\n".join(f"{c.path} = {c.values[v]}" for c, v in zip(self.choices, row, strict=True))

    def __str__(self) -> str:
        """Return the name, the exact size and the operations."""
        return f"{self.name}: {self.count():,} networks of {self.layout}; operations {', '.join(self.operations)}"
