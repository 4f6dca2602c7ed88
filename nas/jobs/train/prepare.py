"""A training run before it starts: everything given is checked, the data loaded, the network built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from latency_lut import LatencyTable
from latency_lut.devices import load_device
from nas.data import Data, Split, load_data
from nas.export import require_precision
from nas.jobs.train.settings import TrainSettings
from nas.runs import RunFolder, RunPlace
from nas.training import distributed
from nas.training.execution import Execution
from nas.training.recipes import Recipe
from nas.training.resolution import change_of_form
from nas.training.start import Start, find_weights, start_on
from nas.weights import Weights, open_weights
from searchspace.low_resolution import network_asked_for
from searchspace.resolve import resolve_network
from searchspace.support.errors import UserError

PRECISION = "bf16"  # the note of the precision that was decided on


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """A run that is ready to start: everything given has been checked and the data is loaded."""

    settings: TrainSettings
    execution: Execution
    recipe: Recipe
    data: Data
    tested: Split
    start: Start
    change: str | None  # how what runs differs from the network given, in words
    folder: RunFolder
    resume: bool


def prepare(
    settings: TrainSettings,
    execution: Execution,
    out: Path | RunPlace,
    *,
    resume: bool = False,
    decoding: Callable[[int, int], None] | None = None,
    beside: Mapping[str, Any] | None = None,
) -> TrainJob:
    """Check the settings, load the data, build the network and open the run's folder.

    `decoding(done, total)` is told how many images are decoded. `beside` is noted in the folder: what was asked for
    beside the settings.

    Raises UserError, before anything is written, for whatever is wrong with the settings, the data or the
    folder.
    """
    chosen = settings.chosen_recipe()
    if settings.precision is not None:
        require_precision(settings.precision)
    weights = find_weights(settings.network, settings.weights, settings.from_scratch)
    if settings.quantisation_aware and weights is None:
        raise UserError("--quantisation-aware fine-tunes trained weights: give the folder of a training, or --weights")
    given = resolve_network(settings.network)
    asked = network_asked_for(given, settings.image_size)
    opened = open_weights(weights, asked) if weights is not None else None
    data = _load(settings, given.resolution, opened, decoding)
    start = start_on(asked, data, opened, seed=settings.seed, dropped_strides=settings.drop_strides)
    change = change_of_form(given, start.asked, start.form, _known_table(settings.network))
    images_per_step = min(chosen.batch_size, len(data.train))
    decided = execution.for_steps_of(images_per_step * start.network.architecture.madds)
    if settings.quantisation_aware:
        decided = replace(decided, bf16=False)  # int8 is rounded from float32
    folder = _open_folder(out, {**asdict(settings), "execution": asdict(execution)}, resume, decided, beside)
    return TrainJob(
        settings=settings,
        execution=replace(decided, bf16=folder.about().get(PRECISION, decided.bf16)),
        recipe=chosen,
        data=data,
        # Opened now, looked at last: a damaged test image is better found before the training than after it.
        tested=data.test_split(),
        start=start,
        change=change,
        folder=folder,
        resume=resume,
    )


def _known_table(network: str) -> LatencyTable | None:
    """Return the table of the device that a run folder given as NETWORK was found for, if there is one."""
    if "," in network or not RunFolder(network).is_complete:
        return None
    device = RunFolder(network).result().get("device")
    try:
        return load_device(device) if isinstance(device, str) else None
    except UserError:
        return None  # a table that is no longer there: the multiply-adds have to do


def _load(
    settings: TrainSettings,
    resolution: int,
    weights: Weights | None,
    decoding: Callable[[int, int], None] | None,
) -> Data:
    """Load the data, prepared as the weights expect and by default at the size they were trained at."""
    size, preparation = settings.image_size, None
    if weights is not None:
        size = size or weights.architecture.resolution
        preparation = weights.info.preparation

    def load() -> Data:
        return load_data(
            settings.data,
            size,
            settings.seed,
            settings.subset,
            resolution=resolution,
            preparation=preparation,
            progress=decoding,
        )

    # The first process decodes into the cache, the others then find it there.
    if distributed.is_first():
        data = load()
        distributed.wait_for_all()
        return data
    distributed.wait_for_all()
    return load()


def _open_folder(
    out: Path | RunPlace, settings: dict[str, Any], resume: bool, decided: Execution, beside: Mapping[str, Any] | None
) -> RunFolder:
    """Open the folder in the first process; the others are told which one it is.

    The precision that was decided on is noted in it, so that the run goes on in the same one.
    """
    if not distributed.is_first():
        return RunFolder(distributed.from_first(""), settings)
    folder = (
        RunFolder.reopen(out, settings)
        if resume
        else RunFolder.create(out, settings, "train", {PRECISION: bool(decided.bf16), **(beside or {})})
    )
    if folder.is_complete:
        raise UserError(f"{folder.path} holds a finished run: nothing to resume; choose another --out to train again")
    distributed.from_first(str(folder.path))
    return folder
