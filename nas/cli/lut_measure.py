"""`nas lut measure`: time every op of search spaces on this machine or a phone, and write the device's table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from latency_lut import LatencyTable, Precision
from latency_lut.devices import new_table_path
from latency_lut.measure import plan
from latency_lut.measure.assemble import assemble
from latency_lut.measure.backend import Backend, DeviceFacts, Task
from latency_lut.measure.endtoend import random_networks
from latency_lut.measure.journal import MeasurementLog
from latency_lut.measure.rounds import measure as measure_tasks
from nas.cli._common import (
    ForceOption,
    JsonOption,
    ResumeOption,
    note_console,
    output_console,
    print_json,
)
from nas.cli._on_device import (
    AdbOption,
    BenchmarkModelOption,
    CoresOption,
    ThreadsOption,
    opened_backend,
    progress_bar,
)
from searchspace.architecture import Architecture
from searchspace.reference import reference_names
from searchspace.resolve import resolve_network
from searchspace.space import load_space, space_names
from searchspace.support.errors import UserError

_PUBLISHED_PX = 224  # the resolution of published figures; larger reference networks are measured when asked for
_FIT_SEED = 190502244  # apart from the small seeds that `nas lut validate --networks` draws with

TargetOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="host; adb, or adb:SERIAL where several phones are plugged in; aihub:NAME for a phone of Qualcomm AI Hub.",
    ),
]
SpacesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="Measure every op of this space, or of `all`; may be repeated.  [default: mobile]",
    ),
]
NamesOption = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="NETWORK", help="Measure the ops of these networks instead of a space."),
]
GridOption = Annotated[
    float | None,
    typer.Option(
        "--grid",
        help="Largest ratio between neighbouring channel counts; 1 measures every op.  "
        "[default: the finest that takes ten minutes]",
    ),
]
FitOption = Annotated[
    int, typer.Option("--fit-networks", min=0, help="Random whole networks that set the scale; 0 leaves it out.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The table.  [default: the user's tables, as `nas devices`]"),
]
SustainedOption = Annotated[
    str | None,
    typer.Option(
        "--sustained",
        metavar="DURATION",
        help="Instead of a table: run NETWORK on a phone for so long (10m) and tell how it slows down.",
    ),
]
NetworkArgument = Annotated[
    str | None, typer.Argument(metavar="NETWORK", help="With --sustained: what to run.", show_default=False)
]


def measure(
    device: TargetOption, network: NetworkArgument = None, sustained: SustainedOption = None,
    spaces: SpacesOption = None, networks: NamesOption = None,
    precision: Annotated[Precision, typer.Option("--precision")] = Precision.FLOAT32,
    threads: ThreadsOption = 1, cores: CoresOption = None, grid: GridOption = None,
    fit_networks: FitOption = 32, out: OutOption = None, resume: ResumeOption = False, force: ForceOption = False,
    adb: AdbOption = "adb", benchmark_model: BenchmarkModelOption = None, json: JsonOption = False,
) -> None:  # fmt: skip
    """Measure a table on this machine or a phone.

    Any key or Ctrl-C stops, and so may a pulled cable: what was measured is kept, and --resume goes on from there.

    [bold]Examples[/bold]

      nas lut measure --device host --space mobilenetv3\n
      nas lut measure --device adb --benchmark-model ./android_aarch64_benchmark_model\n
      nas lut measure --device adb:SERIAL --precision int8 --resume\n
      nas lut measure --device aihub:"Samsung Galaxy S24"\n
      nas lut measure --device adb --benchmark-model PATH --sustained 10m mobilenet_v3_large\n
    """
    if sustained is not None or network is not None:
        if sustained is None or network is None:
            raise UserError("--sustained DURATION and NETWORK go together: --sustained 10m mobilenet_v3_large")
        from nas.cli._sustained import measure_sustained

        with opened_backend(device, threads, cores, adb, benchmark_model) as backend:
            measure_sustained(backend, network, sustained, precision, out, json=json)
        return
    if device.partition(":")[0] == "aihub":
        from nas.cli._measure_aihub import measure_aihub

        chosen = _networks(spaces or ([] if networks else ["mobile"]), networks or [], fit_networks)
        table, path = measure_aihub(device, chosen, precision, out, resume=resume, force=force)
        _report(table, path, json)
        return
    with opened_backend(device, threads, cores, adb, benchmark_model) as backend:
        facts = backend.facts()
        path = out or new_table_path(table_name(facts.device, precision))
        journal_path = path.with_name(f"{path.name}.partial")
        check_paths(path, journal_path, resume=resume, force=force)
        tasks, resolution = _tasks(
            spaces or ([] if networks else ["mobile"]), networks or [], grid, fit_networks, backend.seconds_per_op
        )
        header = {**asdict(facts), "precision": precision.value}
        journal = MeasurementLog(journal_path, header)
        try:
            with progress_bar("measuring") as on_progress:
                measure_tasks(backend, tasks, precision, journal, on_progress)
        except (KeyboardInterrupt, OSError) as stop:
            kept = f"{len(journal.measurements)} of {len(tasks)} measurements are kept in {journal_path}; "
            note_console().print(kept + "add --resume to go on", soft_wrap=True)
            raise stop
        finally:
            journal.close()
        table = _assembled(backend, facts, journal, tasks, precision, resolution)
    table.save(path)
    journal.remove()
    _report(table, path, json)


def table_name(device: str, precision: Precision) -> str:
    """Return what the table of a device is called: letters, digits and underscores, and int8 where it is that."""
    name = "".join(char if char.isalnum() else "_" for char in device.lower())
    return name if precision is Precision.FLOAT32 else f"{name}_{precision.value}"


def check_paths(path: Path, journal_path: Path, *, resume: bool, force: bool) -> None:
    """Make the table's folder; raises UserError for a table or an unfinished run that would be overwritten."""
    if path.exists() and not (force or resume):
        raise UserError(f"{path} already holds a table: add --force to measure it anew, or give --out another path")
    if journal_path.exists() and not resume:
        raise UserError(f"{journal_path} holds an unfinished run: add --resume to go on, or delete it to start again")
    if resume and not journal_path.exists():
        raise UserError(f"there is nothing to resume: no {journal_path}")
    path.parent.mkdir(parents=True, exist_ok=True)


