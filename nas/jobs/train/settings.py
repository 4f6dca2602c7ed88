"""What `nas train` can be asked for; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from nas.options import (
    DATA,
    DROP_STRIDES,
    HEAD,
    IMAGES,
    NETWORK,
    OUTPUT,
    SEED,
    SUBSET,
    TRAINING,
    Option,
)
from nas.training.recipes import Recipe, recipe
from searchspace.support.errors import UserError

_RECIPE = Option(
    "mobilenetv3, mobilenext, short, fine-tune (from --weights) or dense.",
    panel=TRAINING,
    metavar="NAME",
    otherwise="short, with --task dense",
)


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What every training is asked for; the same settings give the same numbers on one machine.

    What is given replaces the recipe's; a batch size scales its learning rate.
    """

    network: Annotated[str, NETWORK]
    data: Annotated[
        str, replace(IMAGES, help=f"{IMAGES.help[:-1]}; with --task scenes, coco:DIR (boxes) or voc:DIR (masks).")
    ]
    recipe: Annotated[str, _RECIPE]
    epochs: Annotated[
        int | None, Option("Passes over the images.", panel=TRAINING, metavar="EPOCHS", otherwise="the recipe's")
    ] = None
    batch_size: Annotated[
        int | None,
        Option(
            "Images per step; the learning rate follows in proportion.",
            panel=TRAINING,
            metavar="IMAGES",
            otherwise="the recipe's",
        ),
    ] = None
    learning_rate: Annotated[
        float | None, Option("Peak rate.", panel=TRAINING, metavar="RATE", otherwise="the recipe's")
    ] = None
    clip_norm: Annotated[
        float | None,
        Option("Clip gradients to this L2 norm.", panel=TRAINING, metavar="NORM", otherwise="the recipe's"),
    ] = None
    seed: Annotated[int, SEED] = 0
    image_size: Annotated[
        int | None,
        Option("Pixels a side.", panel=DATA, metavar="PX", otherwise="the network's own; of smaller images: theirs"),
    ] = None
    subset: Annotated[int | None, SUBSET] = None
    weights: Annotated[
        str | None, Option("Start from these weights: safetensors, tflite or npz.", panel=TRAINING, metavar="FILE")
    ] = None
    from_scratch: Annotated[bool, Option("Ignore the weights in a run folder given as NETWORK.", panel=TRAINING)] = (
        False
    )

    def chosen_recipe(self) -> Recipe:
        """Return the recipe with what the settings replace; raises UserError for impossible values."""
        chosen = recipe(self.recipe, self.epochs)
        if self.batch_size is not None:
            chosen = chosen.with_batch_size(self.batch_size)
        if self.learning_rate is not None:
            chosen = replace(chosen, learning_rate=self.learning_rate)
        return chosen if self.clip_norm is None else replace(chosen, clip_norm=self.clip_norm)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(_Settings):
    """A training of a classifier.

    `image_size` below 64 px only stands in for the network's resolution; see `searchspace.low_resolution` for
    `drop_strides`.
    """

    recipe: Annotated[str, _RECIPE] = "short"
    drop_strides: Annotated[int | None, DROP_STRIDES] = None
    precision: Annotated[
        str | None,
        Option(
            "Of model.tflite: float32, float16 or int8.",
            panel=OUTPUT,
            metavar="NAME",
            otherwise="that of the table a run folder was searched for",
        ),
    ] = None
    quantisation_aware: Annotated[
        bool,
        Option("Fine-tune trained weights with the rounding of int8, and write model.tflite in int8.", panel=TRAINING),
    ] = False

    def __post_init__(self) -> None:
        """Raise UserError for a precision that --quantisation-aware does not train for."""
        if self.quantisation_aware and self.precision not in (None, "int8"):
            raise UserError(f"--quantisation-aware trains for int8, not for {self.precision}: leave --precision out")


@dataclass(frozen=True, kw_only=True)
class DenseSettings(_Settings):
    """A training with a detection or segmentation head; `weights` are a classifier's, from which the backbone starts.

    `head` None is the task's usual one.
    """

    task: Annotated[
        str,
        Option(
            "classification, detection (ssdlite) or segmentation (lraspp); see docs/detection.md.",
            panel=TRAINING,
            metavar="TASK",
            otherwise="classification",
        ),
    ]
    head: Annotated[str | None, replace(HEAD, panel=TRAINING)] = None
    recipe: Annotated[str, _RECIPE] = "dense"
