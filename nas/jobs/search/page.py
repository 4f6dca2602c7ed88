"""The page of a search: what was found, what it is compared with, and what its figures rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from latency_lut import LatencyTable, Prediction
from nas.bounds import Bound
from nas.export import ExportRecord
from nas.jobs.search.figure_sections import (
    budget_note,
    limit_section,
    trade_off_sections,
    volume_section,
    warning_section,
)
from nas.jobs.search.figures import Figures
from nas.report import sections
from nas.report.layer_rows import LayerRow, headed_rows, layer_rows
from nas.report.page import Figure, Section, render_page
from nas.report.pictures import Point, draw_front
from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork, TaskHead
from searchspace.support.quantities import milliseconds


@dataclass(frozen=True, kw_only=True)
class ScoredNetwork:
    """A network with its predicted latency and its top-1 in percent from the evaluator of the run.

    `note` says where the score is of a slightly different network; `head` is what the latency includes in the
    classifier's place.
    """

    name: str
    architecture: Architecture
    prediction: Prediction
    top1: float
    note: str = ""
    head: TaskHead | None = None

    @property
    def network(self) -> Architecture | HeadedNetwork:
        """What is counted and priced: the architecture, with its head where there is one."""
        return self.architecture if self.head is None else HeadedNetwork(self.architecture, self.head)

    @property
    def rows(self) -> tuple[LayerRow, ...]:
        """One row for each layer of it."""
        network = self.network
        return layer_rows(network) if isinstance(network, Architecture) else headed_rows(network)


@dataclass(frozen=True, kw_only=True)
class SearchSummary:
    """All a search run shows: the winner, the front, reference networks and where the figures come from.

    `front` is sorted by latency; `accuracy` says what every `top1` is; `accuracy_basis` maps facts about the evaluator,
    such as its rank correlation, to their values; `findings` holds what tests of the trained winner said.
    """

    winner: ScoredNetwork
    front: tuple[Point, ...]
    references: tuple[ScoredNetwork, ...]
    budget_ms: float
    device: str
    space: str
    seed: int
    evaluations: int
    table: LatencyTable
    accuracy: str
    accuracy_basis: Mapping[str, str]
    export: ExportRecord | None = None
    export_failed: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    bound: Bound = field(default_factory=Bound)

    def points(self) -> tuple[tuple[Point, ...], Point]:
        """Return the reference networks and the winner as points of the front's picture."""
        references = tuple(Point(r.prediction.latency_ms, r.top1, r.name) for r in self.references)
        return references, Point(self.winner.prediction.latency_ms, self.winner.top1, self.winner.name)

    def found_within(self, latency_ms: float) -> float | None:
        """Return the best top-1 on the front at up to this latency, None where the front begins above it."""
        return max((point.top1 for point in self.front if point.latency_ms <= latency_ms), default=None)


def as_percent(top1: float | None) -> str:
    """Return an accuracy for reading, nothing for None."""
    return "" if top1 is None else f"{top1:.2f} %"


def search_page(summary: SearchSummary) -> str:
    """Return the HTML text of a search's page."""
    winner, made = summary.winner, summary.table.provenance
    rows = winner.rows
    per_layer_ms = [layer.latency_ms for layer in winner.prediction.layers]
    parts = [
        *warning_section(summary.figures),
        Section("Latency against accuracy", _front(summary), f"Top-1 is {summary.accuracy}. {_FRONT_NOTE}"),
        *_bound_section(summary),
        *limit_section(summary.figures),
        *trade_off_sections(summary.figures),
        Section("Beside reference networks", _comparison(summary), _comparison_note(summary)),
        Section("The network", sections.architecture_diagram(rows), _DIAGRAM_NOTE),
        Section("Layer by layer", sections.latency_bars(rows, per_layer_ms), _overhead(winner.prediction)),
        Section("What the latency rests on", sections.facts(latency_facts(summary.table))),
        Section("What the accuracy rests on", sections.facts(summary.accuracy_basis)),
    ]
    parts += volume_section(summary.figures)
    if summary.findings:
        parts.append(Section("The trained network", sections.facts(finding_facts(summary.findings))))
    if summary.export_failed is not None:
        parts.append(Section("The exported model", sections.facts({"not exported": summary.export_failed})))
    if summary.export is not None:
        parts.append(Section("The exported model", _exported(summary.export, winner, summary.device)))
    parts.append(Section("Compact text", sections.text_block(str(winner.architecture)), _TEXT_NOTE))
    if summary.settings:
        parts.append(Section("Settings and versions", sections.facts(summary.settings)))
    return render_page(
        title=f"A network for {made.device} within {summary.budget_ms:g} ms",
        subtitle=f"{summary.evaluations:,} networks of the space {summary.space} were tried; seed {summary.seed}.",
        figures=_figures(summary),
        sections=parts,
        footer="Latencies are predictions for the phone unless they are said to be measured.",
    )


def _bound_section(summary: SearchSummary) -> list[Section]:
    told = summary.bound.told(summary.winner.top1)
    return [Section("How far from the best", sections.text_block(told), _BOUND_NOTE)] if told else []


_BOUND_NOTE = "For the score that the search went by, over all networks of the space within the budget."
_FRONT_NOTE = (
    "Each point of the line is the most accurate network found up to that latency. "
    "The budget is met by the upper end of the winner's latency interval, so the winner lies left of it."
)
_DIAGRAM_NOTE = "Left to right; height is the feature map's size, width its channels, the number the kernel size."
_TEXT_NOTE = "Every command takes this text, or this run's folder, as NETWORK."


