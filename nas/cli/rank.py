"""`nas rank`: how well a supernet ranks networks, beside size and latency alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli._common import (
    DeviceOption,
    JsonOption,
    ResumeOption,
    SeedOption,
    SpaceOption,
    TorchDeviceOption,
    note_console,
    note_versions,
    output_console,
    print_json,
    print_warnings,
)
from nas.cli._errors import resumable
from nas.cli._supernet_options import (
    EpochsOption,
    ImageSizeOption,
    KernelTransformOption,
    ModeOption,
    SearchImagesOption,
    SubsetOption,
    SupernetOption,
    WarmUpOption,
)
from nas.data_kinds import DATA_KINDS
from nas.supernets.settings import SupernetSettings

DataOption = Annotated[
    str,
    typer.Option("--data", metavar="DATA", help=f"{DATA_KINDS}."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option("--against", metavar="FILE", help="CSV of known accuracies; default: train every network alone."),
]
NetworksOption = Annotated[int, typer.Option("--networks", metavar="N", help="How many networks to compare.")]
AloneEpochsOption = Annotated[int, typer.Option("--alone-epochs", help="Passes over the images for each network.")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", help="Images per step; default: the recipe's.")]
RateOption = Annotated[float | None, typer.Option("--learning-rate", help="Default: the recipe's.")]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/rank-…")]


def rank(
    data: DataOption,
    space: SpaceOption = "mobilenetv3",
    against: AgainstOption = None,
    networks: NetworksOption = 50,
    alone_epochs: AloneEpochsOption = 10,
    device: DeviceOption = "pixel",
    supernet_training: ModeOption = SupernetSettings.mode,
    warm_up: WarmUpOption = SupernetSettings.warm_up,
    kernel_transform: KernelTransformOption = False,
    epochs: EpochsOption = None,
    batch_size: BatchOption = None,
    supernet: SupernetOption = None,
    learning_rate: RateOption = None,
    image_size: ImageSizeOption = None,
    search_images: SearchImagesOption = SupernetSettings.search_images,
    subset: SubsetOption = None,
    seed: SeedOption = 0,
    torch_device: TorchDeviceOption = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    json: JsonOption = False,
) -> None:
    """Compare a supernet's ranking of networks with the truth.

    The truth is a file of known accuracies, or each network trained on its own on the same images. Kendall's tau and
    Spearman's rho come with 95 % bootstrap intervals, over all networks and over the best tenth, and always beside
    those of multiply-adds alone and of latency alone.

    [bold]Examples[/bold]

      nas rank --data digits --space mobile
      nas rank --data cifar10:PATH --space macro --against macro_space_cifar10.csv --networks 300
    """
    from nas.cli._search_display import run_progress
    from nas.jobs.rank.run import open_inputs
    from nas.jobs.rank.run import rank as run_rank
    from nas.jobs.rank.settings import RankSettings
    from nas.runs import RunFolder, run_place

    images = SupernetSettings(
        data=data,
        image_size=image_size,
        subset=subset,
        mode=supernet_training,
        warm_up=warm_up,
        kernel_transform=kernel_transform,
        start=supernet,
        search_images=search_images,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        torch_device=torch_device,
    )
    settings = RankSettings(
        space=space, supernet=images, device=device, against=against, networks=networks, alone_epochs=alone_epochs
    )
    default = f"rank-{Path(space).stem}-{data.partition(':')[0]}"
    place = run_place(out=out, name=None, default=default, resume=resume)
    inputs = open_inputs(settings)
    chosen = settings.as_dict()
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen, "rank")
    note_versions(folder.changed_versions)
    if folder.is_complete:
        note_console().print(f"{folder.path} is already finished; nothing to do.", markup=False)
        result = folder.result()
    else:
        with folder, resumable(f"What was done is saved in {folder.path}"), run_progress() as watch:
            result = run_rank(settings, inputs, folder, watch)
    print_warnings(result.get("warnings", ()))
    if json:
        print_json(result)
    else:
        _print_result(result, folder.path)


def _print_result(result: dict[str, Any], place: Path) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("score", "networks", "tau", "95 %", "rho", "95 %"):
        table.add_column(name, justify="left" if name in ("score", "networks") else "right", no_wrap=True)
    for score, parts in result["correlations"].items():
        for part, found in parts.items():
            table.add_row(
                score if part == "all" else "",
                f"{part} ({found['count']})",
                f"{found['kendall']:.3f}",
                f"{found['kendall_low']:.2f} to {found['kendall_high']:.2f}",
                f"{found['spearman']:.3f}",
                f"{found['spearman_low']:.2f} to {found['spearman_high']:.2f}",
            )
    console = output_console()
    console.print(table)
    console.print(
        f"\ntau: Kendall, rho: Spearman. Truth: {result['truth']}. Written to {place}.", markup=False, highlight=False
    )
