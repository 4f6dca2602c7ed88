"""The published cells, from `genotypes.py` of DARTS (Liu et al., arXiv 1806.09055) and PC-DARTS (Xu et al., arXiv
1907.05737)."""

from __future__ import annotations

from types import MappingProxyType

from searchspace.cells.network import CellNetwork
from searchspace.cells.text import parse_cell
from searchspace.support.errors import UserError

PUBLISHED_CELLS = MappingProxyType(
    {
        "darts_v1": (
            "sep3@0+sep3@1|skip@0+sep3@1|skip@0+sep3@1|sep3@0+skip@2",
            "max3@0+max3@1|max3@0+skip@2|max3@0+skip@2|avg3@0+skip@2",
        ),
        "darts_v2": (
            "sep3@0+sep3@1|sep3@0+sep3@1|skip@0+sep3@1|skip@0+dil3@2",
            "max3@0+max3@1|max3@1+skip@2|max3@0+skip@2|max3@1+skip@2",
        ),
        "pc_darts": (
            "skip@0+sep3@1|sep3@0+dil3@1|sep5@0+sep3@1|avg3@0+dil3@1",
            "max3@0+sep5@1|sep5@1+sep5@2|sep3@0+sep3@3|sep3@1+sep3@2",
        ),
    }
)
"""Normal and reduction cell by name; each node's lower state first."""


def published_cell(name: str, *, cells: int = 20, channels: int = 36, classes: int = 10) -> CellNetwork:
    """Return a published network on 32 x 32 images, 20 cells of 36 channels as evaluated on CIFAR-10.

    Raises UserError listing the known names.
    """
    if name not in PUBLISHED_CELLS:
        raise UserError(f"unknown cell {name[:60]!r}, expected one of {', '.join(PUBLISHED_CELLS)}")
    normal, reduction = PUBLISHED_CELLS[name]
    return CellNetwork(
        cells=cells,
        channels=channels,
        normal=parse_cell(normal),
        reduction=parse_cell(reduction),
        classes=classes,
    )
