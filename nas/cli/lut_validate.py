"""`nas lut validate`: predictions of a table beside measurements, with error, rank and interval figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latency_lut.devices import load_device
from latency_lut.measure.endtoend import chosen_networks, validate_on_device
from latency_lut.networkfiles import read_samples
from latency_lut.validate import Comparison, Validation, require_comparisons, target_of
from latency_lut.validate import validate as compare
from nas.cli._common import JsonOption, SeedOption, note_console, output_console, print_json
from nas.cli._on_device import AdbOption, BenchmarkModelOption, CoresOption, opened_backend, progress_bar
from nas.report.drawing import png_bytes
from nas.report.validation_plot import draw_validation
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from rich.table import Table

DeviceArgument = Annotated[
    str, typer.Argument(metavar="DEVICE", help="A phone from `nas devices`, or a table file.", show_default=False)
]
AgainstOption = Annotated[
    Path | None,
    typer.Option("--against", metavar="FILE", help="Measured blocks or networks (docs/latency.md lists the forms)."),
]
RescaleOption = Annotated[
    bool,
    typer.Option("--rescale", help="Scale each source's predictions to the file first: this peeks at the answers."),
]
NetworksOption = Annotated[
    list[str] | None,
    typer.Option("--networks", metavar="NAME", help="Time these instead: a network, a space, or `all` of both."),
]
OnOption = Annotated[
    str, typer.Option("--on", metavar="DEVICE", help="Where to time: host, adb[:SERIAL] or aihub:NAME.")
]
PerSpaceOption = Annotated[int, typer.Option("--per-space", min=1, help="Random networks of each space.")]
PlotOption = Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Write a scatter picture.")]

_LABELS = {
    "count": "compared",
    "mean_abs_pct": "mean error",
    "median_abs_pct": "median error",
    "p95_abs_pct": "95 % of errors below",
    "max_abs_pct": "largest error",
    "bias_pct": "bias",
    "within_5_pct": "within 5 %",
    "within_10_pct": "within 10 %",
    "spearman": "Spearman",
    "kendall": "Kendall",
    "coverage_90_pct": "inside 90 % interval",
}
_WORST = 5


def validate(
    device: DeviceArgument, against: AgainstOption = None, rescale: RescaleOption = False, plot: PlotOption = None,
    networks: NetworksOption = None, on: OnOption = "host", per_space: PerSpaceOption = 30, seed: SeedOption = 0,
    cores: CoresOption = None, adb: AdbOption = "adb", benchmark_model: BenchmarkModelOption = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Compare predictions with measurements.

    Every published source is compared on its own scale, which the table holds; nothing is fitted to the file. With
    --networks, networks are built and timed on the device itself.

    [bold]Examples[/bold]

      nas lut validate pixel1 --against blocks.csv
      nas lut validate pixel4 --against networks.csv --plot errors.png --json
      nas lut validate host --networks all
    """
    if (against is None) == (not networks):
        raise UserError("say what to compare with: either --against FILE or --networks all")
    from latency_lut.calibrate.recipes import made_from

    table = load_device(device)
    if against is not None:
        validation = compare(table, read_samples(against, target_of(table)), rescale)
        what = against.name
    else:
        chosen = chosen_networks(networks or (), per_space, seed)
        with (
            opened_backend(on, max(table.provenance.threads, 1), cores, adb, benchmark_model) as backend,
            progress_bar("timing networks") as on_progress,
        ):
            validation = validate_on_device(table, backend, chosen, on_progress)
        what = f"{len(chosen)} networks timed on {on}"
    for reason, count in validation.skipped.most_common():
        note_console().print(f"{count} rows skipped: {reason}", style="dim")
    require_comparisons(validation, f"{what} (for {table.name})")
    if plot is not None:
        write_atomic(plot, png_bytes(draw_validation(validation, f"{device} against {what}")))
    seen = against is not None and against.name in made_from(table)
    if seen:
        note_console().print(
            f"{against.name if against else ''} made this table, so these errors are of rows that it has seen; "
            f"left out, the mean error was {table.provenance.left_out_error_pct} %",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if json:
        print_json(_document(validation, rescale) | {"made_the_table": seen})
        return
    console = output_console()
    console.print(_figures(validation))
    console.print(_worst(validation.comparisons))
    if rescale:
        console.print("Rescaled to the file: these figures have seen the answers.", style="yellow")


def _document(validation: Validation, rescaled: bool) -> dict[str, Any]:
    return {
        **validation.scores(),
        "skipped": dict(validation.skipped),
        "rescaled": rescaled,
        "extrapolated": sum(comparison.extrapolated for comparison in validation.comparisons),
        "by_scale": validation.scores_by_view(),
    }


def _figures(validation: Validation) -> Table:
    """One column of figures for all rows, and one for each source where there are several."""
    from rich.table import Table

    columns = {"all": validation.scores()}
    by_view = validation.scores_by_view()
    if len(by_view) > 1:
        columns |= by_view
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    for name in columns:
        table.add_column(name if name != "own" else "table's own scale", justify="right")
    for key, label in _LABELS.items():
        table.add_row(label, *(_shown(key, figures[key]) for figures in columns.values()))
    return table


def _shown(key: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    if key == "count":
        return str(value)
    if key in ("spearman", "kendall"):
        return f"{value:.4f}"
    return f"{value:+.2f} %" if key == "bias_pct" else f"{value:.2f} %"


def _worst(comparisons: tuple[Comparison, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title="Largest errors", title_justify="left")
    for heading in ("measured ms", "predicted ms", "90 % interval", "error"):
        table.add_column(heading, justify="right")
    table.add_column("what", overflow="fold")
    for item in sorted(comparisons, key=lambda item: -abs(item.error_pct))[:_WORST]:
        interval = f"{item.low_ms:.2f} to {item.high_ms:.2f}"
        numbers = (f"{item.measured_ms:.2f}", f"{item.predicted_ms:.2f}", interval, f"{item.error_pct:+.1f} %")
        table.add_row(*numbers, Text(item.label))
    return table
