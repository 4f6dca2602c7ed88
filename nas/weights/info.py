"""What belongs to weights beside their numbers: how images are prepared, and what the outputs mean."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from searchspace.support.errors import UserError

# The side of the centre crop over that of the scaled image: 224 of 256 pixels.
IMAGENET_CROP = 0.875
PREPARATION_KEY, LABELS_KEY = "preparation", "labels"

Channels = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How an image becomes an input: pixels in [0, 1], minus `mean`, over `std`, a value for each of the channels.

    `image_size` is the side in pixels that the weights were trained at; evaluation cuts a centre square that covers
    `crop` of the scaled image's side. `channel_order` is RGB for every kind of weights that is read.
    """

    mean: Channels
    std: Channels
    image_size: int
    crop: float = IMAGENET_CROP
    channel_order: str = "RGB"

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.crop)
        whole = len(self.mean) == len(self.std) == 3 and all(map(math.isfinite, numbers))
        if not whole or min(self.std) <= 0 or not 0 < self.crop <= 1 or self.image_size < 1:
            raise UserError(f"an input preparation that cannot be: {asdict(self)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the preparation as JSON-ready values."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """Return what `as_dict` described; raises UserError for anything else."""
        try:
            return cls(**{**values, "mean": tuple(map(float, values["mean"])), "std": tuple(map(float, values["std"]))})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not an input preparation: {error}") from None


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Where weights come from, in words, and how they are used; None where the file does not say.

    `labels` names the outputs in order. `folded` says that batch norm is folded into the convolutions and has to be
    restored before training. `notes` are sentences about what was assumed or left out.
    """

    source: str
    preparation: Preparation | None = None
    labels: tuple[str, ...] | None = None
    folded: bool = False
    notes: tuple[str, ...] = ()

    def file_notes(self) -> dict[str, str]:
        """Return what is kept in a safetensors file's metadata, as text by key."""
        notes = {}
        if self.preparation is not None:
            notes[PREPARATION_KEY] = json.dumps(self.preparation.as_dict())
        if self.labels is not None:
            notes[LABELS_KEY] = json.dumps(list(self.labels))
        return notes

    @classmethod
    def from_file_notes(cls, source: str, notes: Mapping[str, str]) -> WeightsInfo:
        """Return what `file_notes` kept; raises UserError naming the source where it is damaged."""
        try:
            preparation = json.loads(notes[PREPARATION_KEY]) if PREPARATION_KEY in notes else None
            labels = json.loads(notes[LABELS_KEY]) if LABELS_KEY in notes else None
            if labels is not None and not (isinstance(labels, list) and all(isinstance(name, str) for name in labels)):
                raise ValueError("labels are not a list of names")
            return cls(
                source=source,
                preparation=Preparation.from_dict(preparation) if preparation is not None else None,
                labels=tuple(labels) if labels is not None else None,
            )
        except (ValueError, RecursionError, UserError) as error:
            raise UserError(f"{source}: what it says of its inputs and labels is damaged: {error}") from None
