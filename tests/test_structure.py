"""The rules of the house, as `scripts/structure.py` checks them, and what a block family took."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[1] / "scripts" / "structure.py"
_spec = importlib.util.spec_from_file_location("structure", _SCRIPT)
assert _spec is not None and _spec.loader is not None
structure = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(structure)


def test_imports_go_one_way() -> None:
    found = structure.edges()
    assert found["searchspace", "searchspace.blocks"] > 3
    assert structure.against_the_current(found) == []
    assert structure.circles(found) == []


def test_a_wrong_import_is_seen() -> None:
    assert structure.against_the_current({("searchspace.blocks", "nas.report"): 1}) == [
        "searchspace.blocks -> nas.report"
    ]
    assert structure.against_the_current({("nas.training", "nas.jobs.train"): 1}) == ["nas.training -> nas.jobs.train"]
    assert structure.circles({("nas.a", "nas.b"): 1, ("nas.b", "nas.a"): 1}) == ["nas.a <-> nas.b"]


def test_a_family_took_its_files_and_a_test() -> None:
    lines = structure.family_commit()
    if not lines:
        pytest.skip("the history of the file is not here")
    page = (_SCRIPT.parents[1] / "docs" / "structure.md").read_text(encoding="utf-8")
    for line in lines:
        added, removed, name = line.split()
        assert removed == "0" and name.startswith(("searchspace/blocks/", "tests/"))
        assert f"    {added:5} {removed:5} {name}" in page
