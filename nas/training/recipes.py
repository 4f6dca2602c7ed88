"""Training recipes: how to train, as named functions that return one frozen `Recipe`, each with its source.

Learning rates are stated for the batch size they were published with; `Recipe.with_batch_size` scales them in
proportion. This module imports no torch, so that the command line can list recipes at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from searchspace.support.errors import UserError


class OptimizerKind(StrEnum):
    """Which update rule: stochastic gradient descent with momentum, RMSProp as TensorFlow defines it, or AdamW."""

    SGD = "sgd"
    RMSPROP = "rmsprop"
    ADAMW = "adamw"


class ScheduleKind(StrEnum):
    """How the learning rate falls after warm-up: along a cosine, or by a factor every few epochs."""

    COSINE = "cosine"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training run learns, and nothing about the machine it runs on.

    `learning_rate` is the peak, for `batch_size` images per step over all processes. `decay_factor` and
    `decay_epochs` belong to the exponential schedule, `final_learning_rate` to the cosine one.
    `rmsprop_decay` and `rmsprop_epsilon` belong to RMSProp; AdamW takes `momentum` and `adam_decay` as its betas,
    and multiplies `weight_decay` by the learning rate. `batch_norm_momentum` is torch's: the new batch's
    share. Batch-norm parameters and biases are not decayed unless `decay_all_parameters`. `ema_decay` and
    `clip_norm` None switch averaging and clipping off.
    """

    name: str
    source: str
    epochs: int
    batch_size: int
    optimizer: OptimizerKind
    learning_rate: float
    momentum: float = 0.9
    nesterov: bool = False
    rmsprop_decay: float = 0.9
    rmsprop_epsilon: float = 1e-3
    adam_decay: float = 0.99
    weight_decay: float = 1e-5
    decay_all_parameters: bool = False
    schedule: ScheduleKind = ScheduleKind.COSINE
    warmup_epochs: float = 0.0
    decay_factor: float = 0.99
    decay_epochs: float = 3.0
    final_learning_rate: float = 0.0
    label_smoothing: float = 0.0
    dropout: float = 0.0
    batch_norm_momentum: float = 0.1
    ema_decay: float | None = None
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for field in ("epochs", "batch_size", "learning_rate", "decay_epochs"):
            value = getattr(self, field)
            if not (value > 0 and math.isfinite(value)):
                raise UserError(f"recipe {self.name}: {field} is {value}, it must be above 0")
        for field in ("label_smoothing", "dropout", "momentum", "adam_decay", "ema_decay"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"recipe {self.name}: {field} is {value}, it must lie in [0, 1)")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UserError(f"recipe {self.name}: clip_norm is {self.clip_norm}, it must be above 0")

    def with_batch_size(self, batch_size: int) -> Recipe:
        """Return the recipe for another batch size, its learning rates scaled in proportion (Goyal et al.
        2017)."""
        scale = batch_size / self.batch_size
        return replace(
            self,
            batch_size=batch_size,
            learning_rate=self.learning_rate * scale,
            final_learning_rate=self.final_learning_rate * scale,
        )

    def learning_rate_at(self, epoch: float) -> float:
        """Return the learning rate after `epoch` epochs, which may be fractional: linear warm-up, then
        decay."""
        if epoch < self.warmup_epochs:
            return self.learning_rate * epoch / self.warmup_epochs
        if self.schedule is ScheduleKind.EXPONENTIAL:
            return self.learning_rate * self.decay_factor ** math.floor(epoch / self.decay_epochs)
        progress = (epoch - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        fall = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + fall * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def mobilenetv3(epochs: int = 600) -> Recipe:
    """MobileNetV3's RMSProp recipe as its authors run it on 8 GPUs.

    Source: the README of TF-slim's MobileNet folder (lr 0.16 for 8 x 192 images, x0.99 every 3 epochs, 5
    warm-up epochs, decay 0.9, epsilon 0.002, EMA 0.9999, weight decay 1e-5, smoothing 0.1, dropout 0.2,
    batch-norm decay 0.997), reported 74.6 % top-1 for V3-Large. The number of epochs is not published; 600 is
    that of timm's and torchvision's runs.
    """
    return Recipe(
        name="mobilenetv3",
        source="TF-slim MobileNet README; Howard et al. 2019, section 6.1.1",
        epochs=epochs,
        batch_size=1536,
        optimizer=OptimizerKind.RMSPROP,
        learning_rate=0.16,
        rmsprop_epsilon=0.002,
        weight_decay=1e-5,
        schedule=ScheduleKind.EXPONENTIAL,
        warmup_epochs=min(5.0, epochs / 10),
        decay_factor=0.99,
        decay_epochs=3.0,
        label_smoothing=0.1,
        dropout=0.2,
        batch_norm_momentum=0.003,
        ema_decay=0.9999,
    )


def mobilenetv2(epochs: int = 300) -> Recipe:
    """MobileNetV2's RMSProp recipe (Sandler et al., CVPR 2018, section 6.1).

    Source: the paper (decay and momentum 0.9, learning rate 0.045 for 96 images a step, x0.98 every epoch, weight decay
    4e-5) and the README of TF-slim's MobileNet folder (label smoothing 0.1, dropout 0.2). The number of epochs is not
    published.
    """
    return Recipe(
        name="mobilenetv2",
        source="Sandler et al. 2018, section 6.1; TF-slim MobileNet README",
        epochs=epochs,
        batch_size=96,
        optimizer=OptimizerKind.RMSPROP,
        learning_rate=0.045,
        weight_decay=4e-5,
        schedule=ScheduleKind.EXPONENTIAL,
        warmup_epochs=min(1.0, epochs / 10),
        decay_factor=0.98,
        decay_epochs=1.0,
        label_smoothing=0.1,
        dropout=0.2,
        batch_norm_momentum=0.003,
        ema_decay=0.9999,
    )


def mobilenext(epochs: int = 200) -> Recipe:
    """MobileNeXt's SGD recipe with a cosine schedule.

    Source: the published log of the 74.02 % model (SGD momentum 0.9, lr 0.1 to 1e-5, 200 epochs, 3 warm-up
    epochs, weight decay 1e-4, smoothing 0.1, dropout 0.2, no EMA) with the batch of 512 of the authors'
    script for four GPUs; the log itself names 64 images per process and not the number of processes.
    """
    return Recipe(
        name="mobilenext",
        source="output/*/args.yaml of the MobileNeXt repository; Zhou et al. 2020",
        epochs=epochs,
        batch_size=512,
        optimizer=OptimizerKind.SGD,
        learning_rate=0.1,
        weight_decay=1e-4,
        schedule=ScheduleKind.COSINE,
        warmup_epochs=min(3.0, epochs / 10),
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        dropout=0.2,
    )


def short(epochs: int = 30) -> Recipe:
    """A quick recipe of our own for small data sets: Nesterov SGD, cosine, warm-up, light averaging,
    clipping."""
    return Recipe(
        name="short",
        source="this project, tuned on CIFAR-10 and the digits",
        epochs=epochs,
        batch_size=128,
        optimizer=OptimizerKind.SGD,
        learning_rate=0.1,
        nesterov=True,
        weight_decay=4e-5,
        schedule=ScheduleKind.COSINE,
        warmup_epochs=min(1.0, epochs / 5),
        label_smoothing=0.1,
        ema_decay=0.998,
        clip_norm=5.0,
    )


def fine_tune(epochs: int = 12) -> Recipe:
    """Return a recipe of our own that starts from pretrained weights on a few thousand images.

    MobileNetV2 from folded weights, 2,700 CIFAR-10 images at 96 px, two epochs, on 1,000 other training images (one
    seed each): 76.2 % with AdamW at 0.0003, 74.9 % with Nesterov SGD at 0.002 and a third of that for the classifier,
    both with filters brought to a norm of 1 (`nas.weights.fit`); 72.3 % with SGD at 0.001 and the filters as folded,
    54 % at 0.01. Small batches make enough steps of few images. On 3,000 test images 8 epochs reach 79.7 and 12 epochs
    80.1 % (docs/training.md).
    """
    return Recipe(
        name="fine-tune",
        source="this project, tuned on CIFAR-10 at 96 px; the classifier is fitted first as in Kumar et al. 2022",
        epochs=epochs,
        batch_size=32,
        optimizer=OptimizerKind.ADAMW,
        learning_rate=0.0003,
        weight_decay=4e-5,
        schedule=ScheduleKind.COSINE,
        batch_norm_momentum=0.1,
    )


def supernet(epochs: int = 15) -> Recipe:
    """Return our own recipe for shared weights: AdamW, cosine, warm-up, clipping, no averaged weights.

    A weight of a supernet learns in few of the steps, and how many differs from weight to weight; steps that do not
    depend on the gradient's size bring the networks of a space further in the same time. Averages of shared weights
    come with statistics that fit no network.
    """
    return Recipe(
        name="supernet",
        source="this project, tuned on CIFAR-10 (docs/supernet.md)",
        epochs=epochs,
        batch_size=64,
        optimizer=OptimizerKind.ADAMW,
        learning_rate=0.003,
        weight_decay=0.02,
        schedule=ScheduleKind.COSINE,
        warmup_epochs=min(1.0, epochs / 5),
        label_smoothing=0.1,
        clip_norm=5.0,
    )


def pretrained_supernet(epochs: int = 10) -> Recipe:
    """Return our own recipe for shared weights that start as a pretrained network.

    Hardly tuned: 20 steps from MobileNetV2 fine-tuned on CIFAR-10 at 96 px brought the mean loss of 8 networks at half
    of its latency from 3.68 to 3.05, with AdamW at 0.0003 to 3.25, with Nesterov SGD at 0.005 to 3.30; the network
    itself then got 69, 76 and 72 % of 128 images (one seed).
    """
    return Recipe(
        name="pretrained-supernet",
        source="this project, one short comparison on CIFAR-10 at 96 px",
        epochs=epochs,
        batch_size=32,
        optimizer=OptimizerKind.ADAMW,
        learning_rate=0.001,
        weight_decay=4e-5,
        schedule=ScheduleKind.COSINE,
        warmup_epochs=min(1.0, epochs / 5),
        batch_norm_momentum=0.1,
        clip_norm=5.0,
    )


def dense(epochs: int = 40) -> Recipe:
    """Return a recipe of our own for detection and segmentation on small data sets, tuned on generated scenes."""
    return Recipe(
        name="dense",
        source="this project, tuned on generated scenes",
        epochs=epochs,
        batch_size=16,
        optimizer=OptimizerKind.ADAMW,
        learning_rate=0.002,
        weight_decay=0.01,
        schedule=ScheduleKind.COSINE,
        warmup_epochs=min(1.0, epochs / 5),
        ema_decay=0.99,
        clip_norm=5.0,
    )


RECIPES: dict[str, Callable[..., Recipe]] = {
    "mobilenetv2": mobilenetv2,
    "mobilenetv3": mobilenetv3,
    "mobilenext": mobilenext,
    "short": short,
    "fine-tune": fine_tune,
    "dense": dense,
}


def recipe(name: str, epochs: int | None = None) -> Recipe:
    """Return a recipe by name, over its own number of epochs or the one given; raises UserError."""
    if name not in RECIPES:
        raise UserError(f"unknown recipe '{name}'; expected one of: {', '.join(RECIPES)}")
    if epochs is not None and epochs < 1:
        raise UserError(f"{epochs} epochs: a training run needs at least 1")
    return RECIPES[name]() if epochs is None else RECIPES[name](epochs)
