"""Snapshots beside the journal: they spare a replay; one that is damaged, stale or of another search is left aside."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from nas.jobs.search.ask_tell import SearchResult, run_search
from nas.jobs.search.journal import Journal
from nas.jobs.search.snapshot import SNAPSHOT, Snapshots
from nas.objectives import Objective
from nas.strategies import OptunaStrategy, Strategy, make_strategy
from nas.strategies.testing import artificial_top1, conformance_objective
from searchspace.support.errors import Note

EVALUATIONS, BATCH, STOP = 120, 10, 7


class Artificial:
    """The artificial accuracy; interrupts the search at a batch."""

    label = fingerprint = "artificial"
    basis: Mapping[str, str] = MappingProxyType({})

    def __init__(self, stop: int | None) -> None:
        self.left = stop

    def top1(self, genotypes):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left = None if self.left is None else self.left - 1
        return artificial_top1(genotypes)


class Told:
    """Counts the batches that a strategy was told."""

    def __init__(self, strategy: Strategy) -> None:
        self.count, learn = 0, strategy._learn

        def counted(results):
            self.count += 1
            learn(results)

        strategy._learn = counted  # type: ignore[method-assign]


@pytest.fixture
def objective(tmp_path: Path) -> Objective:
    return conformance_objective(tmp_path, budget=0.4)


def made(name: str, objective: Objective) -> Strategy:
    if name.endswith("Sampler"):
        return OptunaStrategy(objective, 3, name)
    return make_strategy(name, objective, 3, EVALUATIONS)


def searched(objective: Objective, folder: Path, name: str, stop: int | None = None) -> tuple[SearchResult, int]:
    """Search on in a folder, a snapshot after every batch; return the result and how many batches were told."""
    folder.mkdir(exist_ok=True)
    strategy, path = made(name, objective), folder / "journal.jsonl"
    told = Told(strategy)
    with Journal.resume(path, {}) if path.exists() else Journal.create(path, {}) as journal:
        snapshots = Snapshots(folder / SNAPSHOT, every_s=0, share=float("inf"))
        found = run_search(
            objective,
            strategy,
            Artificial(stop),
            journal,
            evaluations=EVALUATIONS,
            batch=BATCH,
            snapshots=snapshots,
        )
    return found, told.count


def interrupted(objective: Objective, folder: Path, name: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(objective, folder, name, stop=STOP)


@pytest.mark.parametrize("name", ["ppo", "TPESampler", "NSGAIISampler"])
def test_a_resumed_search_is_told_the_tail_alone_and_ends_as_the_unbroken_one(objective, tmp_path, name):
    if name != "ppo":
        pytest.importorskip("optuna")
    unbroken, _ = searched(objective, tmp_path / "whole", name)
    interrupted(objective, tmp_path / "broken", name)
    batches = len((tmp_path / "broken" / "journal.jsonl").read_text().splitlines()) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed, told = searched(objective, tmp_path / "broken", name)
    all_batches = len((tmp_path / "broken" / "journal.jsonl").read_text().splitlines()) - 1
    assert told == all_batches - batches
    assert resumed == unbroken
    assert (tmp_path / "broken/journal.jsonl").read_bytes() == (tmp_path / "whole/journal.jsonl").read_bytes()


def test_a_snapshot_that_is_not_to_be_trusted_is_left_aside_with_a_word(objective, tmp_path):
    unbroken, _ = searched(objective, tmp_path / "whole", "ppo")
    interrupted(objective, tmp_path / "other", "ppo")
    sound = (tmp_path / "other" / SNAPSHOT).read_bytes()
    head, _, state = sound.partition(b"\n")
    for number, (content, word) in enumerate(
        (
            (b"", "damaged"),
            (b"\x80\x04}q.", "damaged"),
            (head.replace(b'"batches": ', b'"batches": 9') + b"\n" + state, "not of this journal"),
            (head.replace(b'"check": "', b'"check": "0') + b"\n" + state, "not of this journal"),
            (head + b"\n" + state[:-1], "damaged"),
            (head + b"\n" + state[:-1] + bytes([state[-1] ^ 1]), "damaged"),
        )
    ):
        place = tmp_path / f"run-{number}"
        interrupted(objective, place, "ppo")
        (place / SNAPSHOT).write_bytes(content)
        with pytest.warns(Note, match=f"left aside and the journal replayed.*{word}"):
            resumed, told = searched(objective, place, "ppo")
        assert resumed == unbroken and told == len((place / "journal.jsonl").read_text().splitlines()) - 1


def test_a_snapshot_ahead_of_a_journal_that_lost_its_tail_is_left_aside(objective, tmp_path):
    unbroken, _ = searched(objective, tmp_path / "whole", "ppo")
    interrupted(objective, tmp_path / "run", "ppo")
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.warns(Note, match="not of this journal"):
        assert searched(objective, tmp_path / "run", "ppo")[0] == unbroken


def test_a_sampler_that_notes_pickles_and_strategies_that_replay_cheaply_leave_no_snapshot(objective, tmp_path):
    pytest.importorskip("cmaes")
    for name in ("CmaEsSampler", "random"):
        interrupted(objective, tmp_path / name, name)
        assert not (tmp_path / name / SNAPSHOT).exists()


def test_a_folder_that_takes_no_snapshot_stops_nothing(objective, tmp_path):
    (tmp_path / "run" / SNAPSHOT / "in the way").mkdir(parents=True)
    with pytest.warns(Note, match="no snapshot was written"):
        searched(objective, tmp_path / "run", "ppo")
