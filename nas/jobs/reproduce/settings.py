"""What `nas reproduce` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from nas.options import DATA, IMAGES, SEED, SPACE, TORCH_DEVICE, TRAINING, Option
from searchspace.support.errors import UserError


class Scale(StrEnum):
    """How much of an experiment is run: minutes, an evening on two cores, or what the paper did."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


_ON_A_DEVICE = ("mobilenetv3", "mobilenext")
_REPEATS = ("mobilenetv3", "mobilenext")
_CELLS = "mobilenext"


def chosen_scale(name: str) -> Scale:
    """Return a scale by name; raises UserError listing them."""
    if name not in tuple(Scale):
        raise UserError(f"the scale is {name[:60]!r}, expected one of {', '.join(Scale)}")
    return Scale(name)


@dataclass(frozen=True, kw_only=True)
class ReproduceSettings:
    """One experiment at one scale."""

    experiment: Annotated[
        str,
        Option("mobilenetv3, mobilenext, netadapt-truth, pretrained or phones.", metavar="EXPERIMENT", argument=True),
    ]
    scale: Annotated[
        Scale,
        Option(
            "quick (minutes), default (an evening on two cores), or full (the paper's own).",
            panel=SPACE,
            metavar="SCALE",
            parser=chosen_scale,
        ),
    ] = Scale.DEFAULT
    data: Annotated[str | None, replace(IMAGES, otherwise="digits")] = None
    table: Annotated[
        str | None,
        Option("Known accuracies that netadapt-truth and phones look up.", panel=DATA, metavar="FILE"),
    ] = None
    weights: Annotated[
        str | None, Option("Pretrained weights to start from where possible.", panel=DATA, metavar="FILE")
    ] = None
    latencies: Annotated[
        str | None,
        Option(
            "Published latencies, to fit tables anew without each row; without them figures of the shipped tables.",
            panel=DATA,
            metavar="FOLDER",
        ),
    ] = None
    seed: Annotated[int, SEED] = 0
    seeds: Annotated[
        int | None,
        Option("Repeat every training N times, from --seed on.", panel=TRAINING, metavar="N", otherwise="by the scale"),
    ] = None
    cell_data: Annotated[
        str | None,
        Option("Images that mobilenext searches cells on.", panel=DATA, metavar="DATA", otherwise="--data"),
    ] = None
    torch_device: Annotated[str | None, TORCH_DEVICE] = None

    def __post_init__(self) -> None:
        if self.cell_data is not None and self.experiment != _CELLS:
            raise UserError(f"--cell-data {self.cell_data}: only the experiment {_CELLS} searches cells; leave it out")
        if self.seeds is not None:
            self._check_seeds(self.seeds)
        if self.torch_device is not None and self.experiment not in _ON_A_DEVICE:
            raise UserError(f"--torch-device is for {' and '.join(_ON_A_DEVICE)}: {self.experiment} does not take one")

    def _check_seeds(self, seeds: int) -> None:
        if seeds < 1:
            raise UserError(f"seeds is {seeds}, expected at least 1: how often every training is repeated")
        if self.experiment not in _REPEATS:
            raise UserError(
                f"--seeds {seeds}: the experiment {self.experiment} has a fixed number of repetitions; "
                f"leave it out, or choose one of {', '.join(_REPEATS)}"
            )

    def repeated(self, usual: int) -> range:
        """Return the seeds of repeated trainings: as many as asked for, else `usual`, from `seed` on."""
        return range(self.seed, self.seed + (usual if self.seeds is None else self.seeds))

    @property
    def images(self) -> str:
        """The data set that networks are trained on."""
        return self.data or "digits"


def require_images(settings: ReproduceSettings) -> str:
    """Return the data set to train on; raises UserError where the full scale is asked for without ImageNet."""
    if settings.scale is Scale.FULL and settings.data is None:
        raise UserError(
            "the full scale trains on ImageNet: give its folder with --data imagefolder:FOLDER "
            "(train/ and val/ with one folder for each class)"
        )
    return settings.images


def require_cell_images(settings: ReproduceSettings) -> str:
    """Return the data set that cells are searched on; raises UserError where the full scale lacks CIFAR-10."""
    given = settings.cell_data or settings.images
    if settings.scale is Scale.FULL and not given.startswith("cifar10"):
        raise UserError(
            "the full scale searches cells on CIFAR-10: give its folder with --cell-data cifar10:FOLDER "
            "(--data is the ImageNet folder of the other parts)"
        )
    return given
