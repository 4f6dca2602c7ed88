"""Scores from a short training of each network from scratch: MnasNet's proxy task (arXiv:1807.11626, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.objectives import Values
from searchspace.architecture import Architecture
from searchspace.choices import Genotypes
from searchspace.low_resolution import RunForm, strides_to_drop
from searchspace.space import SearchSpace
from searchspace.support.files import sha256_text

if TYPE_CHECKING:
    from nas.data import Data
    from nas.training.history import EpochRecord, Observer


@dataclass(frozen=True, kw_only=True)
class TrainEvaluator:
    """Trains each network of `space` for `epochs` epochs and tells its top-1 on the search split.

    Images are loaded by `data` (DATA of the command line), `image_size`, `subset` and `resolution`, once in every
    process that trains, so that the evaluator itself is small enough to travel. The same genotype always gets the same
    score: weights and batches are drawn by `seed`.
    """

    space: SearchSpace
    data: str
    image_size: int
    classes: int
    epochs: int = 5
    subset: int | None = None
    seed: int = 0
    torch_device: str | None = None

    @property
    def label(self) -> str:
        """What the scores are."""
        name = self.data.partition(":")[0]
        return f"top-1 on search images of {name} after {self.epochs} epochs from scratch"

    @property
    def fingerprint(self) -> str:
        """A hash of what decides a training, the images by their specification and number."""
        images = len(self._images().train)
        return sha256_text(
            f"{self.data} {images} at {self.image_size}, {self.epochs} epochs, seed {self.seed}, {self.recipe}"
        )

    @property
    def basis(self) -> Mapping[str, str]:
        """What the scores rest on."""
        images = self._images()
        return {
            "accuracy": f"{self.epochs} epochs of training from scratch, {len(images.train):,} images",
            "images": f"{len(images.search):,} of the search split of {self.data}; no test image was seen",
            "image size": f"{self.image_size} pixels",
        }

    @property
    def recipe(self) -> Any:
        """How each network is trained."""
        from nas.training.recipes import short

        return short(self.epochs)

    @property
    def images(self) -> int:
        """How many images one score takes, trained and searched."""
        data = self._images()
        return self.epochs * (len(data.train) + len(data.search))

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,), of genotypes (n, choices); raises as `nas.training.train` does."""
        return np.array([self.trained(genotype) for genotype in genotypes])

    def trained(self, genotype: Genotypes, observer: Observer | None = None) -> float:
        """Train one network, shape (choices,), and return its top-1 in percent after the last epoch."""
        from nas.training.execution import default_execution
        from nas.training.loop import train
        from searchspace.modules import build_network

        network = build_network(self.runs_as(genotype), seed=self.seed)
        data = self._images().at_size(network.architecture.resolution)
        execution = default_execution(self.torch_device)
        history = train(network, data, self.recipe, seed=self.seed, execution=execution, observer=observer)
        return float(history.final.accuracy.top1)

    def runs_as(self, genotype: Genotypes) -> Any:
        """Return a network as it runs on the images, as it would within a supernet of the space."""
        network = self.space.decode(genotype).with_classes(self.classes)
        return image_form(self.space, network, self.image_size)

    def _images(self) -> Data:
        return loaded_images(self.data, self.image_size, self.seed, self.subset)


def image_form(space: SearchSpace, network: Architecture, image_size: int) -> Architecture:
    """Return a network of a space as it runs on images of that many pixels, as it would within a supernet."""
    largest = max(space.spec.resolutions)
    dropped = strides_to_drop(image_size, space.total_stride) if image_size < largest else 0
    size = max(4, round(image_size * network.resolution / largest))
    return RunForm(size, dropped).of(network)


@lru_cache(maxsize=1)
def loaded_images(spec: str, image_size: int, seed: int, subset: int | None) -> Data:
    """Return the images that a specification names, loaded once in a process."""
    from nas.data import load_data

    return load_data(spec, image_size, seed, subset, quiet=True)


class EpochTold:
    """An observer that calls a function with (epoch, top-1 in percent) after every epoch."""

    def __init__(self, told: Any) -> None:
        self._told = told

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Do nothing."""

    def epoch_done(self, record: EpochRecord) -> None:
        """Tell the epoch."""
        self._told(record.epoch, float(record.accuracy.top1))
