"""The header of a table file: provenance as YAML, read without trusting it.

Every refusal carries the line of the header that caused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import StrEnum
from typing import Any

import yaml

from latency_lut.provenance import Method, Precision, Provenance, Scale
from latency_lut.roofline import RATES, Roofline
from searchspace.ops import OpKind
from searchspace.support.errors import UserError, quoted
from searchspace.support.plain_yaml import KeyPath, PlainYamlError, load_plain_yaml

_LONGEST_HEADER = 64 * 1024
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class HeaderError(UserError):
    """A header that is refused; `line` counts from 1, None where no line is at fault."""

    def __init__(self, problem: str, line: int | None = None, path: KeyPath = ()) -> None:
        super().__init__(f"{'.'.join(path)}: {problem}" if path else problem)
        self.line = line
        self.path = path


def format_header(provenance: Provenance) -> str:
    """Return the provenance as YAML lines, defaults left out, with the unit stated.

    Raises HeaderError for a text that would not load as it was saved.
    """
    data: dict[str, Any] = {"unit": "ms"}
    for item in fields(Provenance):
        value = _plain(getattr(provenance, item.name))
        if value not in (None, {}, [], ""):
            data[item.name] = value
    text = str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))
    parse_header(text)  # a table that could not be read again is not written
    return text


def parse_header(text: str) -> Provenance:
    """Read what `format_header` wrote; raises HeaderError for anything that it cannot have written."""
    try:
        data, lines = load_plain_yaml(text, _LONGEST_HEADER)
    except PlainYamlError as error:
        raise HeaderError(str(error), error.line) from None
    try:
        return _provenance(data)
    except HeaderError as error:
        path = error.path
        while path and path not in lines:
            path = path[:-1]
        error.line = lines.get(path)
        raise


def _plain(value: Any) -> Any:
    if isinstance(value, Roofline):
        return {name: _plain(item) for name, item in asdict(value).items()}
    if isinstance(value, Scale):
        written = {name: _plain(item) for name, item in asdict(value).items()}
        return {name: item for name, item in written.items() if item is not None and item not in ({}, "")}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


def _provenance(data: object) -> Provenance:
    values = _mapping(data, ())
    if values.get("unit") != "ms":
        raise HeaderError(f"times must be in ms, not {values.get('unit')!r}", path=("unit",))
    known = {item.name: item for item in fields(Provenance)}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name == "unit":
            continue
        if name not in known:
            raise HeaderError(f"unknown field; known are unit, {', '.join(known)}", path=(name,))
        arguments[name] = _READERS[name](value, (name,))
    try:
        return Provenance(**arguments)
    except TypeError as error:  # a required field is missing: the message of dataclasses names it
        raise HeaderError(str(error).replace("Provenance.__init__()", "the header")) from None
    except UserError as error:  # a value out of range: the message starts with the field
        raise HeaderError(str(error), path=(str(error).split(" ", 1)[0],)) from None


def _mapping(value: object, path: KeyPath) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise HeaderError(f"expected named fields, not {quoted(value)}", path=path)
    return value


def _text(value: object, path: KeyPath) -> str:
    if not isinstance(value, str):
        raise HeaderError(f"expected text, not {quoted(value)} (put it in quotes)", path=path)
    if value.splitlines() not in ([], [value]) or not value.isprintable():
        raise HeaderError(f"expected one line of printable text, not {quoted(value)}", path=path)
    return value


def _integer(value: object, path: KeyPath) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise HeaderError(f"expected a whole number, not {quoted(value)}", path=path)
    return value


def _number(value: object, path: KeyPath) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e12:
        raise HeaderError(f"expected a finite number, not {quoted(value)}", path=path)
    return float(value)


def _texts(value: object, path: KeyPath) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise HeaderError(f"expected a list of texts, not {quoted(value)}", path=path)
    return tuple(_text(item, path) for item in value)


def _text_mapping(value: object, path: KeyPath) -> dict[str, str]:
    return {key: _text(item, (*path, key)) for key, item in _mapping(value, path).items()}


def _member(enum: type[StrEnum]) -> Any:
    def read(value: object, path: KeyPath) -> StrEnum:
        try:
            return enum(_text(value, path))
        except ValueError:
            raise HeaderError(f"expected one of {', '.join(enum)}, not {quoted(value)}", path=path) from None

    return read


def _scale(value: object, path: KeyPath) -> Scale:
    readers = {"per_op_ms": _number, "per_network_ms": _number, "interval_pct": _number, "source": _text}
    arguments: dict[str, Any] = {}
    for name, item in _mapping(value, path).items():
        inner = (*path, name)
        if name == "factors":
            kind_of = _member(OpKind)
            arguments[name] = {
                kind_of(kind, (*inner, kind)): _number(factor, (*inner, kind))
                for kind, factor in _mapping(item, inner).items()
            }
        elif name in readers:
            arguments[name] = readers[name](item, inner)
        else:
            raise HeaderError(f"unknown field; known are factors, {', '.join(readers)}", path=inner)
    try:
        return Scale(**arguments)
    except UserError as error:
        raise HeaderError(str(error), path=path) from None


def _scales(value: object, path: KeyPath) -> dict[str, Scale]:
    return {name: _scale(item, (*path, name)) for name, item in _mapping(value, path).items()}


def _kinds(value: object, path: KeyPath) -> tuple[OpKind, ...]:
    if not isinstance(value, list):
        raise HeaderError(f"expected a list of kinds of op, not {quoted(value)}", path=path)
    kind_of = _member(OpKind)
    return tuple(kind_of(item, path) for item in value)


def _roofline(value: object, path: KeyPath) -> Roofline:
    readers = dict.fromkeys(RATES, _number) | {"element_bytes": _integer, "channel_tile": _integer, "doubt": _numbers}
    arguments: dict[str, Any] = {}
    for name, item in _mapping(value, path).items():
        if name not in readers:
            raise HeaderError(f"unknown field; known are {', '.join(readers)}", path=(*path, name))
        arguments[name] = readers[name](item, (*path, name))
    missing = [name for name in RATES if name not in arguments]
    if missing:
        raise HeaderError(f"{', '.join(missing)} missing", path=path)
    try:
        return Roofline(**arguments)
    except UserError as error:
        raise HeaderError(str(error), path=path) from None


def _numbers(value: object, path: KeyPath) -> dict[str, float]:
    return {name: _number(item, (*path, name)) for name, item in _mapping(value, path).items()}


_READERS: dict[str, Any] = {
    **dict.fromkeys(("device", "soc", "runtime", "runtime_build", "cores", "date", "notes"), _text),
    **dict.fromkeys(("threads", "resolution", "runs", "points_used"), _integer),
    **dict.fromkeys(("left_out_error_pct", "interpolation_error_pct", "interval_pct"), _number),
    "precision": _member(Precision),
    "method": _member(Method),
    "sources": _texts,
    "scale": _scale,
    "views": _scales,
    "conditions": _text_mapping,
    "roofline": _roofline,
    "untimed": _kinds,
    "unsupported": _kinds,
}
