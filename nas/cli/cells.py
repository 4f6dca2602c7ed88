"""`nas cells`: search cells on images as DARTS and PC-DARTS do, train what was found or published, show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    JsonOption,
    ResumeOption,
    SeedOption,
    TorchDeviceOption,
    note_console,
    note_versions,
    output_console,
    print_json,
    print_warnings,
)
from nas.data_kinds import DATA_KINDS

if TYPE_CHECKING:
    from nas.jobs.cells.run import CellSearchJob, CellTrainJob

CellsArgument = Annotated[
    str,
    typer.Argument(metavar="CELLS", help="darts_v1, darts_v2, pc_darts, compact text, or the folder of a search."),
]
DataOption = Annotated[str, typer.Option("--data", metavar="DATA", help=f"{DATA_KINDS}.", show_default=False)]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/cells-…")]
ImageSizeOption = Annotated[int | None, typer.Option("--image-size", help="Pixels a side; default: the images' own.")]
SubsetOption = Annotated[int | None, typer.Option("--subset", metavar="N", help="Use N training images only.")]
CheckpointOption = Annotated[float, typer.Option("--checkpoint-seconds", help="How often the state is saved.")]


def search(
    data: DataOption,
    space: Annotated[
        str,
        typer.Option(
            "--space", help="darts, darts+ir, darts+sandglass, or darts-ir, darts-sandglass (in place of sep5)."
        ),
    ] = "darts",
    order: Annotated[str, typer.Option("--order", help="first or second.")] = "first",
    partial: Annotated[int, typer.Option("--partial", help="4: PC-DARTS; 1: all channels are mixed.")] = 1,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over half of the training images.")] = 50,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Images per step.")] = 64,
    cells: Annotated[int, typer.Option("--cells", help="Cells of the search network.")] = 8,
    channels: Annotated[int, typer.Option("--channels", help="Channels of its first cell.")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of the architecture; default 3e-4, PC-DARTS 6e-4.")
    ] = None,
    image_size: ImageSizeOption = None,
    subset: SubsetOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    resume: ResumeOption = False,
    torch_device: TorchDeviceOption = None,
    checkpoint_seconds: CheckpointOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Search a normal and a reduction cell on images by gradient descent.

    Half of the training images teach the weights, the other half the architecture. The defaults are DARTS' on
    CIFAR-10: hours on a GPU. The first example takes about a minute on two cores.

    [bold]Examples[/bold]

      nas cells search --data digits --epochs 3 --cells 3 --channels 4
      nas cells search --data cifar10:PATH --space darts+sandglass --order second
      nas cells search --data cifar10:PATH --partial 4 --batch-size 256
    """
    from nas.jobs.cells.run import prepare_search, run_search
    from nas.jobs.cells.settings import CellSearchSettings
    from nas.runs import run_place

    settings = CellSearchSettings(
        data=data,
        space=space,
        order=order,
        partial=partial,
        epochs=epochs,
        batch_size=batch_size,
        cells=cells,
        channels=channels,
        learning_rate=learning_rate,
        image_size=image_size,
        subset=subset,
        seed=seed,
    )
    place = run_place(out=out, name=None, default=f"cells-{space}", resume=resume)
    job = prepare_search(settings, _execution(torch_device), place, resume=resume)
    result = _run(job, epochs, lambda progress: run_search(job, progress, checkpoint_seconds=checkpoint_seconds), json)
    if not json:
        output_console().print(
            f"{result['network']}\n{result['params'] / 1e6:.2f} M parameters, {result['skips']} of 16 edges skip",
            soft_wrap=True,
            markup=False,
        )
        _print_next(job.folder.path, f"nas cells train {job.folder.path} --data {data}")


