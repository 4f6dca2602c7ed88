"""`nas lut measure --sustained`: one network for minutes on a phone, which slows down as it warms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latency_lut import Precision
from latency_lut.measure.backend import Backend, build_model
from latency_lut.measure.phone import Phone
from latency_lut.measure.sustained import Stretch, figures, stretches
from nas.cli._common import note_console, output_console, print_json
from nas.cli._on_device import progress_bar
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.quantities import milliseconds, parse_amount

_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LONGEST_S = 24 * 3600.0
_HEADER = "start_s,end_s,latency_ms,runs,temperature_c\n"


def measure_sustained(
    backend: Backend, network: str, duration: str, precision: Precision, out: Path | None, *, json: bool
) -> None:
    """Run a network for the duration and print how it slowed down; what was measured is told even when stopped."""
    seconds = parse_amount(duration, "duration", _SECONDS, "10m, 90s or 1h")
    if not 0 < seconds <= _LONGEST_S:
        raise UserError(f"--sustained is {duration}, expected more than 0 seconds and at most 24 hours")
    if not isinstance(backend, Phone):
        raise UserError("--sustained runs on a phone: --device adb")
    if out is not None and out.exists():
        raise UserError(f"{out} is there already; give --out another path")
    architecture = resolve_network(network)
    model, _ = build_model(architecture, precision)
    facts, found = backend.facts(), []
    try:
        with progress_bar("running") as on_progress:
            on_progress(0, round(seconds), architecture)
            for stretch in stretches(backend, model, seconds):
                found.append(stretch)
                _keep(out, stretch)
                on_progress(min(round(stretch.end_s), round(seconds)), round(seconds), architecture)
    except (KeyboardInterrupt, OSError):
        note_console().print(f"stopped after {len(found)} stretches; the figures are of these", soft_wrap=True)
        _report({"network": network, "device": facts.device, "finished": False, **figures(found)}, json)
        raise
    _report({"network": network, "device": facts.device, "finished": True, **figures(found)}, json)


def _keep(out: Path | None, stretch: Stretch) -> None:
    """Append a stretch to the file."""
    if out is None:
        return
    temperature = "" if stretch.temperature_c is None else f"{stretch.temperature_c:.1f}"
    row = f"{stretch.start_s:.2f},{stretch.end_s:.2f},{stretch.latency_ms:.4f},{stretch.runs},{temperature}\n"
    with out.open("a", encoding="utf-8") as file:
        file.write(row if file.tell() else _HEADER + row)


def _report(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    console = output_console()
    if not document["stretches"]:
        console.print("nothing was measured")
        return
    minutes = document["window_s"] / 60
    part = "minute" if minutes == 1 else f"{document['window_s']:.0f} s"
    lines = {f"all {document['seconds']:.0f} s": "", f"first {part}": "first_", f"last {part}": "last_"}
    console.print(f"{document['network']} on {document['device']}: {document['runs']} runs", markup=False)
    for label, name in lines.items():
        p50, p90 = (milliseconds(document[f"{name}p{share}_ms"]) for share in (50, 90))
        console.print(f"{label}: half within {p50} ms, nine in ten within {p90} ms")
    console.print(f"at the end {document['slowdown']:.2f} times as long as at the start")
    if document["last_temperature_c"] is not None:
        console.print(
            f"{document['first_temperature_c']:.1f} C at first, {document['last_temperature_c']:.1f} C at the end, "
            f"{document['highest_temperature_c']:.1f} C at most"
        )
