"""What is exported: which architecture, with which weights, prepared how, calibrated by what."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.export import (
    Calibration,
    ExportRecord,
    Usage,
    calibration_from,
    export_as,
    preparation_of,
)
from nas.jobs.export.headed import export_with_head, is_headed_run
from nas.jobs.export.settings import ExportSettings, run_settings
from nas.runs import RunFolder
from nas.runs.folder import FRONT_WEIGHTS, front_file
from nas.training.start import find_weights
from nas.weights import Preparation, open_weights
from searchspace.architecture import Architecture
from searchspace.modules import Network, build_network, empty_network
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.files import read_text
from searchspace.text import parse

FRONT = "front.csv"


@dataclass(frozen=True)
class _Chosen:
    network: Network
    trained: bool
    usage: Usage
    note: str = ""


def run_export(settings: ExportSettings, out: Path) -> tuple[ExportRecord, list[str]]:
    """Export, run, compare and time; return what was made and what is to be said of it.

    Raises UserError for whatever is wrong with the settings, before anything is written.
    """
    if settings.head is not None or is_headed_run(settings.network):
        return export_with_head(settings, out)
    precision = settings.chosen_precision()
    chosen = _chosen(settings)
    calibration, usage = None, chosen.usage
    if precision == "int8":
        calibration, prepared = _calibration(settings, chosen.network.architecture, usage.preparation)
        usage = replace(usage, preparation=usage.preparation or prepared)
    record = export_as(
        settings.format,
        chosen.network,
        out,
        trained=chosen.trained,
        precision=precision,
        calibration=calibration,
        usage=usage,
        seed=settings.seed,
    )
    return replace(record, file=str(out)), [*([chosen.note] if chosen.note else []), *record.remarks]


def _chosen(settings: ExportSettings) -> _Chosen:
    if settings.at_ms is not None:
        return _front_point(settings, settings.at_ms)
    weights = find_weights(settings.network, settings.weights, from_scratch=False)
    predicted = _predicted(settings.network)
    if weights is None:
        network = build_network(resolve_network(settings.network), seed=settings.seed)
        return _Chosen(network, False, Usage(origin=f"random numbers, seed {settings.seed}", predicted=predicted))
    opened = open_weights(weights, None if settings.weights is None else resolve_network(settings.network))
    network = empty_network(opened.architecture)
    network.load_state_dict(opened.state)
    usage = Usage(
        preparation=opened.info.preparation,
        labels=opened.info.labels,
        origin=opened.info.source,
        predicted=predicted if settings.weights is None else {},
    )
    return _Chosen(network.eval(), True, usage, " ".join(opened.info.notes))


def _front_point(settings: ExportSettings, at_ms: float) -> _Chosen:
    """Take the most accurate network of a search's front whose interval ends within `at_ms`."""
    place = Path(settings.network) / FRONT
    if "," in settings.network or not place.is_file():
        raise UserError(f"--at takes a network from the front of a search: {settings.network[:60]} is no search run")
    rows = list(csv.DictReader(io.StringIO(read_text(place, "front"))))
    try:
        priced = [(float(row["high_ms"]), float(row["top1"]), row) for row in rows]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{place} is no front: expected the columns high_ms, top1 and architecture") from None
    within = [entry for entry in priced if entry[0] <= at_ms]
    if not within:
        fastest = min((entry[0] for entry in priced), default=float("nan"))
        raise UserError(f"no network of {place} is within {at_ms:g} ms; the fastest ends at {fastest:.1f} ms")
    _, top1, row = max(within, key=lambda entry: entry[1])
    architecture = parse(row["architecture"])
    known = find_weights(settings.network, settings.weights, from_scratch=False)
    if known is not None and str(open_weights(known, architecture).architecture) == str(architecture):
        return _chosen(replace(settings, at_ms=None))
    predicted = {name: float(row[name]) for name in ("latency_ms", "low_ms", "high_ms")} | {
        "device": _result(settings.network).get("device")
    }
    note = f"The network of the front with top-1 {top1:.2f} % at {predicted['latency_ms']:.1f} ms."
    kept = Path(settings.network) / FRONT_WEIGHTS / front_file(1 + rows.index(row))
    if kept.is_file():
        shared = "Its weights are the supernet's, as they were scored; it was not trained further alone."
        return _with_weights(kept, predicted, f"{note} {shared}")
    usage = Usage(origin=f"random numbers, seed {settings.seed}", predicted=predicted)
    return _Chosen(build_network(architecture, seed=settings.seed), False, usage, note)


def _with_weights(place: Path, predicted: Mapping[str, Any], note: str) -> _Chosen:
    opened = open_weights(place)
    network = empty_network(opened.architecture)
    network.load_state_dict(opened.state)
    usage = Usage(
        preparation=opened.info.preparation, labels=opened.info.labels, origin=opened.info.source, predicted=predicted
    )
    return _Chosen(network.eval(), True, usage, note)


def _calibration(
    settings: ExportSettings, architecture: Architecture, prepared: Preparation | None
) -> tuple[Calibration | None, Preparation | None]:
    """Return training images of --data, else of the run's own data set, prepared as the weights expect them."""
    from nas.data import load_data

    spec = settings.data or run_settings(settings.network).get("data")
    if not isinstance(spec, str):
        return None, None
    data = load_data(spec, architecture.resolution, settings.seed, preparation=prepared)
    return calibration_from(data, architecture.resolution, settings.seed), preparation_of(data)


def _predicted(network: str) -> Mapping[str, Any]:
    """Return what a run predicts of its network's latency, nothing for other networks."""
    result = _result(network)
    if not isinstance(result.get("latency_ms"), float):
        return {}
    table = result.get("latency_table")
    sha = {"table_sha256": table.get("sha256")} if isinstance(table, dict) else {}
    return {name: result.get(name) for name in ("device", "latency_ms", "low_ms", "high_ms")} | sha


def _result(network: str) -> dict[str, Any]:
    folder = None if "," in network else RunFolder(network)
    return folder.result() if folder is not None and folder.is_complete else {}
