"""Whole networks on a device, and how far a table's predictions lie from their measured times."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from latency_lut.errors import UnmeasuredOp
from latency_lut.estimate import Estimate
from latency_lut.measure.backend import Backend
from latency_lut.measure.journal import MeasurementLog
from latency_lut.measure.references import References
from latency_lut.measure.rounds import OnProgress, estimates, measure
from latency_lut.predict import predict
from latency_lut.provenance import Precision
from latency_lut.table import LatencyTable
from latency_lut.validate import Comparison, Validation
from searchspace.architecture import Architecture
from searchspace.reference import reference, reference_names
from searchspace.space import load_space, space_names
from searchspace.support.errors import UserError

ALL = "all"
OUTSIDE = "holds an op outside the table's measured range"


def chosen_networks(names: Iterable[str], per_space: int, seed: int) -> dict[str, Architecture]:
    """Return networks by label: each name is a reference network, a space (`per_space` random ones) or `all` of both.

    Raises UserError for an unknown name.
    """
    networks: dict[str, Architecture] = {}
    for name in names:
        references = reference_names() if name == ALL else () if name in space_names() else (name,)
        networks |= {reference_name: reference(reference_name) for reference_name in references}
        for space_name in space_names() if name == ALL else (name,) if name in space_names() else ():
            networks |= random_networks(space_name, per_space, seed)
    return networks


def random_networks(space_name: str, count: int, seed: int) -> dict[str, Architecture]:
    """Return `count` random networks of a space by label."""
    space = load_space(space_name)
    genotypes = space.sample(np.random.default_rng(seed), count)
    label = Path(space_name).stem
    return {f"{label}/{number}": space.decode(genotype) for number, genotype in enumerate(genotypes)}


def time_networks(
    backend: Backend,
    networks: Iterable[Architecture],
    precision: Precision,
    references: References,
    on_progress: OnProgress = lambda done, total, task: None,
) -> dict[Architecture, Estimate]:
    """Time whole networks, scaled to the level at which the references take the given times."""
    with tempfile.TemporaryDirectory() as folder:
        journal = MeasurementLog(Path(folder) / "networks.jsonl", {})
        measure(backend, list(dict.fromkeys(networks)), precision, journal, on_progress)
        journal.close()
    scaled = estimates(journal.measurements, references)
    return {task: entry for task, entry in scaled.items() if isinstance(task, Architecture)}


def validate_on_device(
    table: LatencyTable,
    backend: Backend,
    networks: Mapping[str, Architecture],
    on_progress: OnProgress = lambda done, total, task: None,
) -> Validation:
    """Build, run and time networks on the device that the table was measured on, and compare.

    Networks that the table does not cover are counted as skipped. Raises UserError when the device is another one or
    the table was not measured.
    """
    references = check_same_device(table, backend)
    covered = {}
    skipped: Counter[str] = Counter()
    for label, architecture in networks.items():
        try:
            covered[label] = (architecture, predict(table, architecture))
        except UnmeasuredOp:
            skipped[OUTSIDE] += 1
    architectures = [architecture for architecture, _ in covered.values()]
    times = time_networks(backend, architectures, table.provenance.precision, references, on_progress)
    comparisons = [
        Comparison(
            label=label,
            view="",
            measured_ms=times[architecture].latency_ms,
            predicted_ms=prediction.latency_ms,
            low_ms=prediction.low_ms,
            high_ms=prediction.high_ms,
            extrapolated=prediction.extrapolated,
        )
        for label, (architecture, prediction) in covered.items()
    ]
    return Validation(tuple(comparisons), skipped)


def check_same_device(table: LatencyTable, backend: Backend) -> References:
    """Return the references of a table that was measured with the device, runtime and threads of `backend`.

    Raises UserError for a table of another device, or one that names no references.
    """
    provenance, facts = table.provenance, asdict(backend.facts())
    different = [
        f"{name} is {value!r} here, {getattr(provenance, name)!r} in the table"
        for name, value in facts.items()
        if name != "cores" and getattr(provenance, name) != value
    ]
    references = References.of_conditions(provenance.conditions)
    if references is None:
        different.append("it does not say how long the references took: measure it again with `nas lut measure`")
    if different or references is None:
        raise UserError(f"the table of {table.name} is of another device: {'; '.join(different)}")
    return references
