"""`nas devices`: the phones with a latency table, where each table comes from and how far to trust it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from latency_lut import LatencyTable
from latency_lut.devices import device_names, load_device
from nas.cli._common import JsonOption, output_console, print_json
from searchspace.errors import UserError


def devices(json: JsonOption = False) -> None:
    """The phones with a table, and how far to trust each.

    "Error" is the mean absolute error on measurements that were left out when the table was made.

    [bold]Examples[/bold]

      nas devices\n
      nas devices --json\n
    """
    found = {name: _load(name) for name in device_names()}
    if json:
        print_json({"devices": [_document(*item) for item in found.items()]})
        return
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("device", style="bold", no_wrap=True)
    shown.add_column("what it is")
    shown.add_column("made", no_wrap=True)
    shown.add_column("error", justify="right", no_wrap=True)
    shown.add_column("90 %", justify="right", no_wrap=True)
    for name, table in found.items():
        if isinstance(table, UserError):
            shown.add_row(name, Text(str(table), style="red"))
            continue
        made = table.provenance
        error = "" if made.left_out_error_pct is None else f"{made.left_out_error_pct:.1f} %"
        what = f"{made.device}, {made.soc}, {made.precision.value}, {made.cores}, {made.runtime}"
        shown.add_row(name, what, f"{made.method.value} {made.date}", error, f"±{made.network_interval_pct:.1f} %")
    output_console().print(shown)


def _load(name: str) -> LatencyTable | UserError:
    """Load a table, or return what is wrong with it: one damaged file must not hide the others."""
    try:
        return load_device(name)
    except UserError as error:
        return error


def _document(name: str, table: LatencyTable | UserError) -> dict[str, Any]:
    if isinstance(table, UserError):
        return {"name": name, "error": str(table)}
    return {"name": name, "entries": len(table), **asdict(table.provenance)}
