"""`nas lut calibrate`: the table of a phone inferred from a few measured networks or blocks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latency_lut import LatencyTable, Precision
from latency_lut.devices import load_device, new_table_path, shipped_names
from nas.cli._common import (
    AnySpeedOption,
    ForceOption,
    JsonOption,
    note_console,
    output_console,
    print_json,
)
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from latency_lut.calibrate.calibration import Calibration

PhoneOption = Annotated[str, typer.Option("--device", metavar="NAME", help="What to call the phone.")]
EndpointsOption = Annotated[
    Path | None,
    typer.Option("--endpoints", metavar="FILE", help="Measured networks: a CSV with columns model and latency_ms."),
]
BlocksOption = Annotated[
    list[Path] | None, typer.Option("--blocks", metavar="FILE", help="Measured blocks; may be repeated.")
]
BaseOption = Annotated[
    str,
    typer.Option(
        "--base", metavar="DEVICE", help="The phone that gives the structure; `auto`: the nearest, `none`: none."
    ),
]
RecipeOption = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME", help="Make a shipped table again instead; needs --data.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="The published measurements that recipes start from.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="The table.  [default: the user's tables, as `nas devices`]"),
]


def calibrate(
    device: PhoneOption = "phone", endpoints: EndpointsOption = None, blocks: BlocksOption = None,
    base: BaseOption = "auto", precision: Annotated[Precision, typer.Option("--precision")] = Precision.FLOAT32,
    recipe: RecipeOption = None, data: DataOption = None, out: OutOption = None,
    any_speed: AnySpeedOption = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Infer a table from blocks and networks.

    A handful of networks timed on a phone is enough. Three ways are tried, and the one that predicts networks left out
    best is taken: one factor on the times of another phone, its structure adapted, and a few rates (arithmetic, memory,
    launches), which also fit accelerators. mobilenet_v2, mobilenet_v3_large,
    mobilenet_v3_small, mnasnet_a1 and mobilenet_v2_0.35 are a good choice.

    [bold]Examples[/bold]

      nas lut calibrate --device myphone --endpoints times.csv
      nas lut calibrate --device myphone --endpoints times.csv --blocks blocks.csv --base none -o myphone.csv
      nas lut calibrate --recipe pixel1 --data latency/ -o pixel1.csv
    """
    name = recipe or (device if precision is Precision.FLOAT32 else f"{device}_{precision.value}")
    path = out or new_table_path(name)
    if path.exists() and not force:
        raise UserError(f"{path} exists already: choose another file with --out, or replace it with --force")
    if recipe is not None:
        _make_again(recipe, data, path, json)
        return
    files = [*([endpoints] if endpoints else []), *(blocks or [])]
    if not files:
        raise UserError("nothing to calibrate from: give measured networks with --endpoints or blocks with --blocks")
    from latency_lut.calibrate.calibration import calibrate as infer_table
    from latency_lut.samples import Target

    found = infer_table(Target(device, precision), files, _bases(base), any_speed)
    found.table.save(path)
    for reason, count in found.skipped.most_common():
        note_console().print(f"{count} rows skipped: {reason}", style="dim")
    _report(found, path, json)


def _bases(base: str) -> list[LatencyTable]:
    """Return the tables that may give the structure, the shipped ones for `auto`."""
    if base == "none":
        return []
    return [load_device(name) for name in (shipped_names() if base == "auto" else (base,))]


def _make_again(recipe: str, data: Path | None, path: Path, json: bool) -> None:
    from latency_lut.calibrate.recipes import make_table

    if data is None or not data.is_dir():
        raise UserError(f"a recipe needs the folder of published measurements (--data), not {data}")
    table = make_table(recipe, data)
    table.save(path)
    document = {"table": str(path), "ops": len(table), "left_out_error_pct": table.provenance.left_out_error_pct}
    if json:
        print_json(document)
    else:
        output_console().print(f"{path}: {len(table)} ops")


def _report(found: Calibration, path: Path, json: bool) -> None:
    made = found.table.provenance
    document: dict[str, Any] = {
        "table": str(path),
        "device": made.device,
        "precision": made.precision.value,
        "base": found.base,
        "measurements": made.points_used,
        "factor": found.factor,
        "left_out_error_pct": found.left_out_error_pct,
        "plain_scaling_error_pct": found.plain_scaling_error_pct,
        "interval_pct": made.interval_pct,
        "skipped": dict(found.skipped),
        "choice": found.choice,
        "tried": dict(found.tried),
    }
    if json:
        print_json(document)
        return
    console = output_console()
    console.print(f"{path}: {made.device}, {made.precision.value}, from {made.points_used} measurements")
    console.print(
        f"error on measurements left out in turn: mean {found.left_out_error_pct:.1f} %; "
        f"90 % are expected within {made.interval_pct:.1f} %"
    )
    console.print(f"{made.device} takes {found.factor:.3g} times as long as {found.base or 'pixel1'}", markup=False)
    ways = ", ".join(f"{way} {error:.1f} %" for way, error in sorted(found.tried.items(), key=lambda item: item[1]))
    console.print(f"mean error left out, by how the table is made: {ways}; made by: {found.choice}", markup=False)
