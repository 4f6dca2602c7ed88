"""The parts of a search's page that show its named figures: budgets, further fronts, hypervolume, warnings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nas.jobs.search.figures import Figures, TradeOff
from nas.report import sections
from nas.report.drawing import ACCENT, ALERT, new_drawing, tidy
from nas.report.page import Section
from searchspace.support.quantities import milliseconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

UNBOUND = "every network of the space keeps this budget, so it did not bind: this is the best network found"


def budget_note(figures: Figures) -> str:
    """Return what stands under the budget: what keeps it, or that it decided nothing."""
    if not figures.binds:
        return UNBOUND
    return "kept by the upper end" if len(figures.limits) < 2 else "the first of several, each kept by the upper end"


def warning_section(figures: Figures) -> list[Section]:
    """Return what has to be read before anything else, if there is anything."""
    if not figures.warnings:
        return []
    return [Section("Read this first", sections.text_block("\n".join(figures.warnings)), "")]


def limit_section(figures: Figures) -> list[Section]:
    """Return the table of budgets where there are several."""
    if len(figures.limits) < 2:
        return []
    rows = [
        (
            one.metric.device,
            f"{one.limit:g} {one.metric.unit}",
            f"{milliseconds(one.value)} {one.metric.unit}",
            f"{milliseconds(one.low)} to {milliseconds(one.high)} {one.metric.unit}",
        )
        for one in figures.limits
    ]
    table = sections.table(("device", "budget", "predicted", "90 % interval"), rows, numbers=range(1, 4))
    return [Section("The budgets", table, "Each is kept by the upper end of the interval on its device.")]


def trade_off_sections(figures: Figures) -> list[Section]:
    """Return a picture for every further metric of the front."""
    return [
        Section(
            f"{one.metric.meaning.capitalize()} against accuracy",
            sections.picture(partial(_draw_trade_off, one), f"Top-1 accuracy against {one.metric.name}"),
            f"The best found for each {one.metric.name}; the search itself steers by its budgets.",
        )
        for one in figures.trade_offs
    ]


def volume_section(figures: Figures) -> list[Section]:
    """Return the hypervolume over time."""
    if len(figures.volume) < 2:
        return []
    top1, latency_ms = figures.reference
    note = (
        f"Area that the networks evaluated cover in top-1 and latency, from {top1:.2f} % at "
        f"{milliseconds(latency_ms)} ms: "
        "where the line is flat, more evaluations bring little"
    )
    picture = sections.picture(lambda: _draw_volume(figures), f"Hypervolume, at the end {figures.volume[-1][1]:.1f}")
    return [Section("How the front grew", picture, note)]


def _draw_trade_off(one: TradeOff) -> Drawing:
    drawing = new_drawing(8, 4)
    axes = drawing.add_subplot()
    axes.plot(one.cost, one.top1, drawstyle="steps-post", color=ACCENT, linewidth=1.5, label="best found")
    axes.axvline(one.chosen, color=ALERT, linewidth=1, linestyle="--", label="found network")
    unit = f" [{one.metric.unit}]" if one.metric.unit else ""
    axes.set_xlabel(f"{one.metric.name}{unit}")
    axes.set_ylabel("top-1 accuracy [%]")
    tidy(axes)
    return drawing


def _draw_volume(figures: Figures) -> Drawing:
    drawing = new_drawing(8, 3)
    axes = drawing.add_subplot()
    axes.plot(*zip(*figures.volume, strict=True), color=ACCENT, linewidth=1.5)
    axes.set_xlabel("networks evaluated")
    axes.set_ylabel("hypervolume [% x ms]")
    tidy(axes, legend=False)
    return drawing
