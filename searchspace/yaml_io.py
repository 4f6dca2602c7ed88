"""YAML files of architectures: the compact text's tokens, one a line, readable and diffable.

format: architecture/1
name: mobilenet_v3_large
resolution: 224
stem: stem_k3_s2_c16_hs
blocks:
  - ir_k3_s1_h16_c16_re
  ...
head: head_c960_h1280_hs
classes: 1000
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from searchspace.architecture import Architecture
from searchspace.blocks import Padding
from searchspace.support.errors import UserError
from searchspace.support.files import read_text, write_atomic
from searchspace.support.plain_yaml import PlainYamlError, load_plain_yaml
from searchspace.text import format_block, format_head, format_stem, parse_block, parse_head, parse_stem

FORMAT = "architecture/1"
_KEYS = ("format", "resolution", "stem", "blocks", "head", "classes")
_OPTIONAL_KEYS = ("name", "source", "width", "padding")
_MAX_CHARACTERS = 1_000_000


def load_mapping(path: str | Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds one mapping with text keys.

    Anything but plain values and files above 1 MB are refused; every problem is a UserError naming the file and the
    line.
    """
    try:
        content, _ = load_plain_yaml(read_text(path, what), _MAX_CHARACTERS)
    except PlainYamlError as error:
        place = f"{path}, line {error.line}" if error.line is not None else f"{path}"
        raise UserError(f"{place}: not a {what}: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path} is not a {what}: expected a mapping of names to values")
    return content


def _typed(content: dict[str, Any], key: str, kind: type, path: str | Path) -> Any:
    value = content[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(f"{path}: {key} is {str(value)[:60]!r}, expected a {kind.__name__}")
    return value


def architecture_from_mapping(content: dict[str, Any], path: str | Path) -> Architecture:
    """Make an architecture from the mapping of a YAML file; raises UserError naming the file and the place."""
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise UserError(f"{path} is not an architecture file: it lacks {', '.join(missing)}")
    unknown = [key for key in content if key not in _KEYS + _OPTIONAL_KEYS]
    if unknown:
        raise UserError(f"{path}: unknown entry {', '.join(unknown)[:80]}, expected {', '.join(_KEYS)}")
    if content["format"] != FORMAT:
        raise UserError(f"{path}: format is {str(content['format'])[:60]!r}, this version reads {FORMAT!r}")
    blocks = _typed(content, "blocks", list, path)
    try:
        return Architecture(
            resolution=_typed(content, "resolution", int, path),
            stem=parse_stem(_typed(content, "stem", str, path)),
            blocks=tuple(parse_block(str(token), f"block {i}") for i, token in enumerate(blocks, start=1)),
            head=parse_head(_typed(content, "head", str, path)),
            classes=_typed(content, "classes", int, path),
            padding=_padding(content.get("padding", Padding.SAME.value)),
        )
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def _padding(value: object) -> Padding:
    if value not in tuple(Padding):
        raise UserError(f"padding is {str(value)[:60]!r}, expected one of {', '.join(Padding)}")
    return Padding(str(value))


def load_architecture(path: str | Path) -> Architecture:
    """Read an architecture file; raises UserError naming the file and the place of what is wrong."""
    return architecture_from_mapping(load_mapping(path, "architecture file"), path)


def save_architecture(architecture: Architecture, path: str | Path, name: str = "") -> None:
    """Write an architecture file in one step; the same architecture gives the same bytes."""
    content: dict[str, Any] = {"format": FORMAT}
    if name:
        content["name"] = name
    content |= {
        "resolution": architecture.resolution,
        "stem": format_stem(architecture.stem),
        "blocks": [format_block(block) for block in architecture.blocks],
        "head": format_head(architecture.head),
        "classes": architecture.classes,
    }
    if architecture.padding is not Padding.SAME:
        content["padding"] = architecture.padding.value
    write_atomic(path, yaml.safe_dump(content, sort_keys=False))
