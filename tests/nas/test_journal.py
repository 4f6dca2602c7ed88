"""Journals: whole, torn, damaged, of another search."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.jobs.search.journal import Journal
from searchspace.support.errors import UserError

HEADER = {"space": "mobilenetv3", "seed": 1, "strategy_settings": {"population": 5}, "budget_ms": 60.5}


def batches(count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(rng.integers(0, 255, (3, 7), dtype=np.uint8), rng.random(3) * 100) for _ in range(count)]


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, HEADER) as journal:
        for batch in batches():
            journal.append(*batch)
    return path


def assert_prefix(found, count):
    assert len(found) == count
    for batch, (genotypes, top1) in zip(found, batches(), strict=False):
        assert np.array_equal(batch.genotypes, genotypes) and np.array_equal(batch.top1, top1)


def test_what_is_appended_is_found_to_the_bit(journal):
    with Journal.resume(journal, HEADER) as resumed:
        assert_prefix(resumed.batches, 4)
    for line in journal.read_text().splitlines():
        json.loads(line)


def test_a_batch_is_on_disk_before_the_next_one(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal.create(path, HEADER)
    for count, batch in enumerate(batches(), start=1):
        journal.append(*batch)
        assert len(path.read_text().splitlines()) == 1 + count
    journal.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_a_journal_torn_anywhere_goes_on_from_its_whole_lines(journal, tmp_path, data):
    content = journal.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(content[:cut])
    whole = max(content[:cut].count(b"\n") - 1, 0)
    with Journal.resume(torn, HEADER) as resumed:
        assert_prefix(resumed.batches, whole)
        for batch in batches()[whole:]:
            resumed.append(*batch)
    assert torn.read_bytes() == content


def test_another_search_is_refused_with_the_difference(journal):
    other = {**HEADER, "seed": 2, "strategy_settings": {"population": 6}}
    with pytest.raises(UserError) as caught:
        Journal.resume(journal, other)
    assert "seed: 1 then, 2 now" in str(caught.value)
    assert "{'population': 5} then, {'population': 6} now" in str(caught.value)
    assert "budget_ms" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (1, "not json"),
        (1, '{"format": "another/1"}'),
        (2, '{"genotypes": "zz", "top1": [1.0]}'),
        (2, '{"genotypes": "0101", "top1": [1.0, 2.0, 3.0]}'),
        (2, '{"top1": [1.0]}'),
        (2, "[]"),
        (2, '{"genotypes": "0101'),
    ],
)
def test_damage_before_the_last_line_is_told_with_its_place(journal, line, content):
    lines = journal.read_text().splitlines()
    lines[line - 1] = content
    journal.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"journal"):
        Journal.resume(journal, HEADER)


def test_a_journal_is_never_overwritten(journal):
    with pytest.raises(UserError, match="already exists"):
        Journal.create(journal, HEADER)


def test_a_missing_journal_is_told(tmp_path):
    with pytest.raises(UserError, match="no such journal"):
        Journal.resume(tmp_path / "none.jsonl", HEADER)