def latency_facts(table: LatencyTable) -> dict[str, str]:
    """Return what a reader must know of a latency table to judge its predictions."""
    made = table.provenance
    found = {
        "device": f"{made.device} ({made.soc})",
        "conditions": f"{made.precision.value}, batch 1, {made.threads_text}, {made.cores}",
        "runtime": f"{made.runtime} {made.runtime_build}",
        "method": f"{made.method.value}, {made.date}",
        "entries": f"{len(table):,} operations",
        "90 % interval": f"±{made.network_interval_pct:.1f} % of a whole network's latency",
    }
    if made.points_used is not None:
        found["measurements used"] = f"{made.points_used:,}"
    if made.left_out_error_pct is not None:
        found["error on measurements left out"] = f"{made.left_out_error_pct:.2f} % on average"
    if made.sources:
        found["sources"] = "; ".join(made.sources)
    if made.notes:
        found["notes"] = made.notes
    return found


def finding_facts(findings: Mapping[str, Any]) -> dict[str, str]:
    """Return the findings about a trained winner as facts to read."""
    found = {
        "test accuracy": f"{findings['test']['top1']:.2f} % of {findings['test']['count']:,} test images",
        "images": f"{findings['data']} at {findings['image_size']} pixels",
        "runs there as": findings["runs_as"],
    }
    if change := findings.get("change"):
        found["on these images"] = change
    if check := findings.get("export_check"):
        found["exported file"] = (
            f"{check['tflite_top1']:.2f} % of {check['images']} test images, PyTorch {check['torch_top1']:.2f} %, "
            f"the same answer on {check['same_answer_pct']:.1f} %"
        )
    return found


def _figures(summary: SearchSummary) -> list[Figure]:
    winner = summary.winner
    prediction, network = winner.prediction, winner.network
    figures = [
        *_accuracies(summary),
        Figure(
            "predicted latency",
            f"{milliseconds(prediction.latency_ms)} ms",
            f"90 % interval {milliseconds(prediction.low_ms)} to {milliseconds(prediction.high_ms)} ms",
        ),
        Figure("budget", f"{summary.budget_ms:g} ms", budget_note(summary.figures)),
        Figure("multiply-adds", f"{network.madds / 1e6:.0f} M"),
        Figure("parameters", f"{network.params / 1e6:.2f} M"),
    ]
    if summary.export is not None:
        figures.append(
            Figure("measured on this machine", f"{milliseconds(summary.export.host_latency_ms)} ms", "not the phone")
        )
    return figures


def _accuracies(summary: SearchSummary) -> list[Figure]:
    """The accuracy that the search went by, after the tested one where the winner was trained."""
    score = f"{summary.winner.top1:.2f} %"
    if not summary.findings:
        return [Figure("top-1 accuracy", score, summary.accuracy)]
    test = summary.findings["test"]
    tested = Figure("test accuracy", f"{test['top1']:.2f} %", f"{test['count']:,} test images, the network trained")
    return [tested, Figure("score in the search", score, summary.accuracy)]


def _front(summary: SearchSummary) -> Markup:
    references, chosen = summary.points()
    named = ", ".join(f"{p.name} {milliseconds(p.latency_ms)} ms {p.top1:.2f} %" for p in (chosen, *references))
    return sections.picture(
        lambda: draw_front(summary.front, references, chosen, summary.budget_ms),
        f"Top-1 accuracy against predicted latency: {named}",
    )


def _comparison(summary: SearchSummary) -> Markup:
    networks = sorted((summary.winner, *summary.references), key=lambda network: network.prediction.latency_ms)
    rows = [
        (
            network.name + ("*" if network.note else ""),
            f"{network.top1:.2f} %",
            "" if network is summary.winner else as_percent(summary.found_within(network.prediction.latency_ms)),
            f"{milliseconds(network.prediction.latency_ms)} ms",
            f"{milliseconds(network.prediction.low_ms)} to {milliseconds(network.prediction.high_ms)} ms",
            f"{network.network.madds / 1e6:.0f} M",
            f"{network.network.params / 1e6:.2f} M",
        )
        for network in networks
    ]
    columns = ("network", "top-1", "found as fast", "latency", "90 % interval", "MAdds", "params")
    return sections.table(columns, rows, numbers=range(1, 7), minor=(4, 5, 6), chosen=networks.index(summary.winner))


def _comparison_note(summary: SearchSummary) -> str:
    notes = ["All rows: same latency table, same evaluator.", "Found as fast: the best network found at that latency."]
    notes += [f"* {network.name}: {network.note}." for network in summary.references if network.note]
    return " ".join(notes)


def _overhead(prediction: Prediction) -> str:
    if not prediction.overhead_ms:
        return ""
    return f"A network takes {prediction.overhead_ms:.2f} ms beside its layers; the total includes it."


def _exported(export: ExportRecord, winner: ScoredNetwork, device: str) -> Markup:
    prediction, resolution = winner.prediction, winner.architecture.resolution
    return sections.facts(
        {
            "file": f"{export.file}, {export.size_bytes / 1e6:.1f} MB, for images of {export.resolution} pixels",
            "precision": export.precision,
            "weights": export.weights,
            f"predicted on {device}": f"{milliseconds(prediction.latency_ms)} ms, on images of {resolution} pixels",
            "measured on this machine": f"{milliseconds(export.host_latency_ms)} ms, {export.host_threads} thread(s), "
            f"tenth percentile of {export.host_runs} runs with {100 * export.host_spread:.0f} % spread",
            "this machine": f"{export.host}; {export.runtime}",
            "difference to torch": f"{export.output_error:.1e} of the outputs' range",
            **({"to know before use": " ".join(export.remarks)} if export.remarks else {}),
        }
    )
