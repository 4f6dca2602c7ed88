"""Equal short training of several networks, each a `nas train` run in its own folder below the stage's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from nas.jobs.reproduce.mobilenetv3.sizes import size_of
from nas.jobs.reproduce.pipeline import Context
from nas.jobs.reproduce.settings import require_images
from nas.jobs.reproduce.trainings import train_once
from nas.jobs.train.settings import TrainSettings
from searchspace.architecture import Architecture


@dataclass(frozen=True)
class Trained:
    """A network's test top-1 in percent of each seed, after the same training as the others'."""

    top1: tuple[float, ...]
    test_images: int
    train_images: int

    def __str__(self) -> str:
        """Return mean and standard deviation over seeds."""
        spread = f" ± {stdev(self.top1):.1f}" if len(self.top1) > 1 else ""
        return f"{mean(self.top1):.1f}{spread}"

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return mean(self.top1)


def train_all(context: Context, networks: Mapping[str, Architecture]) -> dict[str, Trained]:
    """Train every network with every seed, those already trained excepted; returns accuracies by name."""
    size = size_of(context.settings)
    repeated = context.settings.repeated(size.seeds)
    total, done = len(repeated) * len(networks), 0
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in repeated:
        for name, network in networks.items():
            found.setdefault(name, []).append(_train_one(context, name, network, seed, done, total))
            done += 1
            context.report(done, total)
    return {
        name: Trained(tuple(one["test"]["top1"] for one in runs), runs[0]["test"]["count"], runs[0]["train_images"])
        for name, runs in found.items()
    }


def _train_one(context: Context, name: str, network: Architecture, seed: int, done: int, total: int) -> dict[str, Any]:
    path = context.folder / f"train-{name.replace(' ', '-').replace(',', '')}-seed{seed}"
    data = require_images(context.settings)
    settings = TrainSettings(network=str(network), data=data, seed=seed, **size_of(context.settings).train)
    return train_once(context, path, settings, done=done, total=total)


def training_told(context: Context, trained: Mapping[str, Trained]) -> str:
    """Say how short the training was, and what a test of so many images can tell apart."""
    train = size_of(context.settings).train
    one = next(iter(trained.values()))
    error = 100 * (0.25 / one.test_images) ** 0.5
    size = f" of {train['image_size']} px" if "image_size" in train else ""
    return (
        f"{train['epochs']} epochs on {one.train_images:,} images{size} of {context.settings.images.partition(':')[0]} "
        f"from scratch, {len(one.top1)} seed(s), tested on {one.test_images:,} images (one run's binomial standard "
        f"error: up to {error:.1f} points); the paper trains on ImageNet at 224 px until nothing is gained"
    )
