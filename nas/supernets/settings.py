"""How the supernet of a run is trained: the settings, with the one set of defaults that every command takes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas.training.recipes import Recipe, pretrained_supernet
from nas.training.recipes import supernet as supernet_recipe
from searchspace.support.errors import UserError

DIFFERENTIABLE = "differentiable"
# Fewer steps leave the weights of a space as large as `mobile` near their random start.
FEWEST_EPOCHS, FEWEST_STEPS = 10, 400


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How images decide a search.

    `mode` is one of `nas.supernets.training.MODES` or `differentiable`.

    `epochs` train the supernet (default: 10, on few images as many as make 400 steps), `winner_epochs` the network
    found: from the supernet's weights, or `from_scratch`. `image_size` defaults to the images' own; `subset` keeps that
    many training images; `batch_size` and `learning_rate` replace those of the recipe for the supernet. `start` is the
    folder of an earlier run, on the same images, whose supernet is trained further, for `epochs` that may then be 0.
    `weights` are those of a pretrained network that the supernet starts as, after `teacher_epochs` of fine-tuning; what
    trains learns from it, by `teacher_share`, beside the labels.
    """

    data: str
    image_size: int | None = None
    subset: int | None = None
    mode: str = "single-path"
    warm_up: float = 0.0
    kernel_transform: bool = False
    epochs: int | None = None
    winner_epochs: int = 10
    batch_size: int | None = None
    learning_rate: float | None = None
    start: str | None = None
    from_scratch: bool = False
    search_images: int = 1000
    seed: int = 0
    torch_device: str | None = None
    weights: str | None = None
    teacher_epochs: int = 3
    teacher_share: float = 0.5

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
