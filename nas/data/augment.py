"""Training-time augmentation of whole batches with kornia, and the normalisation every network input gets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from searchspace.support.optional import optional_import

# Area of the random crop as a share of the image, Inception preprocessing (Szegedy et al. 2015; facts of
# MobileNetV3 §6.1.1 name the same).
INCEPTION_CROP_AREA = (0.08, 1.0)
# Evaluation cuts the centre out of a larger image: 224 pixels of 256.
CENTRE_CROP = 0.875


def scaled_side(size: int, crop: float) -> int:
    """Return the side of the scaled image of which the centre is cut out: 256 pixels for 224 and a crop of 0.875."""
    return math.ceil(round(size / crop, 6))  # rounded: 96 / (96 / 110) is a little above 110


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to stored uint8 images (n, 3, stored, stored) on their way to (n, 3, image_size,
    image_size).

    With `shift` pixels of padding a random window of the stored size is cut (small images); without, a random
    resized crop as in Inception (large images, stored larger than needed). `flip` mirrors half of the images.
    """

    image_size: int
    stored_size: int
    shift: int
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def crops_to_size(self) -> bool:
        """Whether a crop at a random scale replaces the shifted window."""
        return self.shift == 0

    def train(self, images: Tensor, seed: int) -> Tensor:
        """Augment and normalise a batch; the same seed gives the same result on one device."""
        floats = images.float().div_(255)
        with _seeded(seed):
            for step in self._steps(images.device):
                floats = step(floats)
        return self._normalise(self._resize(floats))

    def finish(self, images: Tensor, seed: int) -> Tensor:
        """Flip and normalise training images (n, 3, image_size, image_size) that were cropped while decoded."""
        floats = images.float().div_(255)
        if self.flip:
            with _seeded(seed):
                floats = self._mirrored()(floats)
        return self._normalise(floats)

    def evaluate(self, images: Tensor) -> Tensor:
        """Resize or centre-crop to the network's side and normalise; nothing random."""
        floats = images.float().div_(255)
        if self.crops_to_size and self.stored_size > self.image_size:
            margin = (self.stored_size - self.image_size) // 2
            window = slice(margin, margin + self.image_size)
            floats = floats[:, :, window, window]
        return self._normalise(self._resize(floats))

    def _steps(self, device: torch.device) -> Iterator[nn.Module]:
        kornia = _kornia()
        # On a CPU slicing image by image costs half of warping the batch; on a GPU the loop would cost more.
        mode = "slice" if device.type == "cpu" else "resample"
        if self.shift:
            side = (self.stored_size, self.stored_size)
            yield kornia.RandomCrop(side, padding=self.shift, cropping_mode=mode)
        else:
            side = (self.image_size, self.image_size)
            yield kornia.RandomResizedCrop(side, scale=INCEPTION_CROP_AREA, cropping_mode=mode)
        if self.flip:
            yield self._mirrored()

    def _mirrored(self) -> nn.Module:
        flip: nn.Module = _kornia().RandomHorizontalFlip(p=0.5)
        return flip

    def _resize(self, images: Tensor) -> Tensor:
        side = (self.image_size, self.image_size)
        if images.shape[-2:] == side:
            return images
        return functional.interpolate(images, size=side, mode="bilinear", antialias=True)

    def _normalise(self, images: Tensor) -> Tensor:
        mean = images.new_tensor(self.mean)[:, None, None]
        std = images.new_tensor(self.std)[:, None, None]
        return (images - mean).div_(std)


def _kornia() -> Any:
    return optional_import("kornia.augmentation", purpose="augmenting images", extra="data")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Give kornia, which draws from torch's global CPU generator, a seed of its own and put the old state
    back."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)
