"""The page of a training: how accurate the network became, how it got there, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from nas.report import sections
from nas.report.curve import draw_curve
from nas.report.layer_rows import describe_block, layer_rows
from nas.report.page import Figure, Section, render_page
from nas.training.history import History
from searchspace.architecture import Architecture


def train_page(
    result: Mapping[str, Any], history: History, architecture: Architecture, settings: Mapping[str, Any]
) -> str:
    """Return the HTML text of a training's page from the content of its `result.json` and what it was asked for."""
    rows = layer_rows(architecture)
    parts = [
        Section("Loss and accuracy", sections.picture(lambda: draw_curve(history), _described(history)), _CURVE_NOTE),
        Section("Epoch by epoch", _epochs(history)),
    ]
    if per_class := result["test"].get("per_class"):
        parts.append(Section("Test accuracy by class", _classes(per_class)))
    parts += [
        Section("The network", sections.architecture_diagram(rows), _DIAGRAM_NOTE),
        Section("Layer by layer", _layers(architecture)),
    ]
    if result.get("export") is not None:
        parts.append(Section("The exported model", _exported(result["export"])))
    parts += [
        Section("Recipe", sections.facts(_readable(result["recipe"]))),
        Section("Settings", sections.facts(_readable(settings))),
        Section("Compact text", sections.text_block(str(architecture))),
    ]
    return render_page(
        title=f"{_network_name(result)} on {result['data']}",
        subtitle=f"{result['train_images']:,} training images of {result['classes']} classes at "
        f"{result['image_size']} pixels; weights: {result['weights']}; seed {result['seed']}.",
        figures=_figures(result),
        sections=parts,
        footer="The test images were looked at once, after the training.",
    )


_CURVE_NOTE = (
    "The search split is drawn from the training images and trains nothing. Training accuracy is of augmented images, "
    "so it may lie below."
)
_DIAGRAM_NOTE = "Left to right; height is the feature map's size, width its channels, the number the kernel size."


def _network_name(result: Mapping[str, Any]) -> str:
    return "A network" if "," in result["network"] else str(result["network"])


def _figures(result: Mapping[str, Any]) -> list[Figure]:
    test, search = result["test"], result["search"]
    top5 = f"top-5 {test['top5']:.2f} %, " if test.get("top5") is not None and result["classes"] >= 5 else ""
    return [
        Figure("test top-1", f"{test['top1']:.2f} %", f"{top5}{test['count']:,} images"),
        Figure("search-split top-1", f"{search['top1']:.2f} %", f"{search['count']:,} images, last epoch"),
        Figure("multiply-adds", f"{result['madds'] / 1e6:.1f} M", f"{result['params'] / 1e6:.2f} M parameters"),
        Figure(
            "training time", _duration(result["seconds"]), f"{result['images_per_second']:,.0f} images/s at the end"
        ),
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _described(history: History) -> str:
    last = history.final
    return f"loss and top-1 over {last.epoch} epochs, at last {last.train_loss:.3f} and {last.accuracy.top1:.2f} %"


def _epochs(history: History) -> Markup:
    rows = [
        (
            str(record.epoch),
            f"{record.train_loss:.4f}",
            f"{record.train_top1:.2f} %",
            f"{record.accuracy.loss:.4f}",
            f"{record.accuracy.top1:.2f} %",
            f"{record.learning_rate:.3g}",
            f"{record.images_per_second:,.0f}",
        )
        for record in history.epochs
    ]
    columns = ("epoch", "loss", "training top-1", "search loss", "search top-1", "learning rate", "images/s")
    return sections.table(columns, rows, numbers=range(len(columns)), minor=(3, 5, 6))


def _classes(per_class: Mapping[str, Mapping[str, Any]]) -> Markup:
    """The classes, least accurate first."""
    ordered = sorted(per_class.items(), key=lambda item: (item[1]["top1"] is None, item[1]["top1"], item[0]))
    rows = [
        (label, f"{found['top1']:.2f} %" if found["top1"] is not None else "no image", f"{found['count']:,}")
        for label, found in ordered
    ]
    return sections.table(("class", "top-1", "images"), rows, numbers=(1, 2))


def _layers(architecture: Architecture) -> Markup:
    rows = [
        (row.layer, describe_block(row), row.shape, f"{row.params:,}", f"{row.madds / 1e6:.1f} M")
        for row in layer_rows(architecture)
    ]
    return sections.table(("layer", "what it is", "shape", "params", "MAdds"), rows, numbers=(3, 4), minor=(2,))


def _exported(export: Mapping[str, Any]) -> Markup:
    if "failed" in export:
        return Markup("<p>Not exported: {}</p>").format(export["failed"])
    facts = {
        "file": f"{export['file']}, {export['size_bytes'] / 1e6:.1f} MB",
        "holds": f"{export['weights']} weights in {export['precision']}",
        "on this machine": f"{export['host_latency_ms']:.2f} ms, {export['host_threads']} thread(s); {export['host']}",
    }
    if check := export.get("accuracy_check"):
        facts["accuracy"] = (
            f"{check['tflite_top1']:.2f} % of {check['images']} test images, PyTorch {check['torch_top1']:.2f} %"
        )
    if export.get("remarks"):
        facts["to know before use"] = " ".join(export["remarks"])
    return sections.facts(facts)


def _readable(values: Mapping[str, Any]) -> dict[str, str]:
    return {name.replace("_", " "): str(value) for name, value in values.items() if value is not None}
