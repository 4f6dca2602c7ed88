"""Numbers with units as people type them, read by one rule everywhere: a plain number and a unit, in any case."""

from __future__ import annotations

import re
from collections.abc import Mapping

from searchspace.support.errors import UserError

MS_PER_UNIT = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0}
PER_UNIT = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-zA-Zµ%]*)\s*")
_LONGEST_MS = 1e7


def split_quantity(text: str, what: str, example: str) -> tuple[float, str]:
    """Return the number and the lower-case unit of a text; raises UserError, saying what was expected, for any other.

    `what` is what the text stands for ("budget"), `example` how it is written ("60ms or 0.06s").
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise UserError(f"cannot read the {what} {text[:60]!r}: write a number and a unit, such as {example}")
    return float(match[1]), match[2].lower()


def parse_duration_ms(text: str, what: str = "budget") -> float:
    """Return the milliseconds of a duration such as `60ms` or `0.06s`.

    Raises UserError for anything else, a number without a unit included.
    """
    number, unit = split_quantity(text, what, "60ms or 0.06s")
    if not unit:
        given = text.strip()
        raise UserError(f"the {what} {text!r} has no unit: write {given}ms, or {given}s for seconds")
    if unit not in MS_PER_UNIT:
        raise UserError(f"the {what} {text!r} has the unknown unit {unit!r}: expected ms, s or us, such as 60ms")
    duration_ms = number * MS_PER_UNIT[unit]
    if not 0 < duration_ms < _LONGEST_MS:
        raise UserError(
            f"the {what} {text!r} is {duration_ms:g} ms: expected more than 0, less than {_LONGEST_MS:g} ms"
        )
    return duration_ms


def parse_amount(text: str, what: str, units: Mapping[str, float], example: str) -> float:
    """Return a number times its unit from `units` (lower-case names); raises UserError for another unit."""
    number, unit = split_quantity(text, what, example)
    if unit not in units:
        given = f"the {what} {text!r} has no unit" if not unit else f"the {what} {text!r} has the unknown unit {unit!r}"
        raise UserError(f"{given}: expected {example}")
    return number * units[unit]


def milliseconds(value_ms: float) -> str:
    """Return a latency as it is printed, without its unit: one decimal, more below 2 ms."""
    return f"{value_ms:.1f}" if value_ms >= 2 else f"{value_ms:.2f}" if value_ms >= 0.2 else f"{value_ms:.3f}"
