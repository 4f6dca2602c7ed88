"""`nas cells`: search cells on images as DARTS and PC-DARTS do, train what was found or published, show it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import JsonOption, note_console, note_versions, output_console, print_json, print_warnings
from nas.cli._options import Given, options_from
from nas.cli._run_options import ResumedRun, RunOptions, StartedRun, run_to_resume
from nas.cli._train_options import DeviceOptions
from nas.jobs.cells.settings import CHECKPOINT_SECONDS, CellSearchSettings, CellTrainSettings
from nas.options import OUTPUT, Option

if TYPE_CHECKING:
    from nas.jobs.cells.run import CellSearchJob, CellTrainJob
    from nas.runs import RunPlace

_FREE = ("checkpoint_seconds", "torch_device")

CellsArgument = Annotated[
    str,
    typer.Argument(metavar="CELLS", help="darts_v1, darts_v2, pc_darts, compact text, or the folder of a search."),
]


@dataclass(frozen=True, kw_only=True)
class _Saving:
    """How often a run is saved."""

    checkpoint_seconds: Annotated[float, Option("How often the state is saved.", panel=OUTPUT, metavar="SECONDS")] = (
        CHECKPOINT_SECONDS
    )


@options_from(ResumedRun, CellSearchSettings, DeviceOptions, _Saving, RunOptions, out={"otherwise": "runs/cells-SPACE"})
def search(given: Given, json: JsonOption = False) -> None:
    """Search a normal and a reduction cell on images by gradient descent.

    Half of the training images teach the weights, the other half the architecture. The defaults are DARTS' on
    CIFAR-10: hours on a GPU. The first example takes about a minute on two cores.

    [bold]Examples[/bold]

      nas cells search --data digits --epochs 3 --cells 3 --channels 4
      nas cells search --data cifar10:PATH --space darts+sandglass --order second
      nas cells search --data cifar10:PATH --partial 4 --batch-size 256
      nas cells search --resume runs/NAME          go on after an interruption
    """
    from nas.jobs.cells.run import prepare_search, run_search

    run = run_to_resume(given, "cells search", free=_FREE)
    settings = given.make(CellSearchSettings) if run is None else run.made(CellSearchSettings)
    place = _place(given, run, f"cells-{settings.space}")
    job = prepare_search(settings, _execution(given), place, resume=given["resume"])
    seconds = given["checkpoint_seconds"]
    result = _run(job, settings.epochs, lambda progress: run_search(job, progress, checkpoint_seconds=seconds), json)
    if not json:
        output_console().print(
            f"{result['network']}\n{result['params'] / 1e6:.2f} M parameters, {result['skips']} of 16 edges skip",
            soft_wrap=True,
            markup=False,
        )
        _print_next(job.folder.path, f"nas cells train {job.folder.path} --data {settings.data}")


@options_from(CellTrainSettings, DeviceOptions, _Saving, RunOptions, out={"otherwise": "runs/cells-train"})
def train(given: Given, json: JsonOption = False) -> None:
    """Train a network of cells from random weights and test it once.

    The defaults are DARTS' evaluation on CIFAR-10 (20 cells of 36 channels, 600 epochs): a day on a GPU.

    [bold]Examples[/bold]

      nas cells train darts_v2 --data digits --cells 3 --channels 4 --epochs 3
      nas cells train runs/cells-darts --data cifar10:PATH
      nas cells train --resume runs/NAME           go on after an interruption
    """
    from nas.jobs.cells.run import prepare_training, run_training

    run = run_to_resume(given, "cells train", named_by="network", free=_FREE)
    settings = given.make(CellTrainSettings) if run is None else run.made(CellTrainSettings)
    job = prepare_training(settings, _execution(given), _place(given, run, "cells-train"), resume=given["resume"])
    seconds = given["checkpoint_seconds"]
    result = _run(job, settings.epochs, lambda progress: run_training(job, progress, checkpoint_seconds=seconds), json)
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


def _place(given: Given, run: StartedRun | None, default: str) -> RunPlace:
    from nas.runs import run_place

    out = given["out"] if run is None else run.path
    return run_place(out=out, name=None, default=default, resume=given["resume"])


def _execution(given: Given) -> Any:
    from nas.training.execution import default_execution

    return default_execution(given["torch_device"])


def _print_next(folder: Path, command: str) -> None:
    output_console().print(f"written to {folder}\nnext: {command}", markup=False, soft_wrap=True)
