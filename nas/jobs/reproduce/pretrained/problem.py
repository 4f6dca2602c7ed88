"""What every method of the comparison is given: the fine-tuned network, the images, the latency, a number of passes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from latency_lut import LatencyTable
from nas.data import Batch, Data, load_data, sample
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.training.fine_tuning import fine_tune
from nas.weights import open_weights
from netadapt.resources import Latency, Pricer
from searchspace.architecture import Architecture
from searchspace.modules import Network, empty_network
from searchspace.reference import reference
from searchspace.supernet import recalibrate
from searchspace.support.errors import UserError

NETWORK, IMAGE_PX, BATCH, DEVICE = "mobilenet_v2", 96, 32, "pixel"
SHARES = (0.75, 0.5)
RATES = (0.003, 0.001)  # of the last training: two thirds of the steps at the first, the rest at the second
SCRATCH_RATES = (0.05, 0.01)
CALIBRATION_IMAGES = 256  # of the training images, for batch-norm statistics


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is trained: `passes` are images through a network in training, teacher and rejected proposals included.

    `images` are kept of the training images, `judged` of the search split compare candidates, `tested` are classified
    in the end (None: all). NetAdapt asks each step for `reduction` of the seed's latency.
    """

    images: int
    seed_epochs: int
    passes: int
    seeds: int
    judged: int
    tested: int | None
    evaluations: int
    reduction: float


SIZES = {
    Scale.QUICK: Size(
        images=560, seed_epochs=2, passes=1500, seeds=1, judged=48, tested=500, evaluations=40, reduction=0.12
    ),
    Scale.DEFAULT: Size(
        images=3000, seed_epochs=5, passes=20_000, seeds=3, judged=200, tested=None, evaluations=150, reduction=0.05
    ),
    Scale.FULL: Size(
        images=10_000, seed_epochs=5, passes=100_000, seeds=3, judged=1000, tested=None, evaluations=500, reduction=0.02
    ),
}


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

    def tested(self) -> list[Batch]:
        """Images of the test split, the same for every method and seed."""
        split = self.data.test_split()
        images, labels = sample(split, self.size.tested or len(split), 0)
        return [Batch(*pair) for pair in zip(images.split(128), labels.split(128), strict=True)]

    def filled(self, architecture: Architecture, state: dict[str, Tensor]) -> Network:
        """Return a network with these tensors."""
        network = empty_network(architecture)
        network.load_state_dict(state)
        return network

    def train(self, network: Network, passes: int, rates: tuple[float, float] = RATES) -> int:
        """Train a network in place on so many images; return how many they were, whole batches only."""
        steps = max(0, passes) // BATCH
        first = steps * 2 // 3
        for part, (count, rate) in enumerate(zip((first, steps - first), rates, strict=True)):
            if count:
                fine_tune(network, self.data, count, rate, self.seed * 2 + part, batch_size=BATCH)
        self.measured_anew(network)
        return steps * BATCH

    def measured_anew(self, network: Network) -> Network:
        """Give a network batch-norm statistics of its own, in place: after pruning the old ones fit no channel's input.

        Short trainings move running averages too little (a hundredth a step) to forget them.
        """
        recalibrate(network, sample(self.data.train, CALIBRATION_IMAGES, self.seed).images.split(128))
        return network.eval()


def weights_file(settings: ReproduceSettings) -> str:
    """Return the file of MobileNetV2's weights; raises UserError where none was given."""
    if settings.weights is None:
        raise UserError("this experiment starts from MobileNetV2's ImageNet weights: give --weights FILE.tflite")
    return settings.weights


def load_images(settings: ReproduceSettings, size: Size, seed: int) -> Data:
    """Load the images at 96 px, prepared as the weights expect them."""
    info = open_weights(weights_file(settings), reference(NETWORK)).info
    statistics = info.preparation.statistics if info.preparation is not None else None
    return load_data(settings.images, IMAGE_PX, seed, size.images, statistics=statistics)


def seed_file(folder: Path, seed: int) -> Path:
    """Return where the fine-tuned network of a seed is kept."""
    return folder / f"seed{seed}.safetensors"
