"""`nas lut import` and `nas lut export`: tables of other projects into ours, and ours into their form."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latency_lut import LatencyTable, Method, Precision, Provenance
from latency_lut.devices import load_device, new_table_path
from nas.cli._common import (
    AnySpeedOption,
    ForceOption,
    JsonOption,
    note_console,
    output_console,
    print_json,
)
from searchspace.resolve import resolve_network
from searchspace.space import load_space
from searchspace.support.errors import UserError
from searchspace.support.files import write_atomic

if TYPE_CHECKING:
    from searchspace.architecture import Architecture

SourceArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="YAML of ProxylessNAS or Once-for-All, or flat JSON of nn-Meter.")
]
NameOption = Annotated[str, typer.Option("--device", metavar="NAME", help="How `--device` will call the new table.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads that the times were measured with.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The table.  [default: the user's tables]")
]
SkipOption = Annotated[bool, typer.Option("--skip-unknown", help="Leave out keys that spell no known block.")]


class Form(StrEnum):
    """What `nas lut export` writes."""

    PROXYLESSNAS = "proxylessnas"
    ONCE_FOR_ALL = "once-for-all"
    CSV = "csv"


_SPACES = {Form.PROXYLESSNAS: "proxylessnas", Form.ONCE_FOR_ALL: "mobilenetv3"}


def import_table(
    source: SourceArgument, device: NameOption, threads: ThreadsOption,
    soc: Annotated[str, typer.Option("--soc")] = "unknown",
    cores: Annotated[str, typer.Option("--cores")] = "unknown",
    runtime: Annotated[str, typer.Option("--runtime")] = "unknown",
    precision: Annotated[Precision, typer.Option("--precision")] = Precision.FLOAT32,
    resolution: Annotated[int, typer.Option("--resolution", min=1)] = 224,
    skip_unknown: SkipOption = False, any_speed: AnySpeedOption = False,
    out: OutOption = None, force: ForceOption = False, json: JsonOption = False,
) -> None:  # fmt: skip
    """Read another project's table.

    Such tables hold the times of blocks. The times of single ops are inferred from them, so that other networks can
    be predicted too; each block's error when it was left out is recorded in the table.

    [bold]Examples[/bold]

      nas lut import mobile_trim.yaml --device my_pixel1 --threads 1 --cores "one big core"
      nas lut import pixel6_lut.json --device my_pixel6 --threads 1 --skip-unknown
    """
    from latency_lut.formats import read_block_table
    from latency_lut.formats.conversion import infer_table
    from latency_lut.units import require_milliseconds

    path = out or new_table_path(device)
    _require_free(path, force)
    blocks = read_block_table(source, skip_unknown)
    if not any_speed:
        require_milliseconds(((block.ops, block.time.latency_ms) for block in blocks.blocks), source.name)
    provenance = Provenance(
        device=device, soc=soc, runtime=runtime, runtime_build="unknown", threads=threads, cores=cores,
        precision=precision, resolution=resolution, runs=min(block.time.runs for block in blocks.blocks),
        date=datetime.date.today().isoformat(), method=Method.IMPORTED, sources=(source.name,),
        notes="Times of single ops inferred from times of blocks.",
    )  # fmt: skip
    table = infer_table(blocks, provenance)
    table.save(path)
    _report_import(path, table, len(blocks.blocks), blocks.skipped, json)


def _require_free(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise UserError(f"{path} exists; give --force to replace it, or another --out")


def _report_import(path: Path, table: LatencyTable, blocks: int, skipped: tuple[str, ...], json: bool) -> None:
    if skipped:
        note_console().print(
            f"left out {len(skipped)} keys that spell no known block, such as {skipped[0][:60]}", markup=False
        )
    if json:
        print_json(
            {
                "table": str(path),
                "ops": len(table),
                "blocks": blocks,
                "skipped": len(skipped),
                "left_out_error_pct": table.provenance.left_out_error_pct,
                "interval_pct": table.provenance.interval_pct,
            }
        )
        return
    made = table.provenance
    output_console().print(
        f"{path}: {len(table)} ops from {blocks} blocks; blocks left out are predicted within "
        f"{made.left_out_error_pct:.1f} % on average, 90 % of them within {made.interval_pct:.1f} %",
        soft_wrap=True,
        markup=False,
    )


def export_table(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A phone from `nas devices`, or a table file.")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    form: Annotated[Form, typer.Option("--form", help="Whose form to write.")] = Form.PROXYLESSNAS,
    space: Annotated[
        str | None, typer.Option("--space", metavar="SPACE", help="Write every block of this space.")
    ] = None,
    networks: Annotated[
        list[str] | None, typer.Option("--network", metavar="NETWORK", help="Write the blocks of these networks.")
    ] = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a table for another project.

    The YAML forms list blocks: those of a space, or of the networks given. `csv` lists the table's own ops.

    [bold]Examples[/bold]

      nas lut export pixel1 pixel1.yaml
      nas lut export pixel1 v3.yaml --form once-for-all --network mobilenet_v3_large
      nas lut export host ops.csv --form csv
    """
    _require_free(path, force)
    table = load_device(device)
    if form is Form.CSV:
        if space or networks:
            raise UserError("--form csv writes the ops of the table itself and takes neither --space nor --network")
        text, written, skipped = table.to_csv(), len(table), 0
    else:
        from latency_lut.formats import format_block_table, predict_blocks

        blocks = predict_blocks(table, _networks(form, space, networks), form is Form.ONCE_FOR_ALL)
        if not blocks.blocks:
            raise UserError(f"none of these blocks has a key in the form of {form}: {blocks.skipped[0]}")
        text, written, skipped = format_block_table(blocks), len(blocks.blocks), len(blocks.skipped)
    write_atomic(path, text)
    if skipped:
        note_console().print(f"left out {skipped} blocks that have no key in the form of {form}")
    if json:
        print_json({"file": str(path), "form": form.value, "entries": written, "skipped": skipped})
    else:
        output_console().print(f"{path}: {written} entries of {table.provenance.device}", soft_wrap=True)


def _networks(form: Form, space: str | None, networks: list[str] | None) -> Iterator[Architecture]:
    from latency_lut.formats import networks_with_every_layer

    if space or not networks:
        yield from networks_with_every_layer(load_space(space or _SPACES[form]))
    yield from (resolve_network(network) for network in networks or ())
