"""How large each stage is at each scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.jobs.reproduce.settings import ReproduceSettings, Scale


@dataclass(frozen=True, kw_only=True)
class Size:
    """Evaluations of the controller and of the front's search; settings of `nas netadapt` and `nas train`; seeds.

    `ceiling` is how many times the target a network's latency may be for its accuracy to be looked up; None: any.
    """

    controller: int
    ceiling: float | None
    front: int
    slim: Mapping[str, Any]
    train: Mapping[str, Any]
    seeds: int


SIZES = {
    Scale.QUICK: Size(
        controller=600,
        ceiling=1.5,
        front=2000,
        slim={"reduction": 0.08, "tune_steps": 1, "batch_size": 32, "seed_epochs": 1, "scratch_epochs": 1,
              "fine_tune_epochs": 0, "subset": 200, "baselines": False},
        train={"epochs": 1, "batch_size": 32, "subset": 200},
        seeds=1,
    ),
    Scale.DEFAULT: Size(
        controller=8000,
        ceiling=None,
        front=10_000,
        slim={"reduction": 0.03, "tune_steps": 2, "batch_size": 32, "seed_epochs": 6, "scratch_epochs": 6,
              "fine_tune_epochs": 0, "subset": 1000, "image_size": 16, "baselines": False},
        train={"epochs": 6, "batch_size": 32, "subset": 1000, "image_size": 16},
        seeds=1,
    ),
    # The paper's: about 8,000 networks for the controller (MnasNet, section 5), 10,000 steps for each proposal and 1 %
    # of the seed's latency a step (section 4.2), training as TF-slim's README has it. Neither paper gives the batch
    # and rate of the short fine-tuning nor the epochs of the training; 128 images, 0.01 and 600 are ours.
    Scale.FULL: Size(
        controller=8000,
        ceiling=None,
        front=50_000,
        slim={"tune_steps": 10_000, "batch_size": 128, "seed_epochs": 600, "scratch_epochs": 600,
              "fine_tune_epochs": 0, "recipe": "mobilenetv3", "baselines": True},
        train={"recipe": "mobilenetv3", "epochs": 600},
        seeds=1,
    ),
}  # fmt: skip


def size_of(settings: ReproduceSettings) -> Size:
    """Return the sizes of a run's scale."""
    return SIZES[settings.scale]
