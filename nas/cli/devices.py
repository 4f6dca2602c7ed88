"""`nas devices`: the phones with a latency table, where each table comes from and how far to trust it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from latency_lut import LatencyTable
from latency_lut.devices import device_names, load_device
from nas.cli._common import JsonOption, output_console, print_json
from searchspace.support.errors import UserError


def devices(json: JsonOption = False) -> None:
    """The phones with a table, and how far to trust each.

    "error" is the mean absolute error on measurements that were left out when the table was made, "90 %" the half
    width of the interval that nine whole networks out of ten are expected in. --json tells everything about a table.

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
        interval = f"±{made.network_interval_pct:.1f} %"
        shown.add_row(name, made.soc, made.precision.value, made.cores, made.method.value, error, interval)
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
