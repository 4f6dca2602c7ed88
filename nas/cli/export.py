"""`nas export`: a network as a file for a phone's runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli._common import ForceOption, JsonOption, SeedOption, output_console, print_json
from nas.cli._head import ClassesOption, HeadOption, refuse_classes
from searchspace.support.errors import UserError

NetworkArgument = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK|RUN",
        help="A run folder, or any NETWORK: a reference name, a YAML file, compact text.",
        show_default=False,
    ),
]
FormatOption = Annotated[str, typer.Option("--format", help="tflite, onnx or executorch.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="float32, with tflite also float16 and int8; default: that of the table the run was searched for.",
    ),
]
OutOption = Annotated[str, typer.Option("--out", metavar="FILE", help="Where to write it.", show_default=False)]
WeightsOption = Annotated[
    str | None, typer.Option("--weights", metavar="FILE", help="Weights of NETWORK: safetensors, tflite or npz.")
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="MS", help="Take the best network within this latency from a search run's front."),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="Images that set the ranges of int8; default: those of the run."),
]


def export(
    network: NetworkArgument,
    out: OutOption,
    format: FormatOption = "tflite",
    precision: PrecisionOption = None,
    weights: WeightsOption = None,
    head: HeadOption = None,
    classes: ClassesOption = None,
    at: AtOption = None,
    data: DataOption = None,
    seed: SeedOption = 0,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a network as a TFLite, ONNX or ExecuTorch file that has run here and agrees with PyTorch.

    The file says how it is used: labels, preparation of images, layout, origin of the weights, predicted latency.
    Without weights it is marked untrained; int8 without images takes its ranges from noise and is marked so too.

    [bold]Examples[/bold]

      nas export runs/NAME --precision int8 --data imagefolder:PATH --out model.tflite
      nas export runs/NAME --at 45ms --out smaller.tflite
      nas export mobilenet_v2 --weights FILE.tflite --format onnx --out mobilenet_v2.onnx
      nas export runs/NAME --format executorch --out model.pte --json
      nas export mobilenet_v3_large@320 --head ssdlite --format onnx --out detector.onnx
    """
    from nas.jobs.export.run import run_export
    from nas.jobs.export.settings import ExportSettings

    refuse_classes(head, classes)
    place = Path(out)
    if place.exists() and not force:
        raise UserError(f"{out} exists: add --force to replace it, or choose another --out")
    if not place.parent.is_dir():
        raise UserError(f"there is no folder {place.parent} to write {place.name} into")
    settings = ExportSettings(
        network=network,
        format=format,
        precision=precision,
        weights=weights,
        at_ms=None if at is None else _milliseconds(at),
        data=data,
        seed=seed,
        head=head,
        classes=classes,
    )
    record, remarks = run_export(settings, place)
    if json:
        print_json(record.as_dict() | ({"remarks": remarks} if remarks else {}))
        return
    console = output_console()
    console.print(
        f"{record.file}: {record.format}, {record.precision}, {record.size_bytes / 1e6:.1f} MB, "
        f"{record.weights} weights, images of {record.resolution} pixels",
        markup=False,
    )
    agreement = "" if record.top1_agreement is None else f"; same answer on {record.top1_agreement:.0f} % of the images"
    console.print(f"difference to PyTorch: {record.output_error:.1e} of the outputs' range{agreement}")
    console.print(f"{record.host_latency_ms:.2f} ms on this machine ({record.runtime}, {record.host_threads} thread)")
    for remark in remarks:
        console.print(remark, markup=False)


def _milliseconds(text: str) -> float:
    from searchspace.support.quantities import parse_duration_ms

    return parse_duration_ms(text if not text.replace(".", "", 1).isdigit() else f"{text}ms", "--at")
