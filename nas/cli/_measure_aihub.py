"""`nas lut measure --device aihub:NAME`: networks profiled on a phone of Qualcomm AI Hub, and the table from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from latency_lut import LatencyTable, Precision
from latency_lut.devices import new_table_path
from latency_lut.measure.aihub import UNITS, open_aihub
from latency_lut.measure.aihub_table import Farmed, farm, farmed_table
from nas.cli._common import note_console
from nas.cli._on_device import progress_bar
from nas.cli.lut_measure import check_paths, table_name
from searchspace.architecture import Architecture


def measure_aihub(
    device: str,
    networks: Mapping[str, Architecture],
    precision: Precision,
    out: Path | None,
    *,
    resume: bool,
    force: bool,
) -> tuple[LatencyTable, Path]:
    """Profile networks, fit and save the table, and return it with its path; jobs are kept beside it until then."""
    name = device.partition(":")[2]
    phone, _, unit = name.partition("/")
    path = out or new_table_path(table_name(f"{phone} {unit or UNITS[0]}", precision))
    jobs_path = path.with_name(f"{path.name}.jobs")
    check_paths(path, jobs_path, resume=resume, force=force)
    with open_aihub(name, jobs_path) as hub:
        known = len(hub.jobs.numbers)
        try:
            with progress_bar("profiling") as on_progress:
                farmed = farm(hub, networks, precision, on_progress)
        except (KeyboardInterrupt, OSError) as stop:
            kept = f"{len(hub.jobs.numbers)} jobs are kept in {jobs_path}; add --resume to go on without paying twice"
            note_console().print(kept, soft_wrap=True)
            raise stop
        _tell(farmed, hub.unit, len(hub.jobs.numbers) - known)
        table = farmed_table(farmed, hub, precision)
        table.save(path)
        hub.jobs.remove()
    return table, path


def _tell(farmed: Farmed, unit: str, new: int) -> None:
    console = note_console()
    console.print(f"{new} new jobs of AI Hub, {len(farmed.profiles)} networks profiled", soft_wrap=True)
    for label, layers in farmed.beside(unit).items():
        console.print(f"{label} is left out: {', '.join(layers)} ran beside the {unit.upper()}", soft_wrap=True)
    for label, reason in farmed.failed.items():
        console.print(f"{label} is left out: {reason}", soft_wrap=True, markup=False)
