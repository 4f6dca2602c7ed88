"""A space as the text of its file, which `searchspace.space_file` reads back."""

from __future__ import annotations

import json
from typing import Any

from searchspace.space_file import FORMAT, Fields, Option, SpaceSpec, Stage
from searchspace.text import format_block, format_head, format_stem


def format_spec(spec: SpaceSpec) -> str:
    """Return the YAML text of a space."""
    per_layer = sorted(spec.per_layer)
    lines = [
        f"format: {FORMAT}",
        f"name: {json.dumps(spec.name)}",
        *([f"about: {json.dumps(spec.about)}"] if spec.about else []),
        f"resolution: {_values(spec.resolutions)}",
        f"classes: {spec.classes}",
        f"stem: {format_stem(spec.stem)}",
        f"head: {format_head(spec.head)}",
        *([f"per_layer: [{', '.join(per_layer)}]"] if per_layer else []),
        "stages:",
        *(line for stage in spec.stages for line in _stage(stage)),
    ]
    return "\n".join(lines) + "\n"


def _stage(stage: Stage) -> list[str]:
    if stage.fixed:
        return [f"  - {{name: {stage.name}, blocks: [{', '.join(map(format_block, stage.fixed))}]}}"]
    lines = [f"  - name: {stage.name}", f"    stride: {stage.stride}", f"    depth: {_values(stage.depths)}"]
    return [*lines, "    options:", *(f"      {option.name}: {_option(option)}" for option in stage.options)]


def _option(option: Option) -> str:
    parts = [f"block: {option.kind}"] if option.kind != option.name else []
    parts += _fields({name: values for name, values in option.fields.items() if (name, values) != ("multiplier", (1,))})
    if option.first:
        parts.append(f"first: {{{', '.join(_fields(option.first))}}}")
    return f"{{{', '.join(parts)}}}"


def _fields(fields: Fields) -> list[str]:
    return [f"{name}: {_values(values)}" for name, values in fields.items()]


def _values(values: tuple[Any, ...]) -> str:
    written = [json.dumps(value) if isinstance(value, str) and not value.isalnum() else str(value) for value in values]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"
