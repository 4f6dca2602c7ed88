"""Cells as pictures: states as boxes in columns, operations as labelled arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.report.drawing import ALERT, FAINT, INK, SERIES, SOFT, new_drawing
from searchspace.cells import Cell, CellNetwork
from searchspace.cells.network import INPUTS, NODES
from searchspace.cells.primitives import PRIMITIVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

# One colour for each family of operations; the words on the arrows say the rest.
COLOURS = {"sep": SERIES[0], "dil": SERIES[2], "max": SERIES[3], "avg": SERIES[3], "skip": SOFT}
OWN_BLOCK = ALERT  # inverted residual and sandglass
ROW_GAP = 1.0
_BOX = {"boxstyle": "round,pad=0.35", "facecolor": "#ffffff", "edgecolor": INK}


def draw_cells(network: CellNetwork) -> Drawing:
    """Draw the normal cell above the reduction cell of a network."""
    drawing = new_drawing(9.0, 6.4)
    for axes, name, cell in zip(
        drawing.subplots(2, 1), ("normal cell", "reduction cell"), (network.normal, network.reduction), strict=True
    ):
        _draw_cell(axes, cell)
        axes.set_title(name, loc="left", fontsize=11)
    return drawing


def _draw_cell(axes: Axes, cell: Cell) -> None:
    places = {0: (0.0, ROW_GAP), 1: (0.0, -ROW_GAP)} | {
        INPUTS + node: (1.6 + 1.5 * node, ROW_GAP * (0.55 if node % 2 else -0.55)) for node in range(NODES)
    }
    names = {0: "two cells\nbefore", 1: "cell\nbefore"} | {INPUTS + node: str(node + 1) for node in range(NODES)}
    end = (1.6 + 1.5 * NODES, 0.0)
    for number, edge in enumerate(cell.edges):
        target = INPUTS + number // 2
        short = PRIMITIVES[edge.operation].short
        colour = COLOURS.get(short.rstrip("35"), OWN_BLOCK)
        bend = 0.12 if number % 2 else -0.12
        _arrow(axes, places[edge.source], places[target], colour, bend)
        (x0, y0), (x1, y1) = places[edge.source], places[target]
        share = 0.62 if number % 2 else 0.5
        axes.text(
            x0 + share * (x1 - x0) + bend * (y1 - y0) / 2,
            y0 + share * (y1 - y0) - bend * (x1 - x0) / 2,
            short,
            color=colour,
            fontsize=9,
            ha="center",
            va="center",
            bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.6},
        )
    for node in range(NODES):
        _arrow(axes, places[INPUTS + node], end, FAINT, 0.0)
    for state, (x, y) in places.items():
        axes.text(x, y, names[state], ha="center", va="center", fontsize=9, bbox=_BOX, zorder=4)
    axes.text(*end, "join", ha="center", va="center", fontsize=9, bbox=_BOX, zorder=4)
    axes.set_xlim(-0.7, end[0] + 0.6)
    axes.set_ylim(-1.6, 1.6)
    axes.axis("off")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 14, "shrinkB": 12}
    axes.annotate("", end, start, arrowprops={**style, "connectionstyle": f"arc3,rad={bend}"}, zorder=2)
