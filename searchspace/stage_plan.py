"""A stage of a search space with the indices of its choices: from a genotype to depth, width and layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from searchspace.architecture import Block
from searchspace.layer_options import Place, build_layer
from searchspace.space_file import WIDTH_FIELDS, Stage
from searchspace.widths import make_divisible

Reader = Callable[[int], int]  # choice index -> value index


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a layer's field gets its value: from a choice, or (None) the only one there is."""

    field: str
    values: tuple[Any, ...]
    choice: int | None

    def read(self, genotype: Reader) -> Any:
        """The value that a genotype gives the field."""
        return self.values[0 if self.choice is None else genotype(self.choice)]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage with the indices of its choices, None where the file leaves none."""

    stage: Stage
    block_at: int | None
    depth_at: int | None
    layers: tuple[tuple[tuple[Binding, ...], ...], ...]  # [layer][option]
    widths: tuple[tuple[Binding, ...], ...]  # one entry where all options agree on the width, else [option]

    def option(self, genotype: Reader) -> int:
        """Index of the option chosen."""
        return 0 if self.block_at is None else genotype(self.block_at)

    def depth(self, genotype: Reader) -> int:
        """Number of layers chosen."""
        return self.stage.depths[0 if self.depth_at is None else genotype(self.depth_at)]

    def out_channels(self, genotype: Reader) -> int:
        """Channels that leave the stage."""
        if self.stage.fixed:
            return self.stage.fixed[-1].out
        bindings = self.widths[self.option(genotype) if len(self.widths) > 1 else 0]
        return width_of({binding.field: binding.read(genotype) for binding in bindings})


def width_bindings(options: tuple[tuple[Binding, ...], ...]) -> tuple[tuple[Binding, ...], ...]:
    """What decides a stage's width: one entry where all options agree, else one for each option."""
    each = tuple(tuple(b for b in option if b.field in WIDTH_FIELDS) for option in options)
    return each[:1] if len(set(each)) == 1 else each


def width_of(values: Mapping[str, Any]) -> int:
    """Channels that a stage's `width` and `multiplier` stand for."""
    width: int = values["width"]
    return width if values["multiplier"] == 1 else make_divisible(width * values["multiplier"])


@lru_cache(maxsize=1 << 16)
def make_layer(kind: str, fields: tuple[tuple[str, Any], ...], place: Place) -> Block | None:
    """`build_layer`, remembered: a space has few distinct blocks and is walked millions of times."""
    return build_layer(kind, dict(fields), place)
