"""docs/api.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nas
from nas.strategies import RandomSearch
from searchspace.support.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(program, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert "False" not in printed
    assert "budget 60 ms; 2,000 networks evaluated" in printed.splitlines()[0]


def test_a_search_goes_on_from_its_journal(tmp_path):
    asked = {"evaluations": 60, "strategy": RandomSearch, "journal": tmp_path / "j.jsonl"}
    calls = []

    def score(architectures):
        calls.append(len(architectures))
        return [50.0 + one.madds / 1e8 for one in architectures]

    first = nas.search(60, evaluator=score, **asked)
    assert calls
    calls.clear()
    assert nas.search(60, evaluator=score, **asked).winner == first.winner
    assert not calls


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="expected a nas"):
        nas.search(60, evaluations=1, strategy=lambda objective, seed: 3)
    with pytest.raises(UserError, match="evaluator is a int"):
        nas.search(60, evaluations=1, evaluator=3)
    with pytest.raises(ValueError, match="top-1 of 150 %"):
        nas.search(60, evaluations=10, evaluator=lambda them: np.full(len(them), 150.0))