def _networks(spaces: list[str], networks: list[str], fit_networks: int) -> dict[str, Architecture]:
    """Return the networks to time where no single op is: those named, else references, and random ones of spaces."""
    named = {name: resolve_network(name) for name in networks or reference_names()}
    if not networks:
        named = {name: network for name, network in named.items() if network.resolution <= _PUBLISHED_PX}
    names = space_names() if "all" in spaces else spaces
    for number, space in enumerate(names):
        named |= random_networks(space, len(range(number, fit_networks, len(names))), _FIT_SEED)
    return named


def _tasks(
    spaces: list[str], networks: list[str], grid: float | None, fit_networks: int, seconds_per_op: float
) -> tuple[list[Task], int]:
    """Return the ops, thinned out, and whole networks to time, and the largest resolution in pixels."""
    names = space_names() if "all" in spaces else spaces
    loaded = [load_space(name) for name in names]
    # The reference networks are always covered: a table that cannot price MobileNetV2 is of little use.
    named = [resolve_network(name) for name in networks or reference_names()]
    if not networks:
        named = [architecture for architecture in named if architecture.resolution <= _PUBLISHED_PX]
    wanted = plan.network_ops(named).union(*(plan.space_ops(space) for space in loaded))
    whole = named if networks else []
    for number, space in enumerate(names):
        share = len(range(number, fit_networks, len(names)))
        whole += random_networks(space, share, _FIT_SEED).values()
    resolution = max(architecture.resolution for architecture in [*named, *whole])
    ratio = plan.finest_ratio(wanted, seconds_per_op) if grid is None else grid
    return [*plan.sampled(wanted, ratio), *dict.fromkeys(whole)], resolution


def _assembled(
    backend: Backend,
    facts: DeviceFacts,
    journal: MeasurementLog,
    tasks: list[Task],
    precision: Precision,
    resolution: int,
) -> LatencyTable:
    wanted = {task: journal.measurements[task] for task in tasks}
    return assemble(wanted, facts, backend.conditions(), precision, resolution)


def _report(table: LatencyTable, path: Path, json: bool) -> None:
    left_one_out = table.leave_one_out_error()
    made = table.provenance
    document: dict[str, Any] = {
        "table": str(path),
        "device": made.device,
        "ops": len(table),
        "interpolation_mean_pct": left_one_out.mean_abs_pct if left_one_out.points else None,
        "networks": made.points_used,
        "left_out_error_pct": made.left_out_error_pct,
        "interval_pct": made.interval_pct,
    }
    if json:
        print_json(document)
        return
    console = output_console()
    console.print(f"{path}: {len(table)} ops of {made.device} ({made.soc})")
    if left_one_out.points:
        console.print(f"ops left out of the grid are interpolated within {left_one_out.mean_abs_pct:.1f} % on average")
    if made.left_out_error_pct is not None:
        console.print(
            f"whole networks left out of the fit are predicted within {made.left_out_error_pct:.1f} % on average, "
            f"nine in ten within {made.interval_pct:.1f} %"
        )
