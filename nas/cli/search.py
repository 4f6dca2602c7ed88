"""`nas search`: find the most accurate network within a latency budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli._common import (
    DeviceOption,
    JsonOption,
    ResumeOption,
    SeedOption,
    note_console,
    print_json,
    print_warnings,
)
from nas.cli._errors import resumable
from nas.cli._supernet_options import (
    DataOption,
    EpochsOption,
    FromScratchOption,
    ImageSizeOption,
    KernelTransformOption,
    SearchImagesOption,
    SubsetOption,
    SupernetOption,
    WarmUpOption,
    WinnerEpochsOption,
)

if TYPE_CHECKING:
    from nas.jobs.search.run import SearchSettings
    from nas.jobs.slim.settings import SlimSettings

BudgetOption = Annotated[
    str,
    typer.Option("--budget", metavar="TIME", help="Latency to keep, with its unit: 60ms, 0.06s.", show_default=False),
]
SpaceOption = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="A space from `nas spaces`, or a YAML file of your own; default: mobilenetv3, with --data mobile.",
    ),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="evolution, reinforce, random, tpe, optuna:SAMPLER, learnt or module:Class of your own; "
        "default: evolution, after differentiable training learnt.",
    ),
]
EvaluationsOption = Annotated[
    int | None,
    typer.Option("--evaluations", metavar="N", help="Networks to evaluate; default: 50,000, with --data 100."),
]
OutOption = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Folder of the run; default: runs/NAME.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Name of the run; default: from device, budget and space.")
]
ExtrapolateOption = Annotated[
    bool, typer.Option("--extrapolate", help="Estimate operations outside the table's measured range, and flag them.")
]
ModeOption = Annotated[
    str,
    typer.Option("--supernet-training", help="single-path, fair, sandwich, shrinking or differentiable."),
]
NetadaptOption = Annotated[
    str | None, typer.Option("--netadapt", metavar="TARGET", help="Then slim the network found to 51ms, or to 75%.")
]
ExportOption = Annotated[
    bool, typer.Option("--export/--no-export", help="Write model.tflite and time it on this machine.")
]


def search(
    context: typer.Context,
    budget: BudgetOption,
    device: DeviceOption = "pixel",
    space: SpaceOption = None,
    strategy: StrategyOption = None,
    seed: SeedOption = 0,
    evaluations: EvaluationsOption = None,
    data: DataOption = None,
    image_size: ImageSizeOption = None,
    search_images: SearchImagesOption = 1000,
    subset: SubsetOption = None,
    supernet_training: ModeOption = "single-path",
    warm_up: WarmUpOption = 0.0,
    kernel_transform: KernelTransformOption = False,
    epochs: EpochsOption = None,
    winner_epochs: WinnerEpochsOption = 10,
    supernet: SupernetOption = None,
    from_scratch: FromScratchOption = False,
    out: OutOption = None,
    name: NameOption = None,
    resume: ResumeOption = False,
    extrapolate: ExtrapolateOption = False,
    netadapt: NetadaptOption = None,
    export: ExportOption = True,
    json: JsonOption = False,
) -> None:
    """Find the most accurate network within a latency budget.

    The upper end of the latency interval keeps the budget. Without --data, accuracy is predicted from ImageNet
    accuracies of thousands of networks. With --data a supernet is trained on your images and scores the networks;
    the winner is trained further, tested once and exported with its weights. The run's folder gets the
    architecture, the Pareto front, the latency by layer, a TFLite model and report.html; result.json is the same
    for the same seed.

    [bold]Examples[/bold]

      nas search --budget 60ms --device pixel
      nas search --budget 0.08s --space mnasnet --seed 1 --out runs/mnasnet-80
      nas search --budget 30ms --data digits
      nas search --budget 30ms --data digits --supernet-training differentiable
      nas search --budget 60ms --data cifar10:PATH --netadapt 51ms
      nas search --budget 60ms --resume            go on after an interruption
    """
    from nas.cli._search_display import print_summary, run_progress
    from nas.jobs.search.run import SearchSettings, prepare_search, require_exporter, run_to_folder
    from nas.jobs.search.scoring import PredictedScoring, Scoring
    from nas.objective import parse_budget
    from nas.runs import RunFolder, run_path
    from searchspace.low_resolution import SMALL_PX

    if data is None:
        _refuse_image_options(context)
    settings = SearchSettings(
        budget_ms=parse_budget(budget),
        device=device,
        space=space or ("mobilenetv3" if data is None else "mobile"),
        strategy=strategy or ("learnt" if supernet_training == "differentiable" else "evolution"),
        seed=seed,
        evaluations=(50_000 if data is None else 100) if evaluations is None else evaluations,
        extrapolate=extrapolate,
    )
    scoring: Scoring = PredictedScoring(seed)
    chosen = settings.as_dict()
    if data is not None:
        from nas.jobs.search.supernet_scoring import open_scoring
        from nas.supernets.settings import SupernetSettings

        images = SupernetSettings(
            data=data,
            image_size=image_size,
            subset=subset,
            mode=supernet_training,
            warm_up=warm_up,
            kernel_transform=kernel_transform,
            start=supernet,
            epochs=epochs,
            winner_epochs=winner_epochs,
            from_scratch=from_scratch,
            search_images=search_images,
            seed=seed,
        )
        scoring, chosen = open_scoring(images, settings.space), chosen | images.as_dict()
    place = run_path(out=out, name=name, default=_default_name(settings), resume=resume)
    # NetAdapt slims the network at the resolution that was priced; only images under 64 px stand in for larger ones.
    stands_in = image_size if image_size is not None and image_size < SMALL_PX else None
    shared = {"seed": seed, "image_size": stands_in, "subset": subset}
    slimming = None if netadapt is None else _slim_settings(netadapt, settings, place, data, **shared)
    prepared = prepare_search(settings, scoring)
    if export:
        require_exporter()
    folder = RunFolder.reopen(place, chosen) if resume else RunFolder.create(place, chosen)
    if folder.is_complete:
        note_console().print(f"The search in {place} is already finished.")
        result = folder.result()
    else:
        with resumable(f"What was done is saved in {place}"), run_progress(settings.evaluations) as watch:
            summary, result = run_to_folder(prepared, folder, export=export, watch=watch)
        if not json:
            print_summary(summary, place)
    print_warnings(result.get("trained", {}).get("warnings", ()))
    if slimming is not None:
        result |= {"netadapt": _hand_on(slimming, place / "netadapt", export=export, quiet=json)}
    if json:
        print_json(result)


_IMAGE_OPTIONS = (
    "image_size",
    "search_images",
    "subset",
    "supernet_training",
    "warm_up",
    "kernel_transform",
    "epochs",
    "winner_epochs",
    "supernet",
    "from_scratch",
)


def _refuse_image_options(context: typer.Context) -> None:
    """Raise UserError when an option was given that means something only with --data."""
    from searchspace.support.errors import UserError

    sources = {name: context.get_parameter_source(name) for name in _IMAGE_OPTIONS}
    given = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(
            f"{options}: only a search on images has a supernet to train; add --data, such as --data digits"
        )


def _slim_settings(target: str, search: SearchSettings, place: Path, data: str | None, **shared: Any) -> SlimSettings:
    """Return the settings of slimming the network found; raises UserError before any work is done."""
    from nas.jobs.slim.settings import ResourceName, SlimSettings, parse_target
    from searchspace.support.errors import UserError

    if data is None:
        raise UserError(f"--netadapt {target} fine-tunes on images: add --data, or slim a trained network later")
    if parse_target(target, ResourceName.LATENCY, search.budget_ms) >= search.budget_ms:
        raise UserError(f"--netadapt {target} is not below the budget of {search.budget_ms:g} ms that the search keeps")
    return SlimSettings(
        network=str(place), target=target, data=data, device=search.device, extrapolate=search.extrapolate, **shared
    )


def _hand_on(settings: SlimSettings, place: Path, *, export: bool, quiet: bool) -> dict[str, Any]:
    """Slim the network found, going on where an earlier try stopped, and return the result."""
    from nas.cli.netadapt import print_result, slim

    slimmed = slim(settings, place, resume=place.exists(), export=export)
    if not quiet:
        print_result(slimmed, place)
    return slimmed


def _default_name(settings: SearchSettings) -> str:
    parts = (Path(settings.device).stem, f"{settings.budget_ms:g}ms", Path(settings.space).stem)
    return "-".join(part.replace(":", "-") for part in parts)
