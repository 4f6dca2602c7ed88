"""The images that set the ranges of an int8 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.export._check import Images

if TYPE_CHECKING:
    from nas.data import Data

CALIBRATION_IMAGES = 128
NO_IMAGES = "noise, for want of images: good for timing; quantise with images before you use its answers"


@dataclass(frozen=True)
class Calibration:
    """Images (count, 3, height, width), preprocessed, that set the ranges of an int8 file, and where they are from."""

    images: Images
    source: str


def calibration_from(data: Data, resolution: int, seed: int) -> Calibration:
    """Return training images of a data set at a resolution in pixels, drawn by `seed`."""
    from nas.data import sample

    images = sample(data.at_size(resolution).train, CALIBRATION_IMAGES, seed).images.cpu().numpy()
    return Calibration(images, f"{len(images)} training images of {data.spec}")
