"""Building blocks of a page's sections, each returned as safe markup with all text escaped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

from markupsafe import Markup

from nas.report.drawing import svg_text
from nas.report.layer_rows import LayerRow, describe_block
from nas.report.page import css_name
from searchspace.support.optional import MissingPackage

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_GAP = 4
_DIAGRAM_HEIGHT = 150


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Markup]],
    *,
    numbers: Collection[int] = (),
    minor: Collection[int] = (),
    chosen: int = -1,
) -> Markup:
    """Return a table; `numbers` are right-aligned, `minor` hidden on narrow screens, `chosen` is the marked row.

    A note says which columns a narrow screen hides.
    """
    head = Markup("").join(_cell("th", name, i in numbers, i in minor) for i, name in enumerate(columns))
    body = Markup("").join(
        Markup("<tr{}>{}</tr>\n").format(
            Markup(' class="chosen"') if index == chosen else "",
            Markup("").join(_cell("td", value, i in numbers, i in minor) for i, value in enumerate(row)),
        )
        for index, row in enumerate(rows)
    )
    hidden = ", ".join(columns[i] for i in sorted(minor))
    note = Markup('\n<p class="note narrow">On a wider screen also: {}.</p>').format(hidden) if hidden else ""
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>\n{}</tbody></table></div>{}').format(
        head, body, note
    )


def _cell(tag: str, value: str | Markup, number: bool, minor: bool) -> Markup:
    kinds = " ".join(name for name, given in (("number", number), ("minor", minor)) if given)
    kind = Markup(' class="{}"').format(kinds) if kinds else ""
    return Markup("<{0}{1}>{2}</{0}>").format(tag, kind, value)


def facts(values: Mapping[str, str]) -> Markup:
    """Return a two-column table of names and values."""
    rows = Markup("").join(Markup("<tr><th>{}</th><td>{}</td></tr>\n").format(*item) for item in values.items())
    return Markup('<div class="scroll"><table class="facts"><tbody>\n{}</tbody></table></div>').format(rows)


def text_block(text: str) -> Markup:
    """Return preformatted text that wraps."""
    return Markup("<pre>{}</pre>").format(text)


def picture(draw: Callable[[], Drawing], description: str) -> Markup:
    """Return a drawing as inline SVG with its description for screen readers, a note where matplotlib is missing."""
    try:
        svg = Markup(svg_text(draw()))
    except MissingPackage as error:
        return Markup('<p class="note">No picture here: {}.</p>').format(error)
    return Markup('<figure role="img" aria-label="{}"><div>{}</div></figure>').format(description, svg)


def latency_bars(rows: Sequence[LayerRow], latencies_ms: Sequence[float]) -> Markup:
    """Return the layer table with each layer's share of the latency as a bar."""
    total, longest = sum(latencies_ms), max(latencies_ms)
    cells = [
        (
            row.layer,
            describe_block(row),
            row.shape.replace(" ", "\N{NO-BREAK SPACE}"),
            f"{row.params:,}",
            f"{row.madds / 1e6:.1f} M",
            f"{latency_ms:.2f} ms",
            Markup('<span class="bar" style="--share:{:.3f}"></span> {:.1f} %').format(
                latency_ms / longest, 100 * latency_ms / total
            ),
        )
        for row, latency_ms in zip(rows, latencies_ms, strict=True)
    ]
    columns = ("layer", "what it is", "shape", "params", "MAdds", "latency", "share")
    return table(columns, cells, numbers=(3, 4, 5), minor=(2, 3, 4))


def architecture_diagram(rows: Sequence[LayerRow]) -> Markup:
    """Draw the layers in running order: height is the map's size, width the channels, colour the kind.

    Both lengths go with the square root, so that small layers stay visible; hovering a layer tells its row.
    """
    largest = max(row.out_size for row in rows)
    shapes, x = [], 0.0
    for row in rows:
        width = 6 + 1.6 * sqrt(row.out_channels)
        height = 14 + (_DIAGRAM_HEIGHT - 14) * sqrt(row.out_size / largest)
        shapes.append(_drawn(row, x, width, height))
        x += width + _GAP
    view = Markup('<svg viewBox="0 0 {:.0f} {}" width="100%" role="img" aria-label="layers of the network">')
    legend = Markup("").join(
        Markup('<span style="--swatch:var(--{})">{}</span>').format(css_name(kind), kind)
        for kind in dict.fromkeys(row.block for row in rows)
    )
    drawing = view.format(x - _GAP, _DIAGRAM_HEIGHT + 20) + Markup("\n").join(shapes) + Markup("</svg>")
    return Markup('{}\n<div class="legend">{}<span style="--swatch:var(--ink)">squeeze-excite</span></div>').format(
        drawing, legend
    )


def _drawn(row: LayerRow, x: float, width: float, height: float) -> Markup:
    y = (_DIAGRAM_HEIGHT - height) / 2
    gate = Markup("")
    if row.squeeze:
        gate = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="var(--ink)"/>').format(x + width / 2, y + height + 6)
    label = Markup("")
    if row.kernel > 1:
        label = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-size="10" fill="#fff">{}</text>').format(
            x + width / 2, _DIAGRAM_HEIGHT / 2 + 3.5, row.kernel
        )
    tip = f"{row.layer}: {describe_block(row)}; {row.shape}"
    return Markup(
        '<g><title>{}</title><rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" '
        'fill="var(--{})"/>{}{}</g>'
    ).format(tip, x, y, width, height, css_name(row.block), label, gate)
