"""`nas redesign`: MobileNetV3's changes by hand as switches on any network, each with what it does to the latency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import DeviceOption, JsonOption, NetworkArgument, network_title, output_console, print_json
from searchspace import redesign as switches
from searchspace.architecture import Activation, Architecture
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

if TYPE_CHECKING:
    from latency_lut import LatencyTable

NEVER = "never"


class LastStage(StrEnum):
    """Figure 5 of the paper: the features after pooling, or before it."""

    CHEAP = "cheap"
    ORIGINAL = "original"


class Squeeze(StrEnum):
    """A quarter of what a squeeze-excite has as channels, or no squeeze-excite."""

    EXPANSION = "expansion"
    INPUT = "input"
    NONE = "none"


class StemActivation(StrEnum):
    """The stem's non-linearity."""

    HSWISH = Activation.HSWISH.value
    RELU = Activation.RELU.value


Step = Callable[[Architecture], Architecture]
_LAST: Mapping[str, Step] = {
    LastStage.CHEAP: switches.with_cheap_last_stage,
    LastStage.ORIGINAL: switches.with_original_last_stage,
}
_SQUEEZE: Mapping[str, Step] = {
    Squeeze.EXPANSION: switches.with_squeeze_of_expansion,
    Squeeze.INPUT: switches.with_squeeze_of_input,
    Squeeze.NONE: switches.without_squeeze,
}
LastStageOption = Annotated[LastStage | None, typer.Option("--last-stage", help="cheap (figure 5) or original.")]
StemOption = Annotated[int | None, typer.Option("--stem", metavar="N", help="Filters of the stem; the paper's: 16.")]
StemActivationOption = Annotated[
    StemActivation | None, typer.Option("--stem-activation", help="With --stem: hs or re; default: hs.")
]
HswishOption = Annotated[
    str | None,
    typer.Option("--hswish-from", metavar="WIDTH", help=f"h-swish in blocks of at least so many channels, or {NEVER}."),
]
SqueezeOption = Annotated[
    Squeeze | None, typer.Option("--squeeze", help="A quarter of the expansion or of the input, or none.")
]
OutOption = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write the network as a YAML file.")]


def redesign(
    network: NetworkArgument,
    last_stage: LastStageOption = None,
    stem: StemOption = None,
    stem_activation: StemActivationOption = None,
    hswish_from: HswishOption = None,
    squeeze: SqueezeOption = None,
    device: DeviceOption = "pixel",
    out: OutOption = None,
    json: JsonOption = False,
) -> None:
    """MobileNetV3's redesign of a network, switch by switch, with predicted latencies.

    Without a switch all four of the paper (section 5): the cheap last stage, a stem of 16 filters with h-swish, h-swish
    from 80 channels on, squeeze-excite of a quarter of the expansion.

    [bold]Examples[/bold]

      nas redesign mnasnet_a1 --device pixel
      nas redesign mobilenet_v3_large --hswish-from never
      nas redesign mobilenet_v3_large --stem 32 --stem-activation re --last-stage original
      nas redesign runs/NAME --squeeze expansion --out smaller.yaml
    """
    from latency_lut.devices import load_device
    from searchspace.yaml_io import save_architecture

    table, given = load_device(device), resolve_network(network)
    steps = _steps(last_stage, stem, stem_activation, hswish_from, squeeze)
    rows, changed = [_row(table, network_title(network), given)], given
    for name, step in steps.items():
        changed = step(changed)
        rows.append(_row(table, name, changed))
    if out is not None:
        save_architecture(changed, Path(out))
    if json:
        print_json({"network": network, "device": device, "architecture": str(changed), "steps": rows})
        return
    console = output_console()
    console.print(_table(rows))
    console.print(str(changed), style="dim", soft_wrap=True)


def _steps(
    last_stage: str | None, stem: int | None, activation: str | None, hswish_from: str | None, squeeze: str | None
) -> dict[str, Step]:
    """Return the switches asked for in the paper's order, all of the paper where none is."""
    if activation is not None and stem is None:
        raise UserError(f"--stem-activation {activation} needs --stem: say how many filters the stem has")
    if (last_stage, stem, hswish_from, squeeze) == (None, None, None, None):
        last_stage, stem, hswish_from, squeeze = "cheap", switches.STEM_FILTERS, str(switches.HSWISH_WIDTH), "expansion"
    steps: dict[str, Step] = {}
    if last_stage is not None:
        steps[f"last stage {last_stage}"] = _LAST[last_stage]
    if stem is not None:
        filters, chosen = stem, Activation(activation or Activation.HSWISH)
        steps[f"stem {stem} {chosen}"] = lambda one: switches.with_stem(one, filters, chosen)
    if hswish_from is not None:
        width = _width(hswish_from)
        steps[f"h-swish {'from ' if width else ''}{hswish_from}"] = lambda one: switches.hswish_from(width, one)
    if squeeze is not None:
        steps[f"squeeze-excite {squeeze}"] = _SQUEEZE[squeeze]
    return steps


def _width(given: str) -> int | None:
    if given == NEVER:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise UserError(f"--hswish-from {given[:40]!r}: expected a number of channels, such as 80, or {NEVER}")
    return int(given)


def _row(table: LatencyTable, name: str, network: Architecture) -> dict[str, Any]:
    from latency_lut.predict import predict

    found = predict(table, network)
    return {
        "step": name,
        "latency_ms": found.latency_ms,
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
        "madds": network.madds,
        "params": network.params,
    }


def _table(rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for number, column in enumerate(
        ("network, then each switch", "ms", "change", "90 % interval", "MAdds/M", "params/M")
    ):
        table.add_column(column, justify="right" if number else "left")
    before = rows[0]["latency_ms"]
    for row in rows:
        change = "" if row is rows[0] else f"{row['latency_ms'] - before:+.1f}"
        before = row["latency_ms"]
        table.add_row(
            row["step"], f"{before:.1f}", change, f"{row['low_ms']:.1f} to {row['high_ms']:.1f}",
            f"{row['madds'] / 1e6:.1f}", f"{row['params'] / 1e6:.2f}",
        )  # fmt: skip
    return table
