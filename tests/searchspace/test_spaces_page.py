"""docs/spaces.md says of every field of a space file what the reader checks, and its example is a space."""

from __future__ import annotations

import re
from pathlib import Path

from searchspace.blocks import block_families
from searchspace.layer_options import KINDS
from searchspace.space import load_space
from searchspace.space_fields import field_rule

PAGE = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text(encoding="utf-8")


def rows() -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def test_every_field_of_every_block_with_its_values_and_default():
    stated = {
        (kind, row[0].strip("`")): (row[2], row[3])
        for row in rows()
        if len(row) == 5
        for kind in re.findall(r"`(\w+)`", row[1])
    }
    for kind, layer in KINDS.items():
        for name, default in layer.fields.items():
            shown = "must be given" if default is None else str(default)
            assert stated[kind, name] == (field_rule(kind, name).expected, shown), f"{kind}: {name}"


def test_every_block_family_with_its_token():
    for block in block_families():
        assert f"| `{block.family.prefix}` | {block.family.name} | `{block.family.example}` |" in PAGE


def test_the_example_is_a_space(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", PAGE, re.S)[1], encoding="utf-8")
    assert load_space(path).count() > 1000
