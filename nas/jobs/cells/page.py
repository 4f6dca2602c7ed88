"""The pages of a cell search and of a cell network's training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.report import sections
from nas.report.cell_picture import draw_cells
from nas.report.curve import draw_curve
from nas.report.page import Figure, Section, render_page
from nas.training.history import History
from searchspace.cells import CellNetwork

_CELLS_NOTE = (
    "Numbers are the nodes; each adds what its two arrows bring, and the output joins all four. sep, dil: separable "
    "and dilated convolutions; max, avg: pooling; conv7: 1x7, then 7x1; ir, sg: inverted residual "
    "and sandglass."
)


def search_page(result: Mapping[str, Any], history: History, network: CellNetwork, settings: Mapping[str, Any]) -> str:
    """Return the HTML text of a cell search's page from its result and what it was asked for."""
    return render_page(
        title=f"Cells of the space {result['space']}",
        subtitle=f"Searched on {result['images']:,} training images with {result['search_network']}, "
        f"{settings['order']} order, seed {settings['seed']}.",
        figures=[
            Figure("parameters", f"{result['params'] / 1e6:.2f} M", f"{network.cells} cells of {network.channels}"),
            Figure("multiply-adds", f"{result['madds'] / 1e6:.0f} M", f"at {network.resolution} px"),
            Figure("skip connections", f"{result['skips']} of 16 edges", "searches are known to collapse to them"),
            Figure("search time", f"{result['seconds'] / 60:.1f} min", ""),
        ],
        sections=[*_shared(history, network), *_facts(network, settings)],
        footer="The search network's accuracy is of mixed operations and says little about the network found.",
    )


def training_page(
    result: Mapping[str, Any], history: History, network: CellNetwork, settings: Mapping[str, Any]
) -> str:
    """Return the HTML text of a cell network's training from its result and what it was asked for."""
    test = result["test"]
    return render_page(
        title=f"A cell network on {result['data']}",
        subtitle=f"{result['train_images']:,} training images at {result['image_size']} pixels, {settings['epochs']} "
        f"epochs, seed {settings['seed']}.",
        figures=[
            Figure("test error", f"{result['error']:.2f} %", f"{test['count']:,} images"),
            Figure("parameters", f"{result['params'] / 1e6:.2f} M", f"{network.cells} cells of {network.channels}"),
            Figure("multiply-adds", f"{result['madds'] / 1e6:.0f} M", f"at {network.resolution} px"),
            Figure("training time", f"{result['seconds'] / 60:.1f} min", ""),
        ],
        sections=[*_shared(history, network), *_facts(network, settings)],
        footer="The test images were looked at once, after the training.",
    )


def _shared(history: History, network: CellNetwork) -> list[Section]:
    last = history.final
    described = f"loss and top-1 over {last.epoch} epochs, at last {last.train_loss:.3f} and {last.accuracy.top1:.2f} %"
    cells = sections.picture(lambda: draw_cells(network), "the normal and the reduction cell")
    return [
        Section("The cells", cells, _CELLS_NOTE),
        Section("Loss and accuracy", sections.picture(lambda: draw_curve(history), described)),
    ]


def _facts(network: CellNetwork, settings: Mapping[str, Any]) -> list[Section]:
    readable = {name.replace("_", " "): str(value) for name, value in settings.items() if value is not None}
    return [
        Section("Settings", sections.facts(readable)),
        Section("Compact text", sections.text_block(str(network))),
    ]