def train(
    cells: CellsArgument,
    data: DataOption,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the images.")] = 600,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Images per step.")] = 96,
    number: Annotated[int | None, typer.Option("--cells", help="Number of cells; default: the network's.")] = None,
    channels: Annotated[int | None, typer.Option("--channels", help="Channels of the first; default: its own.")] = None,
    drop_path: Annotated[float, typer.Option("--drop-path", help="Chance of leaving out an edge, at the end.")] = 0.2,
    auxiliary: Annotated[float, typer.Option("--auxiliary", help="Weight of the auxiliary classifier.")] = 0.4,
    cutout: Annotated[float, typer.Option("--cutout", help="Side of the blanked square, share of the image.")] = 0.5,
    image_size: ImageSizeOption = None,
    subset: SubsetOption = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    resume: ResumeOption = False,
    torch_device: TorchDeviceOption = None,
    checkpoint_seconds: CheckpointOption = 30.0,
    json: JsonOption = False,
) -> None:
    """Train a network of cells from random weights and test it once.

    The defaults are DARTS' evaluation on CIFAR-10 (20 cells of 36 channels, 600 epochs): a day on a GPU.

    [bold]Examples[/bold]

      nas cells train darts_v2 --data digits --cells 3 --channels 4 --epochs 3
      nas cells train runs/cells-darts --data cifar10:PATH
    """
    from nas.jobs.cells.run import prepare_training, run_training
    from nas.jobs.cells.settings import CellTrainSettings
    from nas.runs import run_place

    settings = CellTrainSettings(
        network=cells,
        data=data,
        epochs=epochs,
        batch_size=batch_size,
        cells=number,
        channels=channels,
        drop_path=drop_path,
        auxiliary=auxiliary,
        cutout=cutout,
        image_size=image_size,
        subset=subset,
        seed=seed,
    )
    place = run_place(out=out, name=None, default="cells-train", resume=resume)
    job = prepare_training(settings, _execution(torch_device), place, resume=resume)
    result = _run(
        job, epochs, lambda progress: run_training(job, progress, checkpoint_seconds=checkpoint_seconds), json
    )
    if not json:
        test = result["test"]
        output_console().print(f"test error {result['error']:.2f} % on {test['count']} images")
        output_console().print(f"written to {job.folder.path}", markup=False, soft_wrap=True)


def show(
    cells: CellsArgument,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw both cells into this PNG file.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show a network of cells: parameters without auxiliary classifier, multiply-adds, both cells.

    [bold]Example[/bold]

      nas cells show darts_v2 --picture darts_v2.png
    """
    from nas.jobs.cells.settings import resolve_cells
    from searchspace.cells.text import format_cell

    network = resolve_cells(cells)
    if picture is not None:
        from nas.report.cell_picture import draw_cells
        from nas.report.drawing import png_bytes
        from searchspace.support.files import write_atomic

        write_atomic(picture, png_bytes(draw_cells(network)))
    if json:
        print_json({"network": str(network), "params": network.params, "madds": network.madds})
        return
    console = output_console()
    console.print(f"{network.params:,} parameters, {network.madds:,} multiply-adds at {network.resolution} px")
    console.print(
        f"normal     {format_cell(network.normal)}\nreduction  {format_cell(network.reduction)}", markup=False
    )
    console.print(str(network), markup=False, soft_wrap=True)


def _run(job: CellSearchJob | CellTrainJob, epochs: int, run: Any, json: bool) -> dict[str, Any]:
    """Run a job with a progress bar and a line per epoch, print its warnings and, with `json`, its result."""
    from nas.cli._train_progress import TrainProgress

    note_versions(job.folder.changed_versions)
    with job.folder, TrainProgress(note_console(), epochs) as progress:
        result: dict[str, Any] = run(progress)
    print_warnings(result["warnings"])
    if json:
        print_json(result | {"folder": str(job.folder.path)})
    return result


def _execution(torch_device: str | None) -> Any:
    from nas.training.execution import default_execution

    return default_execution(torch_device)


def _print_next(folder: Path, command: str) -> None:
    output_console().print(f"written to {folder}\nnext: {command}", markup=False, soft_wrap=True)
