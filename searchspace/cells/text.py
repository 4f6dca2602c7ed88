"""The compact text of cells: `sep3@0+sep3@1|skip@0+sep3@2|...` and, for a network,
`r32,cells20,c36,normal:...,reduction:...,n10`.

A cell is its four nodes, separated by bars; a node is two edges, `OPERATION@STATE`, where states 0 and 1 are the
cell's inputs and 2 is the first node. Operations: max3 avg3 skip sep3 sep5 dil3 dil5 conv7 ir sg.
"""

from __future__ import annotations

import re

from searchspace.cells.network import Cell, CellNetwork, Edge
from searchspace.cells.primitives import PRIMITIVES
from searchspace.support.errors import UserError

_BY_SHORT = {primitive.short: primitive.name for primitive in PRIMITIVES.values()}
_EDGE = re.compile(r"(?P<operation>[a-z]+[0-9]?)@(?P<source>[0-9])")
_NETWORK = re.compile(
    r"r(?P<resolution>[1-9][0-9]{0,3}),cells(?P<cells>[1-9][0-9]{0,2}),c(?P<channels>[1-9][0-9]{0,3}),"
    r"normal:(?P<normal>[^,]+),reduction:(?P<reduction>[^,]+),n(?P<classes>[1-9][0-9]{0,4})"
)


def format_cell(cell: Cell) -> str:
    """Return the compact text of a cell."""
    nodes = ("+".join(f"{PRIMITIVES[edge.operation].short}@{edge.source}" for edge in pair) for pair in cell.nodes())
    return "|".join(nodes)


def format_cells(network: CellNetwork) -> str:
    """Return the compact text of a cell network."""
    return (
        f"r{network.resolution},cells{network.cells},c{network.channels},normal:{format_cell(network.normal)},"
        f"reduction:{format_cell(network.reduction)},n{network.classes}"
    )


def parse_cell(text: str, place: str = "cell") -> Cell:
    """Read a cell; raises UserError naming `place` and what is wrong."""
    edges = []
    for word in re.split(r"[|+]", text.strip()):
        match = _EDGE.fullmatch(word)
        if match is None or match["operation"] not in _BY_SHORT:
            raise UserError(
                f"{place}: cannot read edge {word[:60]!r}, expected OPERATION@STATE such as sep3@0; "
                f"operations: {', '.join(_BY_SHORT)}"
            )
        edges.append(Edge(_BY_SHORT[match["operation"]], int(match["source"])))
    try:
        cell = Cell(tuple(edges))
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    if format_cell(cell) != text.strip():
        raise UserError(f"{place}: {text[:60]!r} is not the canonical spelling, write {format_cell(cell)!r}")
    return cell


def parse_cells(text: str) -> CellNetwork:
    """Read the compact text of a cell network; raises UserError naming what is wrong."""
    match = _NETWORK.fullmatch(text.strip())
    if match is None:
        raise UserError(
            f"cannot read {text[:60]!r} as a network of cells: expected r32,cells20,c36,normal:CELL,reduction:CELL,n10"
        )
    return CellNetwork(
        resolution=int(match["resolution"]),
        cells=int(match["cells"]),
        channels=int(match["channels"]),
        normal=parse_cell(match["normal"], "normal cell"),
        reduction=parse_cell(match["reduction"], "reduction cell"),
        classes=int(match["classes"]),
    )
