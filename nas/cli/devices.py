"""`nas devices`: the phones with a latency table, where each table comes from and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from latency_lut import LatencyTable, predict
from latency_lut.devices import ALIASES, device_names, load_device, shadowing_tables, shipped_names, table_path
from nas.cli._common import JsonOption, output_console, print_json
from searchspace.reference import reference
from searchspace.support.errors import UserError

_FILE_WIDTH = 200  # characters


def devices(json: JsonOption = False) -> None:
    """The phones with a table, and how far to trust each.

    "error" is the mean absolute error on measurements that were left out when the table was made, "90 %" the half
    width of the interval of MobileNetV2, in which nine such networks out of ten are expected; `nas latency` tells that
    of any network. --device takes the names in the first column, their aliases, NAME:VIEW for the scale of another
    source, and the path of a table. --json tells everything about a table.

    [bold]Examples[/bold]

      nas devices
      nas devices --json
    """
    found = {name: _load(name) for name in device_names()}
    if json:
        print_json({"devices": [_document(*item) for item in found.items()]})
        return
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("device", style="bold", no_wrap=True)
    shown.add_column("chip")
    shown.add_column("numbers", no_wrap=True)
    shown.add_column("cores")
    shown.add_column("made", no_wrap=True)
    shown.add_column("error", justify="right", no_wrap=True)
    shown.add_column("90 %", justify="right", no_wrap=True)
    for name, table in found.items():
        if isinstance(table, UserError):
            shown.add_row(name, Text(str(table), style="red"))
            continue
        made = table.provenance
        error = "" if made.left_out_error_pct is None else f"{made.left_out_error_pct:.1f} %"
        texts = name, made.soc, made.precision.value, made.cores, made.method.value, error, _interval(table)
        shown.add_row(*map(Text, texts))
    console = output_console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH  # a file or pipe has no edge to wrap names at
    console.print(shown)
    for line in _further(found):
        console.print(line, markup=False, soft_wrap=True)


def _interval(table: LatencyTable) -> str:
    """Return the half width of MobileNetV2's 90 % interval, "" where the table cannot price it."""
    try:
        prediction = predict(table, reference("mobilenet_v2"))
    except UserError:
        return ""
    return f"±{100 * (prediction.high_ms / prediction.latency_ms - 1):.1f} %"


def _further(found: Mapping[str, LatencyTable | UserError]) -> Iterator[str]:
    """Yield aliases, views, where the user's tables lie, and which of them are used instead of shipped ones."""
    yield "\nAliases: " + ", ".join(f"{alias} = {name}" for alias, name in ALIASES.items())
    for name, table in found.items():
        if isinstance(table, LatencyTable) and table.provenance.views:
            yield f"Views: {', '.join(f'{name}:{view}' for view in table.provenance.views)}"
    shadowing = shadowing_tables()
    for name in found:
        if name in shadowing:
            yield f"WARNING: {name} is your table {table_path(name)}, used instead of the shipped one"
        elif name not in shipped_names():
            yield f"{name} is your table {table_path(name)}"


def _load(name: str) -> LatencyTable | UserError:
    """Load a table, or return what is wrong with it: one damaged file must not hide the others."""
    try:
        return load_device(name)
    except UserError as error:
        return error


def _document(name: str, table: LatencyTable | UserError) -> dict[str, Any]:
    if isinstance(table, UserError):
        return {"name": name, "error": str(table)}
    where = {"path": str(table_path(name)), "shadows_shipped": name in shadowing_tables()}
    aliases = [alias for alias, device in ALIASES.items() if device == name]
    return {"name": name, "entries": len(table), "aliases": aliases, **where, **asdict(table.provenance)}
