"""The files of a search run, written from its summary; `result.json` holds nothing that differs between two runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nas.jobs.search.figures import Figures
from nas.jobs.search.found import FoundNetwork
from nas.jobs.search.page import ScoredNetwork, SearchSummary, search_page
from nas.report.drawing import write_picture
from nas.report.pictures import draw_front
from nas.runs.folder import ARCHITECTURE, REPORT, RunFolder
from searchspace.heads import HeadedNetwork, TaskHead
from searchspace.yaml_io import save_architecture

FRONT_CSV = "front.csv"
FRONT_PNG = "front.png"
LATENCY_CSV = "latency.csv"
EXPORT_JSON = "export.json"
MODEL = "model.tflite"


def write_search_files(folder: RunFolder, summary: SearchSummary, front: Sequence[FoundNetwork]) -> dict[str, Any]:
    """Write every file of a finished search but the model, `result.json` last, and return what that one holds."""
    folder.write(LATENCY_CSV, latency_csv(summary))
    folder.write(FRONT_CSV, front_csv(front, summary.figures.columns, summary.winner.head))
    references, chosen = summary.points()
    write_picture(folder, FRONT_PNG, lambda: draw_front(summary.front, references, chosen, summary.budget_ms))
    if summary.export is not None:
        predicted = {"predicted_on": summary.device, "predicted_latency_ms": summary.winner.prediction.latency_ms}
        folder.write_json(EXPORT_JSON, summary.export.as_dict() | predicted)
    if summary.export_failed is not None:
        folder.write_json(EXPORT_JSON, {"failed": summary.export_failed})
    folder.write(REPORT, search_page(summary))
    save_architecture(summary.winner.architecture, folder.file(ARCHITECTURE))
    result = result_document(summary)
    folder.finish(result)
    return result


def result_document(summary: SearchSummary) -> dict[str, Any]:
    """Return the content of `result.json`: the winner, what it is compared with, what the figures rest on."""
    winner, made = summary.winner, summary.table.provenance
    trained = {"trained": dict(summary.findings)} if summary.findings else {}
    return {
        "architecture": str(winner.architecture),
        "latency_ms": winner.prediction.latency_ms,
        "low_ms": winner.prediction.low_ms,
        "high_ms": winner.prediction.high_ms,
        "extrapolated": winner.prediction.extrapolated,
        "budget_ms": summary.budget_ms,
        "top1": winner.top1,
        "params": winner.network.params,
        "madds": winner.network.madds,
        **_head(winner),
        "bound_top1": summary.bound.proved,
        "estimated_bound_top1": summary.bound.estimated,
        "proved_optimal": summary.bound.proves(winner.top1),
        "evaluations": summary.evaluations,
        "seed": summary.seed,
        "space": summary.space,
        "device": summary.device,
        "latency_table": {
            "device": made.device,
            "method": made.method.value,
            "left_out_error_pct": made.left_out_error_pct,
            "interval_pct": made.network_interval_pct,
            "sha256": summary.table.sha256,
        },
        "accuracy": {"label": summary.accuracy, "basis": dict(summary.accuracy_basis)},
        "references": [
            {
                "network": one.name,
                "latency_ms": one.prediction.latency_ms,
                "top1": one.top1,
                "found_as_fast_top1": summary.found_within(one.prediction.latency_ms),
                "note": one.note,
            }
            for one in summary.references
        ],
        **({} if summary.export is None else {"usage": dict(summary.export.usage)}),
        **_named(summary.figures),
        **({"export": {"failed": summary.export_failed}} if summary.export_failed is not None else {}),
        **trained,
    }


def _head(winner: ScoredNetwork) -> dict[str, Any]:
    """Return the head by name and what it takes of the latency, where there is one."""
    if winner.head is None:
        return {}
    parts = {row.layer for row in winner.rows if row.kind == "head" and row.layer != "conv"}
    latency_ms = sum(layer.latency_ms for layer in winner.prediction.layers if layer.name in parts)
    return {"head": {"name": winner.head.name, "classes": winner.head.classes, "latency_ms": latency_ms}}


def _named(figures: Figures) -> dict[str, Any]:
    """Return the figures by name, as `result.json` holds them."""
    reached = figures.volume[-1][1] if figures.volume else 0.0
    return {
        "metrics": dict(figures.metrics),
        "constraints": [
            {"metric": one.metric.name, "limit": one.limit, "value": one.value, "low": one.low, "high": one.high}
            for one in figures.limits
        ],
        "budget_binds": figures.binds,
        "hypervolume": {
            "value": reached,
            "unit": "% x ms",
            "reference": {"top1": figures.reference[0], "latency_ms": figures.reference[1]},
        },
        "warnings": list(figures.warnings),
    }


def front_csv(
    front: Sequence[FoundNetwork], further: Mapping[str, Sequence[float]], head: TaskHead | None = None
) -> str:
    """Return the front, fastest first, as CSV text; `further` columns, one value a network, stand at its right."""
    columns = ("latency_ms", "low_ms", "high_ms", "top1", "params", "madds", "architecture", *further)
    rows = (
        (f"{one.latency_ms:.4f}", f"{one.low_ms:.4f}", f"{one.high_ms:.4f}", f"{one.top1:.4f}",
         whole.params, whole.madds, one.architecture,
         *(f"{values[number]:.4f}" for values in further.values()))
        for number, one in enumerate(front)
        for whole in (one.architecture if head is None else HeadedNetwork(one.architecture, head),)
    )  # fmt: skip
    return _csv(columns, rows)


def latency_csv(summary: SearchSummary) -> str:
    """Return the winner layer by layer, with what each adds to the latency, as CSV text."""
    prediction = summary.winner.prediction
    rows = [asdict(row) for row in summary.winner.rows]
    for row, layer in zip(rows, prediction.layers, strict=True):
        row["latency_ms"] = f"{layer.latency_ms:.4f}"
    overhead = dict.fromkeys(rows[0], "") | {"layer": "network", "latency_ms": f"{prediction.overhead_ms:.4f}"}
    return _csv(tuple(rows[0]), (row.values() for row in (*rows, overhead)))


def _csv(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
