"""Search-space files: YAML in, checked stages out.

    format: space/1
    name: small
    about: two stages of inverted residuals or sandglasses
    resolution: [192, 224]                  # a list is a choice, a scalar is fixed; so everywhere below
    stem: stem_k3_s2_c16_hs                 # tokens of the compact text
    head: head_c960_h1280_hs
    per_layer: [kernel, ratio]              # chosen layer by layer; every other list once a stage
    stages:
      - {name: first, blocks: [ir_k3_s1_h16_c16_re]}
      - {name: stage1, block: inverted, width: 24, stride: 2, depth: [2, 3], kernel: [3, 5], ratio: [3, 6]}
      - name: stage2
        stride: 2
        depth: [1, 2]
        multiplier: [0.75, 1]               # scales width, rounded to 8
        options:                            # the stage chooses one, by name; `block` names the kind if it differs
          inverted: {width: 40, ratio: [3, 6]}
          sandglass: {width: 192, ratio: [3, 6], first: {kernel: 3}}     # `first` overrides fields in layer 0

The fields of each kind of layer are those of `searchspace.layer_options.KINDS`, their values those of
`searchspace.space_fields`. `docs/spaces.md` says it in full.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from searchspace.architecture import Block, Head, Stem
from searchspace.layer_options import KINDS
from searchspace.space_fields import as_number, check_field
from searchspace.support.errors import UserError
from searchspace.text import parse_block, parse_head, parse_stem
from searchspace.yaml_io import load_mapping

FORMAT = "space/1"
MAX_DEPTH = 32
MAX_STAGES = 64
MAX_VALUES = 250  # a genotype is made of bytes
_FILE_KEYS = {"format", "name", "about", "resolution", "classes", "stem", "head", "per_layer", "stages"}
_STAGE_KEYS = {"name", "blocks", "block", "options", "stride", "depth", "first"}
WIDTH_FIELDS = {"width", "multiplier"}

End = TypeVar("End", Stem, Head)
Fields = dict[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Option:
    """One kind of layer a stage can be made of: values of every field, and those that layer 0 has instead."""

    name: str
    kind: str
    fields: Fields
    first: Fields


@dataclass(frozen=True, slots=True)
class Stage:
    """Consecutive layers of one width; the first takes the stride. `fixed` blocks exclude every choice."""

    name: str
    stride: int = 1
    depths: tuple[int, ...] = (1,)
    options: tuple[Option, ...] = ()
    fixed: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class SpaceSpec:
    """What a space file says, checked."""

    name: str
    about: str
    resolutions: tuple[int, ...]
    classes: int
    stem: Stem
    head: Head
    per_layer: frozenset[str]
    stages: tuple[Stage, ...]


def _values(value: Any, place: str) -> tuple[Any, ...]:
    """A scalar is one value, a list several distinct ones."""
    values = tuple(value) if isinstance(value, list) else (value,)
    if any(isinstance(entry, dict | list) or entry is None for entry in values):
        raise UserError(f"{place}: {str(value)[:60]!r} should hold plain values")
    if not values or len({as_number(entry) or str(entry) for entry in values}) != len(values):
        raise UserError(f"{place}: {str(value)[:60]} should list distinct values, at least one")
    if len(values) > MAX_VALUES:
        raise UserError(f"{place}: {len(values)} values, at most {MAX_VALUES} are possible")
    return values


def _field_values(kind: str, name: str, value: Any, place: str) -> tuple[Any, ...]:
    """The values of one field of a layer, each one that the kind of block can have."""
    values = _values(value, f"{place}: {name}")
    for entry in values:
        check_field(kind, name, entry, place)
    return values


def _whole_numbers(value: Any, place: str, highest: int) -> tuple[int, ...]:
    values = _values(value, place)
    for entry in values:
        if not isinstance(entry, int) or isinstance(entry, bool) or not 1 <= entry <= highest:
            raise UserError(f"{place}: {str(entry)[:60]!r} is not a whole number from 1 to {highest}")
    return values


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{place}: expected a mapping of names to values, got {str(value)[:60]!r}")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{place}: expected a text, got {str(value)[:60]!r}")
    return value


def _kind(name: str, raw: Any) -> Any:
    return raw.get("block", name) if isinstance(raw, dict) else name


def _option(name: str, raw: Mapping[str, Any], common: Mapping[str, Any], place: str) -> Option:
    """Merge the stage's fields with the option's own; every field must be one that the kind knows."""
    kind = _kind(name, raw)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"{place}: unknown block {str(kind)[:60]!r}, expected one of {', '.join(KINDS)}")
    known = dict(KINDS[kind].fields)
    own = {key: value for key, value in raw.items() if key not in ("block", "first")}
    # A field of the stage applies to the options that know it; a field of the option must be known.
    shared = {key: value for key, value in common.items() if key in known or key in WIDTH_FIELDS}
    unknown = own.keys() - known.keys() - WIDTH_FIELDS
    if unknown:
        raise UserError(f"{place}: {kind} has no field {min(unknown)[:60]!r}, it has {', '.join(sorted(known))}")
    given = {"multiplier": 1} | known | shared | own
    missing = [key for key in ("width", *known) if given.get(key) is None]
    if missing:
        raise UserError(f"{place}: {kind} needs {', '.join(missing)}")
    own_first = _mapping(raw.get("first", {}), f"{place}: first")
    if unknown := own_first.keys() - known.keys():
        raise UserError(f"{place}: first: {kind} has no field {min(unknown)[:60]!r}, it has {', '.join(sorted(known))}")
    first = _mapping(common.get("first", {}), f"{place}: first") | own_first
    fields = {key: _field_values(kind, key, value, place) for key, value in given.items()}
    first_fields = {
        key: _field_values(kind, key, value, f"{place}: first") for key, value in first.items() if key in known
    }
    return Option(name=name, kind=kind, fields=fields, first=first_fields)


def _stage(raw: Any, path: str | Path, number: int) -> Stage:
    place = f"{path}: stage {number}"
    stage = _mapping(raw, place)
    name = _text(stage.get("name", f"stage{number}"), f"{place}: name")
    if re.fullmatch("[A-Za-z0-9_]+", name) is None:
        raise UserError(f"{place}: the name {name[:60]!r} should be made of letters, digits and underscores")
    place = f"{path}: {name}"
    if "blocks" in stage:
        tokens = stage["blocks"] if isinstance(stage["blocks"], list) else []
        if not tokens or stage.keys() - {"name", "blocks"}:
            raise UserError(f"{place}: a fixed stage has a name and a list of blocks, nothing else")
        fixed = (parse_block(_text(token, f"{place}: block {k}"), place) for k, token in enumerate(tokens, start=1))
        return Stage(name=name, fixed=tuple(fixed))
    if ("block" in stage) == ("options" in stage):
        raise UserError(f"{place}: expected either `block`, `options` or `blocks`")
    if "block" in stage:
        options: dict[str, Any] = {_text(stage["block"], f"{place}: block (one of {', '.join(KINDS)})"): {}}
    else:
        options = _mapping(stage["options"], f"{place}: options")
        if not options:
            raise UserError(f"{place}: options: expected at least one of {', '.join(KINDS)}")
    common = {key: value for key, value in stage.items() if key not in _STAGE_KEYS or key == "first"}
    known = {key for kind in KINDS.values() for key in kind.fields}
    if unknown := common.keys() - {"first"} - WIDTH_FIELDS - known:
        allowed = ", ".join(sorted(known | WIDTH_FIELDS | _STAGE_KEYS))
        raise UserError(f"{place}: unknown field {min(unknown)[:60]!r}, a stage can have {allowed}")
    if unknown := _mapping(common.get("first", {}), f"{place}: first").keys() - known:
        raise UserError(f"{place}: first: unknown field {min(unknown)[:60]!r}, it can have {', '.join(sorted(known))}")
    strides = _whole_numbers(stage.get("stride", 1), f"{place}: stride", 2)
    depths = _whole_numbers(stage.get("depth", 1), f"{place}: depth", MAX_DEPTH)
    if len(strides) != 1 or depths != tuple(sorted(depths)):
        raise UserError(f"{place}: the stride is one number and depths are listed in rising order")
    if depths != (1,) and any(_kind(key, value) == "skip" for key, value in options.items()):
        raise UserError(f"{place}: only a stage of one layer can be skipped; give each its own stage")
    return Stage(
        name=name,
        stride=strides[0],
        depths=depths,
        options=tuple(
            _option(key, _mapping(value or {}, place), common, f"{place}: {key}") for key, value in options.items()
        ),
    )


def _end(parse: Callable[[str], End], value: Any, place: str) -> End:
    """Read the token of the stem or the head."""
    token = _text(value, place)
    try:
        return parse(token)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _per_layer(value: Any, place: str) -> frozenset[str]:
    allowed = sorted({key for kind in KINDS.values() for key in kind.fields})
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in allowed:
            raise UserError(
                f"{place}: {str(name)[:60]!r} is not chosen layer by layer, expected of {', '.join(allowed)}"
            )
    return frozenset(names)


def load_spec(path: str | Path) -> SpaceSpec:
    """Read a space file; raises UserError naming the file, the stage and what is wrong with it."""
    content = load_mapping(path, "search space file")
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: format is {str(content.get('format'))[:60]!r}, this version reads {FORMAT!r}")
    missing = [key for key in ("name", "stem", "head", "stages") if key not in content]
    unknown = sorted(content.keys() - _FILE_KEYS)
    if missing or unknown:
        raise UserError(f"{path}: missing {', '.join(missing) or 'nothing'}, unknown {', '.join(unknown) or 'nothing'}")
    stages = content["stages"]
    if not isinstance(stages, list) or not 1 <= len(stages) <= MAX_STAGES:
        raise UserError(f"{path}: stages should be a list of 1 to {MAX_STAGES} stages")
    made = tuple(_stage(stage, path, number) for number, stage in enumerate(stages, start=1))
    names = [stage.name for stage in made]
    if len(set(names)) < len(names):
        raise UserError(f"{path}: a stage is named more than once in {', '.join(names)}")
    classes = _whole_numbers(content.get("classes", 1000), f"{path}: classes", 1_000_000)
    if len(classes) > 1:
        raise UserError(f"{path}: classes: expected one number, got {len(classes)}")
    return SpaceSpec(
        name=_text(content["name"], f"{path}: name"),
        about=_text(content["about"], f"{path}: about").strip() if "about" in content else "",
        resolutions=_whole_numbers(content.get("resolution", 224), f"{path}: resolution", 4096),
        classes=classes[0],
        stem=_end(parse_stem, content["stem"], f"{path}: stem"),
        head=_end(parse_head, content["head"], f"{path}: head"),
        per_layer=_per_layer(content.get("per_layer", []), f"{path}: per_layer"),
        stages=made,
    )
