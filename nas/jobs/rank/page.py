"""The page and the picture of a ranking: does the supernet order networks as the truth does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.report import sections
from nas.report.drawing import new_drawing, tidy
from nas.report.page import Figure, Section, render_page

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure as Drawing

SUPERNET, TRUTH = "supernet loss", "top1"
_NOTE = "Kendall's tau and Spearman's rho with the truth, 95 % bootstrap intervals; the best tenth is by the truth."


def rank_page(result: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]) -> str:
    """Return the HTML text of a ranking's page from its `result.json` and the columns of `networks.csv`."""
    correlations = result["correlations"]
    figures = [
        Figure(f"tau of the {name}" if name == SUPERNET else f"tau of {name}", *_figure(parts["all"]))
        for name, parts in correlations.items()
    ]
    source = result["truth"]
    parts = [
        Section("Correlations", _table(correlations), _NOTE),
        Section(
            "Supernet and truth",
            sections.picture(lambda: draw_ranking(columns, result), "the supernet's loss against the truth"),
        ),
    ]
    if result.get("warnings"):
        parts.insert(0, Section("Before you rely on it", sections.text_block("\n".join(result["warnings"]))))
    settings = {name.replace("_", " "): str(value) for name, value in result["supernet"].items() if value is not None}
    parts.append(Section("The supernet", sections.facts(settings)))
    return render_page(
        title=f"Ranking of {result['networks']} networks of {result['space']}",
        subtitle=f"Truth: {source}. Latency on {result['device']}.",
        figures=figures,
        sections=parts,
        footer="Every network with its scores stands in networks.csv.",
    )


def _figure(found: Mapping[str, Any]) -> tuple[str, str]:
    return f"{found['kendall']:.3f}", f"{found['kendall_low']:.3f} to {found['kendall_high']:.3f}"


def _table(correlations: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Markup:
    rows = [
        (
            name,
            part,
            str(found["count"]),
            f"{found['kendall']:.3f}",
            f"{found['kendall_low']:.3f} to {found['kendall_high']:.3f}",
            f"{found['spearman']:.3f}",
            f"{found['spearman_low']:.3f} to {found['spearman_high']:.3f}",
        )
        for name, parts in correlations.items()
        for part, found in parts.items()
    ]
    columns = ("score", "over", "networks", "tau", "95 %", "rho", "95 %")
    return sections.table(columns, rows, numbers=range(2, 7), minor=(5, 6))


def draw_ranking(columns: Mapping[str, Sequence[Any]], result: Mapping[str, Any]) -> Drawing:
    """Draw the supernet's loss, falling from left to right, against the truth."""
    found = result["correlations"][SUPERNET]["all"]
    drawing = new_drawing(8, 4.5)
    axes = drawing.add_subplot()
    axes.scatter([-float(score) for score in columns[SUPERNET]], columns[TRUTH], s=8, alpha=0.6, linewidths=0)
    axes.invert_xaxis()
    axes.set_xlabel("loss with the supernet's weights, nats")
    axes.set_ylabel(f"top-1, % ({result['truth'].split(',')[0]})")
    interval = f"{found['kendall_low']:.3f} to {found['kendall_high']:.3f}"
    axes.set_title(f"Kendall tau {found['kendall']:.3f} ({interval}), {found['count']} networks", fontsize=10)
    tidy(axes, legend=False)
    return drawing
