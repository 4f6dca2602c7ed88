"""`nas latency`: what networks are predicted to take on a phone, layer by layer and side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latency_lut import LatencyTable, Prediction, predict
from latency_lut.devices import load_device
from nas.cli._common import (
    DeviceOption,
    JsonOption,
    network_title,
    output_console,
    print_json,
)
from nas.cli._head import ClassesOption, HeadOption, headed, refuse_classes
from nas.report.layer_rows import LayerRow, headed_rows, layer_rows, short_block
from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError
from searchspace.support.quantities import milliseconds

if TYPE_CHECKING:
    from rich.table import Table

Network = Architecture | HeadedNetwork
NetworksArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NETWORK...",
        help="One or more: a reference name, a YAML file, a run folder, or compact text; or one TFLite file.",
        show_default=False,
    ),
]
ExtrapolateOption = Annotated[
    bool,
    typer.Option("--extrapolate", help="Estimate operations outside the measured range, and flag the result."),
]


def latency(
    networks: NetworksArgument, device: DeviceOption = "pixel", head: HeadOption = None, classes: ClassesOption = None,
    extrapolate: ExtrapolateOption = False, json: JsonOption = False,
) -> None:  # fmt: skip
    """Predicted latency on a phone, by layer.

    With the 90 % interval: nine networks out of ten, measured on the phone, are expected inside it.

    [bold]Examples[/bold]

      nas latency mobilenet_v3_large --device pixel
      nas latency mobilenet_v2 mobilenet_v3_large runs/NAME --device pixel
      nas latency runs/NAME --device pixel --json
      nas latency mobilenet_v3_large@320 --head ssdlite --extrapolate
      nas latency FILE.tflite --device pixel       a file of anybody's, priced by its operators
      nas latency FILE.tflite --device host        and timed on this machine
    """
    refuse_classes(head, classes)
    if any(network.endswith(".tflite") for network in networks):
        from nas.cli._latency_file import latency_of_file, refuse_mixed

        refuse_mixed(networks)
        if head is not None:
            raise UserError(f"--head {head}: {networks[0]} is a finished file, which has the head it has")
        latency_of_file(networks[0], device, extrapolate, json)
        return
    table = load_device(device)
    architectures = [_priceable(network, head, classes) for network in networks]
    predictions = [predict(table, architecture, extrapolate) for architecture in architectures]
    if json:
        found = [_document(*item, device) for item in zip(networks, architectures, predictions, strict=True)]
        print_json(found[0] if len(found) == 1 else {"device": device, "networks": found})
        return
    console = output_console()
    if len(networks) == 1:
        console.print(_by_layer(architectures[0], predictions[0]))
    else:
        titles = [network_title(network) for network in networks]
        console.print(_side_by_side(titles, architectures, predictions))
    console.print(_summary(table, predictions))


def _priceable(network: str, head: str | None, classes: int | None) -> Network:
    architecture = resolve_network(network)
    return architecture if head is None else headed(architecture, head, classes)


def _rows(network: Network) -> tuple[LayerRow, ...]:
    return layer_rows(network) if isinstance(network, Architecture) else headed_rows(network)


def _document(network: str, architecture: Network, prediction: Prediction, device: str) -> dict[str, Any]:
    return {
        "network": network,
        "architecture": str(architecture if isinstance(architecture, Architecture) else architecture.backbone),
        **({} if isinstance(architecture, Architecture) else {"head": architecture.head.name}),
        "device": device,
        "latency_ms": prediction.latency_ms,
        "low_ms": prediction.low_ms,
        "high_ms": prediction.high_ms,
        "extrapolated": prediction.extrapolated,
        "overhead_ms": prediction.overhead_ms,
        "layers": [{"layer": layer.name, "latency_ms": layer.latency_ms} for layer in prediction.layers],
    }


def _by_layer(architecture: Network, prediction: Prediction) -> Table:
    from rich.table import Table

    table = Table(show_footer=True, box=None, padding=(0, 1, 0, 0), header_style="bold", footer_style="bold")
    table.add_column("layer", "total", no_wrap=True)
    table.add_column("block", no_wrap=True)
    table.add_column("ms", f"{prediction.latency_ms:.2f}", justify="right", no_wrap=True)
    table.add_column("share", "", no_wrap=True)
    longest = max(layer.latency_ms for layer in prediction.layers)
    for row, layer in zip(_rows(architecture), prediction.layers, strict=True):
        bar = "█" * round(30 * layer.latency_ms / longest)
        share = f"{bar} {100 * layer.latency_ms / prediction.latency_ms:.1f} %"
        table.add_row(layer.name, short_block(row), f"{layer.latency_ms:.2f}", share)
    if prediction.overhead_ms:
        table.add_row("network", "start and end", f"{prediction.overhead_ms:.2f}", "")
    return table


def _side_by_side(titles: list[str], architectures: Sequence[Network], predictions: list[Prediction]) -> Table:
    """One column a network: its layers in running order, then the figures to compare."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("ms")
    for title in titles:
        # Long names break at an underscore rather than anywhere.
        table.add_column(re.sub(r"(.{12,}?_)", r"\1\n", title), justify="right", overflow="fold")
    columns = [{layer.name: layer.latency_ms for layer in prediction.layers} for prediction in predictions]
    for name in _merged([list(column) for column in columns]):
        table.add_row(name, *(f"{column[name]:.2f}" if name in column else "" for column in columns))
    table.add_section()
    table.add_row("total", *(f"{p.latency_ms:.2f}" for p in predictions), style="bold")
    table.add_row("90 % interval", *(f"{milliseconds(p.low_ms)} to {milliseconds(p.high_ms)}" for p in predictions))
    first = predictions[0].latency_ms
    table.add_row("to the first", *(f"{100 * (p.latency_ms / first - 1):+.1f} %" for p in predictions))
    table.add_row("MAdds/M", *(f"{a.madds / 1e6:.1f}" for a in architectures))
    table.add_row("params/M", *(f"{a.params / 1e6:.2f}" for a in architectures))
    return table


def _merged(lists: list[list[str]]) -> list[str]:
    """Return all names: those of the blocks by number, what stands before and behind them around these."""
    longest = max(lists, key=lambda names: sum(name.startswith("block") for name in names))
    blocks = [name for name in longest if name.startswith("block")]
    behind = dict.fromkeys(name for names in lists for name in names if name != "stem" and name not in blocks)
    return ["stem", *blocks, *behind]


def _summary(table: LatencyTable, predictions: list[Prediction]) -> str:
    made = table.provenance
    lines = [""]
    if len(predictions) == 1:
        (prediction,) = predictions
        lines.append(
            f"{milliseconds(prediction.latency_ms)} ms  "
            f"(90 % interval {milliseconds(prediction.low_ms)} to {milliseconds(prediction.high_ms)} ms)"
        )
    lines.append(
        f"{made.device}, {made.precision.value}, {made.threads_text}, {made.cores}, {made.runtime}; "
        f"table {made.method.value}, see `nas devices`"
    )
    if any(prediction.extrapolated for prediction in predictions):
        lines.append("Some operations lie outside the measured range: these are estimates.")
    return "\n".join(lines)
