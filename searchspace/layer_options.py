"""From the chosen values of one layer of a search space to the block they stand for.

What `kernel: 5` or `squeeze: hard` means is known to the block families; the walker in `searchspace.space` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from searchspace.architecture import Block
from searchspace.blocks import Place, Values, block_families
from searchspace.support.errors import UserError

__all__ = ["KINDS", "LayerKind", "Place", "build_layer"]


def _skip(values: Values, place: Place) -> None:
    if not place.keeps_shape:
        raise UserError(
            f"a skipped layer must keep its shape, but the stage goes from {place.in_channels} to "
            f"{place.out_channels} channels with stride {place.stride}"
        )


@dataclass(frozen=True, slots=True)
class LayerKind:
    """One kind of layer a space file can name: its fields with defaults (None: must be given) and its maker."""

    fields: Mapping[str, Any]
    make: Callable[[Values, Place], Block | None]


KINDS: dict[str, LayerKind] = {
    **{block.family.kind: LayerKind(block.family.options, block.from_options) for block in block_families()},
    "skip": LayerKind({}, _skip),
}


def build_layer(kind: str, values: Values, place: Place) -> Block | None:
    """Return the block that `kind` and its chosen values stand for at `place`; None for a skipped layer."""
    return KINDS[kind].make(values, place)
