"""`nas show`: the layers of a network, its parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import asdict

from nas.cli._common import JsonOption, NetworkArgument, output_console, print_json
from nas.report.layers import LayerRow, layer_rows, short_block
from searchspace.architecture import Architecture
from searchspace.resolve import resolve_network


def show(network: NetworkArgument, json: JsonOption = False) -> None:
    """Layers, parameters and multiply-adds of a network.

    One multiply-add counts as one; only convolutions and fully connected layers are counted, as in the MobileNet
    papers. The last line is the network's compact text, which every command takes as NETWORK.

    [bold]Examples[/bold]

      nas show mobilenet_v3_large
      nas show mobilenet_v2_0.75@160 --json
      nas show runs/NAME
    """
    architecture = resolve_network(network)
    rows = layer_rows(architecture)
    if json:
        print_json(_document(network, architecture, rows))
    else:
        _print_table(network, architecture, rows)


def _document(network: str, architecture: Architecture, rows: tuple[LayerRow, ...]) -> dict[str, object]:
    return {
        "network": network,
        "architecture": str(architecture),
        "resolution": architecture.resolution,
        "classes": architecture.classes,
        "params": architecture.params,
        "madds": architecture.madds,
        "layers": [asdict(row) for row in rows],
    }


def _print_table(network: str, architecture: Architecture, rows: tuple[LayerRow, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_footer=True, box=None, padding=(0, 1, 0, 0), header_style="bold", footer_style="bold")
    table.add_column("layer", "total", no_wrap=True)
    table.add_column("block", no_wrap=True)
    table.add_column("shape", no_wrap=True)
    table.add_column("hidden", justify="right", no_wrap=True)
    table.add_column("SE", justify="right", no_wrap=True)
    table.add_column("act", no_wrap=True)
    table.add_column("+", no_wrap=True)
    table.add_column("params", f"{architecture.params:,}", justify="right", no_wrap=True)
    table.add_column("MAdds", f"{architecture.madds / 1e6:.1f}", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.layer,
            short_block(row),
            row.shape,
            str(row.hidden or ""),
            str(row.squeeze or ""),
            row.activation,
            "+" if row.shortcut else "",
            f"{row.params:,}",
            f"{row.madds / 1e6:.1f}",
        )
    console = output_console()
    title = str(network) if "," not in network else "network"
    console.print(Text(f"{title}  {architecture.resolution}×{architecture.resolution}", style="bold"))
    console.print(table)
    console.print(Text("SE: squeeze-excite channels   +: shortcut   MAdds: millions of multiply-adds", style="dim"))
    console.print(Text(str(architecture), style="dim"), soft_wrap=True)
