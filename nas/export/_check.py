"""Exported files beside torch: outputs, and answers on labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Images = NDArray[np.float32]
Outputs = NDArray[np.float32]
Run = Callable[[Images], Outputs]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A file's outputs against torch's: largest difference over their range, and the share of equal answers in %."""

    error: float
    agreement_pct: float


def compare(network: nn.Module, run: Run, images: Images) -> Comparison:
    """Run `images` (count, 3, height, width) through torch and through `run`, which gives (count, classes)."""
    expected, found = torch_outputs(network, images), run(images)
    return Comparison(largest_error(found, expected), 100 * float(np.mean(found.argmax(1) == expected.argmax(1))))


def largest_error(found: Outputs, expected: Outputs) -> float:
    """Return the largest difference over the range of `expected`; infinite where something is not a number."""
    error = float(np.abs(found - expected).max() / max(float(np.ptp(expected)), np.finfo(np.float32).tiny))
    return error if np.isfinite(error) else float("inf")


def noise(count: int, size: int, seed: int) -> Images:
    """Return `count` images of standard normal noise, (count, 3, size, size)."""
    return np.random.default_rng(seed).standard_normal((count, 3, size, size), np.float32)


def torch_outputs(network: nn.Module, images: Images) -> Outputs:
    """Return the outputs of a module in evaluation mode, (count, classes), computed in batches."""
    import torch

    network.eval()
    with torch.no_grad():
        batches = (torch.from_numpy(images[start : start + 64]) for start in range(0, len(images), 64))
        found: Outputs = torch.cat([network(batch) for batch in batches]).numpy()
    return found


def run_tflite(model: str | Path | bytes) -> Run:
    """Return what runs channel-first images through a TFLite file."""
    from latency_lut.tflite.runtime import run

    return lambda images: run(model, np.moveaxis(images, 1, -1))


@dataclass(frozen=True, slots=True)
class AccuracyCheck:
    """Top-1 in percent of one set of labelled images in torch and in the exported file, and how often they agree."""

    images: int
    torch_top1: float
    tflite_top1: float
    same_answer_pct: float


def check_accuracy(
    network: nn.Module, model: str | Path | bytes, images: Images, labels: NDArray[np.integer[Any]]
) -> AccuracyCheck:
    """Classify `images` (count, 3, height, width), preprocessed, with `network` and its exported file or content."""
    expected = torch_outputs(network, images).argmax(1)
    found = run_tflite(model)(images).argmax(1)
    return AccuracyCheck(
        images=len(images),
        torch_top1=100 * float(np.mean(expected == labels)),
        tflite_top1=100 * float(np.mean(found == labels)),
        same_answer_pct=100 * float(np.mean(found == expected)),
    )
