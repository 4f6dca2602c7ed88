"""Scores from a trained supernet: accuracy on the search split with shared weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nas.objectives import Values
from searchspace.choices import Genotypes

if TYPE_CHECKING:
    from nas.data import Batch, Data
    from nas.training.evaluation import Accuracy
    from searchspace.supernet import Supernet


class SupernetEvaluator:
    """Scores the networks of a supernet's space on images of the search split, never on test images.

    Each network is extracted, gets batch-norm statistics of its own from training images, and classifies
    `search_images` images drawn once by `seed`; the statistics are measured on `calibration_images`. `facts` tells how
    the supernet was trained.
    """

    def __init__(
        self,
        supernet: Supernet,
        data: Data,
        *,
        seed: int = 0,
        search_images: int = 1000,
        calibration_images: int | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        from nas.supernets.training import CALIBRATION_IMAGES, calibration_batches

        self.supernet = supernet
        self.spec = data.spec
        self._calibration = calibration_batches(data, seed, calibration_images or CALIBRATION_IMAGES)
        self._batches = _drawn(data, search_images, seed)
        self._facts = dict(facts or {})

    @property
    def images(self) -> int:
        """How many images one score takes."""
        return sum(len(batch.labels) for batch in self._batches)

    @property
    def label(self) -> str:
        """What the scores are."""
        return f"top-1 on search images of {self.spec.partition(':')[0]} with the supernet's weights"

    @property
    def fingerprint(self) -> str:
        """A hash of the shared weights and of the images."""
        digest = hashlib.sha256(self.spec.encode())
        for name, tensor in sorted(self.supernet.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
        for batch in self._batches:
            digest.update(batch.labels.numpy().tobytes())
        return digest.hexdigest()

    @property
    def basis(self) -> Mapping[str, str]:
        """What the scores rest on."""
        return {
            "accuracy": "shared weights of a supernet, batch-norm statistics measured for each network",
            "images": f"{self.images:,} of the search split of {self.spec}; no test image was seen",
            "image size": f"{self.supernet.image_size} pixels",
            **self._facts,
        }

    def top1(self, genotypes: Genotypes) -> Values:
        """Return top-1 in percent, shape (n,), for genotypes of shape (n, choices)."""
        return np.array([self.accuracy(genotype).top1 for genotype in genotypes])

    def accuracy(self, genotype: Genotypes) -> Accuracy:
        """Return the accuracy and loss of one network, shape (choices,)."""
        from nas.supernets.training import shared_accuracy

        return shared_accuracy(self.supernet, genotype, self._calibration, self._batches)


def _drawn(data: Data, count: int, seed: int) -> list[Batch]:
    """`count` images of the search split, the same for every network of a search, as batches of 256."""
    import torch

    from nas.data import Batch

    chosen = np.random.default_rng([seed, 0x5EA]).permutation(len(data.search))[:count]
    indices = torch.from_numpy(np.sort(chosen))
    labels = data.search.batches(1).labels[indices]
    images = data.search.images_at(indices)
    return [Batch(*pair) for pair in zip(images.split(256), labels.split(256), strict=True)]
