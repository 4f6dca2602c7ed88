"""`nas evaluate`: the accuracy of weights, or of an exported file, on a data set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nas.cli._common import JsonOption, SeedOption, note_console, output_console, print_json
from nas.data_kinds import DATA_KINDS

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK|RUN|FILE.tflite",
        help="A run folder, an exported file, or a network whose weights --weights names.",
        show_default=False,
    ),
]
DataOption = Annotated[str, typer.Option("--data", metavar="DATA", help=f"{DATA_KINDS}.", show_default=False)]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="FILE", help="Weights of NETWORK: safetensors, tflite or npz.")
]
PartOption = Annotated[
    str | None,
    typer.Option("--part", help="test, search, train or all; default: test where the data has one, else all."),
]
ImageSizeOption = Annotated[
    int | None, typer.Option("--image-size", help="Pixels a side; default: as the weights were trained.")
]
SubsetOption = Annotated[int | None, typer.Option("--subset", metavar="N", help="Use only N images of a part.")]


def evaluate(
    network: NetworkArgument,
    data: DataOption,
    weights: WeightsOption = None,
    part: PartOption = None,
    image_size: ImageSizeOption = None,
    subset: SubsetOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Top-1, top-5, loss and accuracy by class of a network with weights, or of an exported file.

    Images are prepared as the weights expect, and labels are matched by name: classes that the network does not know
    are refused. A TFLite file is run as it is, by the runtime that phones use.

    [bold]Examples[/bold]

      nas evaluate runs/NAME --data cifar10:PATH
      nas evaluate runs/NAME/model.tflite --data imagefolder:PATH --json
      nas evaluate mobilenet_v2 --weights mobilenet_v2.tflite --data imagefolder:PATH
    """
    from nas.cli._train_progress import DecodingProgress
    from nas.jobs.evaluate.run import EvaluateSettings, evaluate_network

    settings = EvaluateSettings(
        network=network, data=data, weights=weights, part=_part(part), image_size=image_size, subset=subset, seed=seed
    )
    console = note_console()
    with DecodingProgress(console) as decoding, DecodingProgress(console, "evaluating") as progress:
        result = evaluate_network(settings, progress=progress, decoding=decoding)
    if json:
        print_json(result)
    else:
        _print(result)


def _part(text: str | None) -> Any:
    from nas.jobs.evaluate.run import Part
    from searchspace.support.errors import UserError

    if text is not None and text not in list(Part):
        raise UserError(f"--part is {text[:60]!r}, expected one of: {', '.join(Part)}")
    return Part(text) if text is not None else None


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = output_console()
    top5 = f", top-5 {result['top5']:.2f} %" if result["top5"] is not None else ""
    console.print(
        Text(
            f"top-1 {result['top1']:.2f} %{top5}, loss {result['loss']:.4f} on {result['count']} images "
            f"({result['part']} part of {result['data']}, {result['image_size']} px)"
        ),
        soft_wrap=True,
    )
    classes = sorted(result["per_class"].items(), key=lambda item: item[1]["top1"])
    table = Table("class", box=None, header_style="bold")
    table.add_column("top-1 %", justify="right")
    table.add_column("images", justify="right")
    shown = classes if len(classes) <= 20 else classes[:10]
    for name, found in shown:
        table.add_row(Text(name[:40]), f"{found['top1']:.1f}", str(found["count"]))
    console.print(table)
    if len(shown) < len(classes):
        console.print(f"the {len(shown)} worst of {len(classes)} classes; --json lists all")
    for note in (f"weights: {result['weights']}; {result['labels']}", *result["notes"]):
        console.print(Text(note, style="dim"), soft_wrap=True)
