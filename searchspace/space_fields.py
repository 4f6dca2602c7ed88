"""What each field of a layer in a space file may hold, with the words that an error message says it in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from searchspace.architecture import MAX_CHANNELS, MAX_KERNEL, Activation, Depthwise, Gate
from searchspace.support.errors import UserError

MAX_RATIO = 64
MAX_MULTIPLIER = 16


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The values that a field takes: `expected` completes the sentence "expected ..."."""

    expected: str
    accepts: Callable[[Any], bool]


def check_field(kind: str, name: str, value: Any, place: str) -> None:
    """Raise UserError naming the place, the field and what it may be, unless `value` is possible for a block `kind`."""
    rule = field_rule(kind, name)
    if not rule.accepts(value):
        raise UserError(f"{place}: {name} is {_quoted(value)}, expected {rule.expected}")


def field_rule(kind: str, name: str) -> FieldRule:
    """Return what a field of a block kind may hold; a kernel field that is not the main one may be 0, for none."""
    if name == "ratio" and kind == "sandglass":
        return _whole(1, MAX_RATIO)
    if name in _RULES:
        return _RULES[name]
    return _OPTIONAL_KERNEL if name.endswith("kernel") else _PLAIN


def as_number(value: Any) -> Fraction | None:
    """Return a number or a text such as `1/2` as a fraction, None for anything else."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | str)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        return None
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whole(lowest: int, highest: int) -> FieldRule:
    return FieldRule(
        f"a whole number from {lowest} to {highest}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest,
    )


def _number_up_to(highest: int) -> FieldRule:
    def accepts(value: Any) -> bool:
        number = None if isinstance(value, str) else as_number(value)
        return number is not None and 0 < number <= highest

    return FieldRule(f"a number above 0, at most {highest}", accepts)


def _one_of(*names: str) -> FieldRule:
    return FieldRule(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def _is_odd(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value % 2 == 1 and 1 <= value <= MAX_KERNEL


def _is_share(value: Any) -> bool:
    number = as_number(value)
    return number is not None and 0 <= number <= 1


_ODD = f"an odd number from 1 to {MAX_KERNEL}"
_OPTIONAL_KERNEL = FieldRule(
    f"{_ODD}, or 0 for none", lambda value: value is not False and (value == 0 or _is_odd(value))
)
_PLAIN = FieldRule("a number or a name", lambda value: isinstance(value, str) or as_number(value) is not None)
_RULES = {
    "kernel": FieldRule(_ODD, _is_odd),
    "ratio": _number_up_to(MAX_RATIO),
    "activation": _one_of(*(activation.value for activation in Activation)),
    "squeeze": _one_of("none", *(gate.value for gate in Gate)),
    "identity": FieldRule("a share from 0 to 1, such as 1 or 1/2", _is_share),
    "basis": _one_of("input", "ends"),
    "depthwise": _one_of("auto", *(depthwise.value for depthwise in Depthwise)),
    "width": _whole(1, MAX_CHANNELS),
    "multiplier": _number_up_to(MAX_MULTIPLIER),
}
