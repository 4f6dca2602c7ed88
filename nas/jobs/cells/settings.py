"""What `nas cells search` and `nas cells train` are asked for, and the spaces they know by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from nas.options import DATA, IMAGES, SEED, SPACE, STRATEGY, SUBSET, TRAINING, Option
from nas.supernets.bilevel_settings import BilevelSettings, Order
from nas.training.recipes import OptimizerKind, Recipe, ScheduleKind
from searchspace.cells import DARTS, PUBLISHED_CELLS, CellNetwork, CellSpace, parse_cells, published_cell
from searchspace.cells.primitives import with_operation
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

CELL_FILE = "cell.txt"
CHECKPOINT_SECONDS = 30.0

CELL_SPACES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "darts": DARTS,
        "darts+ir": with_operation("inverted_residual"),
        "darts+sandglass": with_operation("sandglass"),
        "darts+7x1": with_operation("conv_7x1_1x7"),
        "darts-ir": with_operation("inverted_residual", replacing="sep_conv_5x5"),
        "darts-sandglass": with_operation("sandglass", replacing="sep_conv_5x5"),
    }
)
"""DARTS' space, both readings of MobileNeXt's table 13 (the block added, or in place of the 5x5 separable
convolution), and the pair of 1x7 and 7x1 convolutions of NASNet and DARTS' code added."""

_IMAGE_SIZE = Option("Pixels a side.", panel=DATA, metavar="PX", otherwise="the images' own")


@dataclass(frozen=True, kw_only=True)
class CellSearchSettings:
    """A search for cells; defaults are DARTS' own on CIFAR-10 (8 cells of 16 channels, 50 epochs, batches of 64).

    `cells` and `channels` are those of the search network; what is found is written for 20 cells of 36 channels.
    `partial` above 1 lets 1 / `partial` of the channels through the mixed operations (PC-DARTS, which takes 4, freezes
    the logits for the first 30 % of the run and moves them twice as fast).
    """

    data: Annotated[str, IMAGES]
    space: Annotated[
        str, Option(f"{', '.join(CELL_SPACES)}; with a minus in place of sep5.", panel=SPACE, metavar="SPACE")
    ] = "darts"
    cells: Annotated[int, Option("Cells of the search network.", panel=SPACE, metavar="N")] = 8
    channels: Annotated[int, Option("Channels of its first cell.", panel=SPACE, metavar="N")] = 16
    order: Annotated[str, Option("first or second.", panel=STRATEGY, metavar="ORDER")] = "first"
    partial: Annotated[int, Option("4: PC-DARTS; 1: all channels are mixed.", panel=STRATEGY, metavar="N")] = 1
    learning_rate: Annotated[
        float | None,
        Option("Of the architecture.", panel=STRATEGY, metavar="RATE", otherwise="3e-4, with PC-DARTS 6e-4"),
    ] = None
    frozen_share: Annotated[
        float | None,
        Option(
            "Part of the run in which only the weights learn.",
            panel=STRATEGY,
            metavar="SHARE",
            otherwise="0, with PC-DARTS 0.3",
        ),
    ] = None
    epochs: Annotated[int, Option("Passes over half of the training images.", panel=TRAINING, metavar="EPOCHS")] = 50
    batch_size: Annotated[int, Option("Images per step.", panel=TRAINING, metavar="IMAGES")] = 64
    seed: Annotated[int, SEED] = 0
    image_size: Annotated[int | None, _IMAGE_SIZE] = None
    subset: Annotated[int | None, SUBSET] = None

    def __post_init__(self) -> None:
        if self.space not in CELL_SPACES:
            raise UserError(f"unknown cell space {self.space[:60]!r}, expected one of {', '.join(CELL_SPACES)}")
        if self.order not in tuple(Order):
            raise UserError(f"the order is {self.order[:60]!r}, expected first or second")
        if self.partial < 1 or self.channels % self.partial:
            raise UserError(f"partial is {self.partial}, expected a divisor of the {self.channels} channels")

    def bilevel(self) -> BilevelSettings:
        """Return how the logits learn."""
        partial = self.partial > 1
        return BilevelSettings(
            order=Order(self.order),
            learning_rate=self.learning_rate if self.learning_rate is not None else (6e-4 if partial else 3e-4),
            frozen_share=self.frozen_share if self.frozen_share is not None else (0.3 if partial else 0.0),
        )

    def cell_space(self, image_size: int, classes: int) -> CellSpace:
        """Return the space whose networks are found: 20 cells of 36 channels, as evaluated in the papers."""
        return CellSpace(CELL_SPACES[self.space], name=self.space, resolution=image_size, classes=classes)


@dataclass(frozen=True, kw_only=True)
class CellTrainSettings:
    """A training of a cell network from random weights; defaults are DARTS' on CIFAR-10 (`train.py`).

    `cells` and `channels` replace those of the network. `drop_path` grows linearly from 0 to its value at the end;
    `auxiliary` is the weight of the auxiliary classifier's loss; `cutout` is a square's side as a share of the image's.
    """

    network: Annotated[
        str,
        Option(
            f"{', '.join(PUBLISHED_CELLS)}, compact text, or the folder of a search.", metavar="CELLS", argument=True
        ),
    ]
    data: Annotated[str, IMAGES]
    cells: Annotated[int | None, Option("Number of cells.", panel=SPACE, metavar="N", otherwise="the network's")] = None
    channels: Annotated[int | None, Option("Channels of the first.", panel=SPACE, metavar="N", otherwise="its own")] = (
        None
    )
    epochs: Annotated[int, Option("Passes over the images.", panel=TRAINING, metavar="EPOCHS")] = 600
    batch_size: Annotated[int, Option("Images per step.", panel=TRAINING, metavar="IMAGES")] = 96
    learning_rate: Annotated[float, Option("Peak rate.", panel=TRAINING, metavar="RATE")] = 0.025
    drop_path: Annotated[
        float, Option("Chance of leaving out an edge, at the end.", panel=TRAINING, metavar="CHANCE")
    ] = 0.2
    auxiliary: Annotated[float, Option("Weight of the auxiliary classifier.", panel=TRAINING, metavar="WEIGHT")] = 0.4
    cutout: Annotated[
        float, Option("Side of the blanked square, part of the image's.", panel=TRAINING, metavar="SHARE")
    ] = 0.5
    seed: Annotated[int, SEED] = 0
    image_size: Annotated[int | None, _IMAGE_SIZE] = None
    subset: Annotated[int | None, SUBSET] = None

    def __post_init__(self) -> None:
        for name in ("drop_path", "auxiliary", "cutout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, expected 0 to less than 1")

    def recipe(self) -> Recipe:
        """Return the recipe of DARTS' evaluation: SGD, a cosine to 0, weight decay 3e-4 on everything, clip 5."""
        return Recipe(
            name="darts",
            source="Liu et al. 2018, train.py",
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=OptimizerKind.SGD,
            learning_rate=self.learning_rate,
            weight_decay=3e-4,
            decay_all_parameters=True,
            schedule=ScheduleKind.COSINE,
            clip_norm=5.0,
        )


def resolve_cells(text: str) -> CellNetwork:
    """Return a cell network by published name, compact text, or the folder of a cell search; raises UserError."""
    if text in PUBLISHED_CELLS:
        return published_cell(text)
    if "," in text:
        return parse_cells(text)
    path = Path(text) / CELL_FILE
    if path.is_file():
        return parse_cells(read_text(path, "cell file"))
    raise UserError(
        f"{text[:60]!r} is no network of cells: expected {', '.join(PUBLISHED_CELLS)}, the compact text, or the "
        "folder of a finished `nas cells search`"
    )
