"""What all pictures share: the palette, a new drawing, and a drawing as PNG file or inline SVG.

A PNG stands on a white card. An SVG has no background and takes its colours from the page's CSS variables, so that it
follows the reader's light or dark mode.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from searchspace.support.errors import Note
from searchspace.support.optional import MissingPackage, optional_import

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from nas.runs import RunFolder

INK, SOFT, LINE = "#1c2430", "#5b6675", "#dde3ea"
ACCENT, ALERT, FAINT = "#0b6bcb", "#c8372d", "#c3ccd6"
# Readable on light and dark paper alike.
SERIES = (ACCENT, "#d9822b", "#3d9a6a", "#7a6fd0", ALERT)

_VARIABLES = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    ALERT: "var(--alert)",
    FAINT: "var(--faint)",
    "#000000": "var(--ink)",
    "#ffffff": "var(--card)",
}


def new_drawing(width: float, height: float) -> Drawing:
    """Return an empty drawing of this size in inches; raises MissingPackage where matplotlib is not installed."""
    figures = optional_import("matplotlib.figure", purpose="drawing pictures", extra="report")
    drawing: Drawing = figures.Figure(figsize=(width, height), layout="constrained")
    return drawing


def tidy(axes: Axes, *, legend: bool = True) -> None:
    """Give axes a faint grid below the data, no frame at the top and right, and a legend without a box."""
    axes.grid(color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=9)


def png_bytes(drawing: Drawing) -> bytes:
    """Return a drawing as a PNG file; the same drawing gives the same bytes."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def svg_text(drawing: Drawing) -> str:
    """Return a drawing as an `<svg>` element with its text as text; the same drawing gives the same text."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "nas"}):
        drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        text = text.replace(f": {colour}", f": {variable}")
    return text


def write_picture(folder: RunFolder, name: str, draw: Callable[[], Drawing]) -> None:
    """Write a PNG into a run's folder, or note what to install where matplotlib is missing: no run fails for it."""
    try:
        folder.write(name, png_bytes(draw()))
    except MissingPackage as error:
        warnings.warn(f"{name} is not written: {error}", Note, stacklevel=2)
