"""Networks made of repeated cells: the space of DARTS, with sandglass and inverted residual as further operations.

(`searchspace.cells.modules`, `searchspace.cells.supernet`) are imported by name where they are used.
"""

from searchspace.cells.network import Cell, CellNetwork, Edge
from searchspace.cells.primitives import DARTS, PRIMITIVES, Primitive
from searchspace.cells.published import PUBLISHED_CELLS, published_cell
from searchspace.cells.space import CellSpace
from searchspace.cells.text import parse_cell, parse_cells

__all__ = [
    "DARTS",
    "PRIMITIVES",
    "PUBLISHED_CELLS",
    "Cell",
    "CellNetwork",
    "CellSpace",
    "Edge",
    "Primitive",
    "parse_cell",
    "parse_cells",
    "published_cell",
]
