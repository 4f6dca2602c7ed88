"""What every method of the comparison is given: the fine-tuned network, the images, the latency, a number of passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from latency_lut import LatencyTable
from nas.data import Batch, Data, load_data, sample
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.training.fine_tuning import train_steps
from nas.training.recipes import fine_tune
from nas.weights import open_weights
from netadapt.resources import Latency, Pricer
from searchspace.architecture import Architecture
from searchspace.modules import Network, empty_network
from searchspace.reference import reference
from searchspace.supernet import recalibrate
from searchspace.support.errors import UserError

NETWORK, IMAGE_PX, BATCH, DEVICE = "mobilenet_v2", 96, 32, "pixel"
SHARES = (0.5, 0.75)
RATE = fine_tune().learning_rate  # of the last training, by the recipe fine-tune
SCRATCH_RATE = 10 * RATE
CALIBRATION_IMAGES = 256  # of the training images, for batch-norm statistics


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained: `passes` are images through a network in training, teacher and rejected proposals included.

    `images` are kept of the training images and at most as many of the test images; candidates get their batch-norm
    statistics from `calibrated` images and are compared on `judged` of the search split. `seeds` are runs at each share
    of the latency. NetAdapt asks each step for `reduction` of the seed's latency.
    """

    images: int
    seed_epochs: int
    passes: int
    seeds: Mapping[float, int]
    calibrated: int
    judged: int
    evaluations: int
    reduction: float


SIZES = {
    Scale.QUICK: Size(
        images=560, seed_epochs=1, passes=320, seeds={0.5: 1, 0.75: 1}, calibrated=32, judged=32, evaluations=8,
        reduction=0.25,
    ),
    Scale.DEFAULT: Size(
        images=3000, seed_epochs=8, passes=8192, seeds={0.5: 3, 0.75: 2}, calibrated=32, judged=96, evaluations=50,
        reduction=0.125,
    ),
    Scale.FULL: Size(
        images=10_000, seed_epochs=8, passes=100_000, seeds={0.5: 3, 0.75: 3}, calibrated=128, judged=1000,
        evaluations=500, reduction=0.02,
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One seed of the comparison; `network` is fine-tuned, its strongest channels first."""

    size: Size
    data: Data
    network: Network
    table: LatencyTable
    seed: int

    @property
    def architecture(self) -> Architecture:
        """The network that is made faster."""
        return self.network.architecture

    def pricer(self) -> Pricer:
        """What prices smaller forms of the network."""
        return Pricer(Latency(self.table), self.architecture)

    def limit_ms(self, share: float) -> float:
        """The upper end of the latency's interval that a method must keep."""
        return share * self.pricer().price(self.architecture).upper

    def judged(self) -> list[Batch]:
        """Images of the search split that candidates are compared on."""
        return [sample(self.data.search, self.size.judged, self.seed)]

    def tested(self) -> Iterable[Batch]:
        """All images of the test split."""
        return self.data.test_split().batches(128)

    def filled(self, architecture: Architecture, state: dict[str, Tensor]) -> Network:
        """Return a network with these tensors."""
        network = empty_network(architecture)
        network.load_state_dict(state)
        return network

    def train(self, network: Network, passes: int, rate: float = RATE) -> int:
        """Train a network in place on so many images by the recipe fine-tune; return how many, whole batches only."""
        steps = max(0, passes) // BATCH
        recipe = replace(fine_tune(epochs=1), learning_rate=rate)
        train_steps(network, self.data, recipe, steps, self.seed)
        self.measured_anew(network, CALIBRATION_IMAGES)
        return steps * BATCH

    def measured_anew(self, network: Network, images: int | None = None) -> Network:
        """Give a network batch-norm statistics of its own, in place: after pruning the old ones fit no channel's input.

        Short trainings move running averages too little to forget them. Measured on `images`, by default as many as a
        candidate is given.
        """
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        count = self.size.calibrated if images is None else images
        recalibrate(network, sample(self.data.train, count, self.seed).images.split(128))
        return network.eval()


def weights_file(settings: ReproduceSettings) -> str:
    """Return the file of MobileNetV2's weights; raises UserError where none was given."""
    if settings.weights is None:
        raise UserError("this experiment starts from MobileNetV2's ImageNet weights: give --weights FILE.tflite")
    return settings.weights


def load_images(settings: ReproduceSettings, size: Size, seed: int) -> Data:
    """Load the images at 96 px, prepared as the weights expect them."""
    info = open_weights(weights_file(settings), reference(NETWORK)).info
    return load_data(settings.images, IMAGE_PX, seed, size.images, preparation=info.preparation)


def seed_file(folder: Path) -> Path:
    """Return where the fine-tuned network is kept, which all methods and seeds start from."""
    return folder / "seed.safetensors"
