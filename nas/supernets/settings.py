"""How the supernet of a run is trained: the settings, with the one set of defaults that every command takes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from nas.options import DATA, IMAGES, SEED, SUBSET, TORCH_DEVICE, TRAINING, Option
from nas.training.recipes import Recipe, pretrained_supernet
from nas.training.recipes import supernet as supernet_recipe
from searchspace.support.errors import UserError

DIFFERENTIABLE = "differentiable"
# Fewer steps leave the weights of a space as large as `mobile` near their random start.
FEWEST_EPOCHS, FEWEST_STEPS = 10, 400


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How images decide a search.

    `mode` is one of `nas.supernets.training.MODES` or `differentiable`. The supernet starts as the `weights`; what
    trains learns from them beside the labels.
    """

    data: Annotated[str, IMAGES]
    image_size: Annotated[
        int | None,
        Option(
            "Pixels a side.",
            panel=DATA,
            metavar="PX",
            otherwise="the space's largest resolution; of smaller images: theirs",
        ),
    ] = None
    subset: Annotated[int | None, SUBSET] = None
    search_images: Annotated[
        int, Option("Images of the search split that score a network.", panel=DATA, metavar="N")
    ] = 1000
    mode: Annotated[
        str,
        Option(
            "single-path, fair, sandwich, shrinking or differentiable.",
            panel=TRAINING,
            names="--supernet-training",
            metavar="MODE",
        ),
    ] = "single-path"
    warm_up: Annotated[
        float,
        Option("Part of the training in which all choices are warmed up.", panel=TRAINING, metavar="SHARE"),
    ] = 0.0
    kernel_transform: Annotated[
        bool, Option("Learn a matrix between kernel sizes, as Once-for-All does.", panel=TRAINING)
    ] = False
    epochs: Annotated[
        int | None,
        Option(
            "Passes over the images: the supernet.",
            panel=TRAINING,
            metavar="EPOCHS",
            otherwise=f"{FEWEST_EPOCHS}, or what makes {FEWEST_STEPS} steps",
        ),
    ] = None
    winner_epochs: Annotated[
        int, Option("Passes over the images: the network found.", panel=TRAINING, metavar="EPOCHS")
    ] = 10
    batch_size: Annotated[
        int | None,
        Option("Images per step of the supernet.", panel=TRAINING, metavar="IMAGES", otherwise="the recipe's"),
    ] = None
    learning_rate: Annotated[
        float | None,
        Option("Of the supernet.", panel=TRAINING, metavar="RATE", otherwise="the recipe's"),
    ] = None
    start: Annotated[
        str | None,
        Option(
            "Start from the supernet of an earlier run on the same images (--epochs may be 0).",
            panel=TRAINING,
            names="--supernet",
            metavar="RUN",
        ),
    ] = None
    from_scratch: Annotated[
        bool, Option("Train the network found from scratch, not from the supernet.", panel=TRAINING)
    ] = False
    weights: Annotated[
        str | None,
        Option(
            "Start from a pretrained network: .tflite, .safetensors, .npz, .pth; default --space: around it.",
            panel=TRAINING,
            metavar="FILE",
        ),
    ] = None
    teacher_epochs: Annotated[
        int,
        Option("Passes over the images: fine-tuning the pretrained network first.", panel=TRAINING, metavar="EPOCHS"),
    ] = 3
    teacher_share: Annotated[
        float,
        Option(
            "Part that the pretrained network's answers have in what is learnt; 0: none.",
            panel=TRAINING,
            metavar="SHARE",
        ),
    ] = 0.5
    seed: Annotated[int, SEED] = 0
    torch_device: Annotated[str | None, TORCH_DEVICE] = None

    def __post_init__(self) -> None:
        for name in ("epochs", "winner_epochs", "search_images"):
            given, least = getattr(self, name), 0 if name == "epochs" and self.start is not None else 1
            if given is not None and given < least:
                raise UserError(f"{name.replace('_', ' ')} is {given}, expected at least {least}")
        if not 0 <= self.warm_up <= 1:
            raise UserError(f"warm-up is {self.warm_up:g}, expected a share of the training from 0 to 1")
        if self.warm_up and self.mode == DIFFERENTIABLE:
            raise UserError("differentiable training has a warm-up of its own, a quarter of the run: leave it out")
        if self.teacher_epochs < 0:
            raise UserError(f"teacher epochs is {self.teacher_epochs}, expected at least 0")
        if not 0 <= self.teacher_share <= 1:
            raise UserError(f"the teacher's share is {self.teacher_share:g}, expected from 0 to 1")
        if self.weights is not None:
            self._check_weights()

    def _check_weights(self) -> None:
        if self.mode == DIFFERENTIABLE:
            raise UserError("differentiable training starts at random: leave --weights out, or train another way")
        if self.start is not None:
            raise UserError(f"--weights {self.weights} and --supernet {self.start} exclude each other; give one")
        if self.from_scratch:
            raise UserError(f"--weights {self.weights} and --from-scratch exclude each other; give one of them")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values; those of pretrained weights only where there are such."""
        plain = asdict(self)
        if self.weights is None:
            for name in ("weights", "teacher_epochs", "teacher_share"):
                del plain[name]
        return plain

    def epochs_over(self, images: int) -> int:
        """Return the number of passes over so many images."""
        if self.epochs is not None:
            return self.epochs
        batch_size = min(self.batch_size or self._recipe(1).batch_size, images)
        return max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / (images // batch_size)))

    def _recipe(self, epochs: int) -> Recipe:
        return supernet_recipe(epochs) if self.weights is None else pretrained_supernet(epochs)

    def recipe(self, images: int) -> Recipe:
        """Return how the supernet is trained on so many images."""
        recipe = self._recipe(self.epochs_over(images))
        if self.batch_size is not None:
            recipe = recipe.with_batch_size(self.batch_size)
        return recipe if self.learning_rate is None else replace(recipe, learning_rate=self.learning_rate)
