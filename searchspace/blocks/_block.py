"""What every block family has: its declaration, and a block with the shape it receives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple, Self

from searchspace.blocks._options import Place, Values
from searchspace.blocks._rounding import make_divisible
from searchspace.blocks._values import Activation, Padding
from searchspace.blocks._wiring import Width, Wiring
from searchspace.blocks._words import Number, Word, write_token


@dataclass(frozen=True, kw_only=True)
class Family:
    """What a family is called and how it is written, beside the fields and the wiring of its class."""

    kind: str  # in space files
    name: str  # for people
    colour: str  # in diagrams, as CSS
    prefix: str  # of the compact text's token
    words: tuple[Word, ...]  # of the token, in order
    example: str  # a token
    options: Mapping[str, Any] = field(default_factory=dict)  # in space files, with defaults; None must be given
    hidden_name: str = "expansion"  # the group of its hidden width
    out_name: str = "bottleneck"  # the group of its output, where shortcuts share it

    @property
    def kernels(self) -> tuple[str, ...]:
        """The fields that hold kernel sizes."""
        return tuple(word.field for word in self.words if isinstance(word, Number) and word.kernel)

    @cached_property
    def fields(self) -> frozenset[str]:
        """All fields."""
        return frozenset(name for word in self.words for name in word.fields)


class Block(ABC):
    """A block, hashable and frozen: `stride`, `out` and `activation`, and the fields of its family.

    A family whose blocks can have a shortcut has a field `identity`, the share of channels it adds to.
    """

    __slots__ = ()

    family: ClassVar[Family]
    # Two widths whose equality means that a layer is left out, where there are such.
    merging_widths: ClassVar[tuple[Width, Width] | None] = None

    stride: int
    out: int
    activation: Activation

    @abstractmethod
    def wiring(self, in_channels: int) -> Wiring:
        """Return the layers of the block, in running order, where it receives `in_channels` channels."""

    @classmethod
    @abstractmethod
    def from_options(cls, values: Values, place: Place) -> Self:
        """Return the block that the chosen options of a search space stand for at `place`."""

    def with_fields(self, **fields: Any) -> Self:
        """Return the block with some of its fields changed."""
        changed: Self = replace(self, **fields)  # type: ignore[type-var]
        return changed

    def __str__(self) -> str:
        """Return the block's token of the compact text."""
        return write_token(self.family.prefix, self.family.words, self)

    def settled(self, in_channels: int) -> Self:
        """Return the one spelling of this block where it receives `in_channels` channels."""
        return self

    def scaled_hidden(self, before: int, now: int, out: int, reduction: int | None) -> int:
        """Return the hidden channels when the input is scaled from `before` to `now` channels, the output to `out`."""
        return make_divisible(Fraction(getattr(self, "hidden"), before) * now)  # noqa: B009

    @property
    def shortcut_share(self) -> Fraction:
        """The share of channels that a shortcut adds to, where shapes allow one."""
        return getattr(self, "identity", Fraction(0))

    def width(self, width: Width, in_channels: int) -> int:
        """Return one of the block's widths in channels."""
        return in_channels if width is Width.IN else int(getattr(self, width.value))


@lru_cache(maxsize=1 << 14)
def _wiring(block: Block, in_channels: int) -> Wiring:
    """`Block.wiring`, remembered: slimming asks for the same few a hundred thousand times."""
    return block.wiring(in_channels)


class PlacedBlock(NamedTuple):
    """A block with the shape it receives: `in_size` pixels square, `in_channels` channels; padded as its network is."""

    block: Block
    in_size: int
    in_channels: int
    padding: Padding = Padding.SAME

    @property
    def out_size(self) -> int:
        """Height and width of the block's output in pixels."""
        return -(-self.in_size // self.block.stride)

    @property
    def shortcut_channels(self) -> int:
        """How many leading channels the identity is added to; 0 where shapes or the block forbid a shortcut."""
        block = self.block
        if block.stride != 1 or block.out != self.in_channels:
            return 0
        share = block.shortcut_share
        return block.out if share == 1 else int(block.out * share)

    @property
    def wiring(self) -> Wiring:
        """The layers of the block, in running order."""
        return _wiring(self.block, self.in_channels)

    def width(self, width: Width) -> int:
        """Return one of the block's widths in channels."""
        return self.block.width(width, self.in_channels)
