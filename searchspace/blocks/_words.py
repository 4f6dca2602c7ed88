"""The words of a token in the compact text: how one field of a block, a stem or a head is spelled and read.

A token is a prefix and its words joined by underscores, in the order in which the family lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from searchspace.blocks._values import Activation, Gate
from searchspace.support.errors import UserError

NUMBER = "0|[1-9][0-9]{0,8}"
_POSITIVE = "[1-9][0-9]{0,8}"


class Word(Protocol):
    """One word: `pattern` with named groups, the constructor arguments that these stand for, and the way back."""

    @property
    def pattern(self) -> str:
        """Regular expression, leading underscore included."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the word spells."""

    def read(self, groups: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the fields that were written."""

    def write(self, part: Any) -> str:
        """Return the word for `part`, empty where it is left out."""


@dataclass(frozen=True, slots=True)
class Number:
    """A letter and a whole number; one that may be left out stands for 0."""

    letter: str
    field: str
    optional: bool = False
    kernel: bool = False  # the width of a convolution's kernel, 0 where there is none

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that the word spells."""
        return (self.field,)

    @property
    def pattern(self) -> str:
        """Regular expression, leading underscore included."""
        if self.optional:
            return rf"(?:_{self.letter}(?P<{self.field}>{_POSITIVE}))?"
        return rf"_{self.letter}(?P<{self.field}>{NUMBER})"

    def read(self, groups: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the field if it was written."""
        written = groups[self.field]
        return {} if written is None else {self.field: int(written)}

    def write(self, part: Any) -> str:
        """Return the word, empty for an optional 0."""
        value = getattr(part, self.field)
        return "" if self.optional and not value else f"{self.letter}{value}"


@dataclass(frozen=True, slots=True)
class Named:
    """A field whose values have names; `default` is the value that is not written."""

    field: str
    names: Mapping[str, Any]
    default: Any = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The field that the word spells."""
        return (self.field,)

    @property
    def pattern(self) -> str:
        """Regular expression, leading underscore included."""
        pattern = rf"_(?P<{self.field}>{'|'.join(self.names)})"
        return pattern if self.default is None else f"(?:{pattern})?"

    def read(self, groups: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the field if it was written."""
        written = groups[self.field]
        return {} if written is None else {self.field: self.names[written]}

    def write(self, part: Any) -> str:
        """Return the name of the value, empty for the default."""
        value = getattr(part, self.field)
        return next((name for name, meant in self.names.items() if meant == value), "")


@dataclass(frozen=True, slots=True)
class _Squeeze:
    fields: tuple[str, ...] = ("squeeze", "gate")
    pattern: str = rf"(?:_(?P<gate>se|sl)(?P<squeeze>{_POSITIVE}))?"

    def read(self, groups: Mapping[str, str | None]) -> dict[str, Any]:
        squeeze, gate = groups["squeeze"], groups["gate"]
        return {} if squeeze is None or gate is None else {"squeeze": int(squeeze), "gate": _GATES[gate]}

    def write(self, part: Any) -> str:
        if not part.squeeze:
            return ""
        return next(word for word, gate in _GATES.items() if gate is part.gate) + str(part.squeeze)


@dataclass(frozen=True, slots=True)
class _Identity:
    fields: tuple[str, ...] = ("identity",)
    pattern: str = rf"(?:_id(?P<identity>(?:{NUMBER})(?:/{_POSITIVE})?))?"

    def read(self, groups: Mapping[str, str | None]) -> dict[str, Any]:
        written = groups["identity"]
        return {} if written is None else {"identity": Fraction(written)}

    def write(self, part: Any) -> str:
        return "" if part.identity == 1 else f"id{part.identity}"


_GATES = {"se": Gate.HARD, "sl": Gate.LOGISTIC}

KERNEL = Number("k", "kernel", kernel=True)
STRIDE = Number("s", "stride")
HIDDEN = Number("h", "hidden")
OUT = Number("c", "out")
ACTIVATION = Named("activation", {activation.value: activation for activation in Activation})
SQUEEZE = _Squeeze()
IDENTITY = _Identity()


def write_token(prefix: str, words: tuple[Word, ...], part: Any) -> str:
    """Return the token of a part: the prefix and the words that are not left out."""
    return "_".join((prefix, *filter(None, (word.write(part) for word in words))))


@dataclass(frozen=True)
class Form:
    """How one kind of token is spelled: its prefix, what it makes, its words and an example for error messages."""

    prefix: str
    make: Callable[..., Any]
    words: tuple[Word, ...]
    example: str

    def __post_init__(self) -> None:
        pattern = re.compile(self.prefix + "".join(word.pattern for word in self.words))
        object.__setattr__(self, "_pattern", pattern)

    def read(self, token: str, place: str) -> Any:
        """Return the part that a token spells; raises UserError naming `place` and what is wrong."""
        match: re.Match[str] | None = getattr(self, "_pattern").fullmatch(token)  # noqa: B009
        if match is None:
            raise UserError(f"{place}: cannot read {token[:80]!r}, expected the form of {self.example!r}")
        try:
            fields: dict[str, Any] = {}
            for word in self.words:
                fields |= word.read(match.groupdict())
            value = self.make(**fields)
        except UserError as error:
            raise UserError(f"{place} ({token}): {error}") from None
        written = self.write(value)
        if written != token:
            raise UserError(f"{place}: {token!r} is not the canonical spelling, write {written!r}")
        return value

    def write(self, part: Any) -> str:
        """Return the token of a part; optional fields are left out where they have their default."""
        return write_token(self.prefix, self.words, part)
