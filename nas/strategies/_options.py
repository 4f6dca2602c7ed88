"""Settings of a strategy given as words, `population=50`: read, checked against the settings that it has."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from searchspace.support.errors import UserError

_WORDS = {"true": True, "false": False, "none": None}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}


@dataclass(frozen=True)
class Within:
    """The smallest and largest value of a setting; stands in its annotation."""

    least: float
    most: float = math.inf


def keyword_settings(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a function with their annotations, as `typed` takes them."""
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: hints.get(one.name, Any) for one in parameters if one.kind is one.KEYWORD_ONLY}


def read_options(words: Sequence[str]) -> dict[str, str]:
    """Return KEY=VALUE words as a mapping; raises UserError for one that is none, or a key given twice."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise UserError(f"--strategy-option is {word!r:.80}, expected KEY=VALUE such as population=50")
        if key in found:
            raise UserError(f"--strategy-option {key} was given twice")
        found[key] = value
    return found


def typed(strategy: str, given: Mapping[str, str], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of the kinds that a strategy's settings have; raises UserError naming the settings it has."""
    for name in given:
        if name not in kinds:
            has = f"it has {', '.join(map(str, kinds))}" if kinds else "it has none"
            raise UserError(f"the strategy {strategy} has no setting {name[:40]!r}: {has}")
    return {name: _value(f"{name} of {strategy}", text, kinds[name]) for name, text in given.items()}


def _value(what: str, text: str, kind: Any) -> Any:
    base, *notes = get_args(kind) if hasattr(kind, "__metadata__") else (kind,)
    value = _read(text, base) if base in _KINDS else literal(text)
    if value is None and base in _KINDS:
        raise UserError(f"{what} is {text[:40]!r}, expected {_KINDS[base]}")
    for bound in notes:
        if isinstance(bound, Within) and not bound.least <= value <= bound.most:
            upto = "" if math.isinf(bound.most) else f" to {bound.most:g}"
            raise UserError(f"{what} is {text[:40]}, expected {bound.least:g}{upto or ' or more'}")
    return value


def _read(text: str, kind: Any) -> Any:
    """Return the value, None where the text is not of the kind."""
    if kind is str:
        return text
    value: Any = literal(text)
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind and (kind is not float or math.isfinite(value)) else None


def literal(text: str) -> Any:
    """Return a number, a truth value, None or a word, whatever the text spells."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
