"""`nas show`: the layers of a network, its parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import asdict

from nas.cli._common import JsonOption, NetworkArgument, output_console, print_json
from nas.cli._head import NOT_PUBLISHED, ClassesOption, HeadOption, headed, refuse_classes
from nas.report.layer_rows import LayerRow, headed_rows, layer_rows, short_block
from searchspace.architecture import Architecture
from searchspace.heads import HeadedNetwork
from searchspace.resolve import resolve_network


def show(
    network: NetworkArgument, head: HeadOption = None, classes: ClassesOption = None, json: JsonOption = False
) -> None:
    """Layers, parameters and multiply-adds of a network.

    One multiply-add counts as one; only convolutions and fully connected layers are counted, as in the MobileNet
    papers. The last line is the network's compact text, which every command takes as NETWORK.

    [bold]Examples[/bold]

      nas show mobilenet_v3_large
      nas show mobilenet_v2_0.75@160 --json
      nas show runs/NAME
      nas show mobilenet_v3_large@320 --head ssdlite
    """
    refuse_classes(head, classes)
    architecture = resolve_network(network)
    if head is None:
        shown: Architecture | HeadedNetwork = architecture
        rows, about = layer_rows(architecture), {}
    else:
        shown = with_head = headed(architecture, head, classes)
        architecture, rows, about = with_head.backbone, headed_rows(with_head), _about(with_head)
    if json:
        print_json(_document(network, architecture, shown, rows) | about)
        return
    _print_table(network, shown, rows)
    console = output_console()
    if about and not about["published"]:
        console.print(NOT_PUBLISHED)
    console.print(str(architecture), style="dim", soft_wrap=True)


def _about(network: HeadedNetwork) -> dict[str, object]:
    """Return what is said of the head: its name, classes, feature maps, and where its counts were published."""
    return {
        "head": network.head.name,
        "task": network.head.task,
        "classes": network.head.classes,
        "taps": [tap._asdict() for tap in network.taps],
        "published": network.head.published or None,
    }


def _document(
    network: str, architecture: Architecture, shown: Architecture | HeadedNetwork, rows: tuple[LayerRow, ...]
) -> dict[str, object]:
    return {
        "network": network,
        "architecture": str(architecture),
        "resolution": architecture.resolution,
        "classes": architecture.classes,
        "params": shown.params,
        "madds": shown.madds,
        "layers": [asdict(row) for row in rows],
    }


def _print_table(network: str, architecture: Architecture | HeadedNetwork, rows: tuple[LayerRow, ...]) -> None:
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
