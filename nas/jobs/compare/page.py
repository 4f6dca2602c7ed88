"""The page and the picture of a comparison of strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.report.drawing import new_drawing, tidy
from nas.report.page import Figure, Section, render_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

COLUMNS = ("strategy", "regret, points", "95 %", "hypervolume", "evaluations", "rank", "against random")
_CERTAIN = 0.05


def table_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return one row for each strategy, the smallest regret first."""
    ordered = sorted(result["strategies"].items(), key=lambda item: item[1]["regret_mean"])
    return [
        (
            name,
            f"{found['regret_mean']:.3f}",
            "" if found["regret_ci"] is None else f"{found['regret_ci'][0]:.3f} to {found['regret_ci'][1]:.3f}",
            f"{found['hypervolume_mean']:,.1f}",
            f"{found['evaluations']:,.0f}",
            "" if found["rank_mean"] is None else f"{found['rank_mean']:.1f}",
            verdict(found),
        )
        for name, found in ordered
    ]


def verdict(found: dict[str, Any]) -> str:
    """Say in a word how a strategy stands beside random search."""
    if found["p_better_than_random"] is None:
        return ""
    if found["p_better_than_random"] < _CERTAIN:
        return f"better (p {found['p_better_than_random']:.2g})"
    if found["p_worse_than_random"] < _CERTAIN:
        return f"worse (p {found['p_worse_than_random']:.2g})"
    return "no difference shown"


def notes(result: dict[str, Any]) -> list[str]:
    """Return what a reader has to know to read the table, a sentence each."""
    point = result["hypervolume_reference"]
    said = [
        f"Regret: points of top-1 below {result['best_top1']:.3f} %, {result['regret_against']}.",
        f"Hypervolume: points x {point['unit']}, from {point['cost']:,.1f} {point['unit']} and {point['top1']:.2f} %.",
        "Intervals are Student's over the seeds, those of the regret cut off at 0, below which none can be.",
        "Against random: Mann-Whitney, one side, 5 %.",
    ]
    if result["networks"]:
        said.append(
            f"Only the {result['networks']['table']:,} networks of the table are searched, of "
            f"{result['networks']['space']:,} of the space; proposals off the table and repeats are drawn again, "
            "the strategy is told so, and only distinct networks count."
        )
    said += [f"Left out: {name} ({why})." for name, why in result["left_out"].items()]
    return said


def draw_curves(result: dict[str, Any]) -> Drawing:
    """Draw mean regret and hypervolume over the evaluations."""
    drawing = new_drawing(9, 4.2)
    left, right = drawing.subplots(1, 2)
    for name, found in result["strategies"].items():
        counts = [int(count) for count in found["over_time"]]
        means = list(found["over_time"].values())
        left.plot(counts, [max(one["regret_mean"], 1e-3) for one in means], label=name, linewidth=1.3)
        right.plot(counts, [one["hypervolume_mean"] for one in means], label=name, linewidth=1.3)
    left.set_yscale("log")
    left.set_ylabel("mean regret [points of top-1]")
    right.set_ylabel(f"mean hypervolume [points x {result['hypervolume_reference']['unit']}]")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("networks evaluated")
        tidy(axes, legend=axes is left)
    return drawing


def compare_page(result: dict[str, Any]) -> str:
    """Return the page as HTML text."""
    from nas.report.sections import picture, table

    rows = table_rows(result)
    figures = [
        Figure("best strategy", rows[0][0], f"regret {rows[0][1]} points"),
        Figure("evaluations", f"{result['evaluations']:,}", f"{result['seeds']} seeds each"),
        Figure("best network", f"{result['best_top1']:.3f} %", result["regret_against"]),
    ]
    sections = [
        Section("Strategies", table(COLUMNS, rows, numbers=(1, 2, 3, 4, 5), chosen=0), " ".join(notes(result))),
        Section("Over time", picture(lambda: draw_curves(result), "mean regret and hypervolume over evaluations")),
    ]
    return render_page(
        title=f"Strategies on {result['space']}",
        subtitle=result["truth"],
        figures=figures,
        sections=sections,
        footer="nas compare",
    )
