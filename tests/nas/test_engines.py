"""All engines keep one contract: results in task order, errors unchanged; they outlive their workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.engines import ATTEMPTS, Engine, Failure, InProcessEngine, open_engine, testing
from searchspace.support.errors import UserError

notices: list[str] = []


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    pytest.importorskip("ray")
    with open_engine("ray", notice=notices.append) as engine:
        yield engine


@pytest.fixture(scope="module")
def pool_engine() -> Iterator[Engine]:
    with open_engine("pool", workers=2, notice=notices.append) as engine:
        yield engine


@pytest.fixture(params=["in-process", "pool", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "in-process":
        return InProcessEngine(notices.append)
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture(params=["pool", "ray"])
def workers(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(f"{request.param}_engine")


def test_results_come_in_task_order(engine: Engine) -> None:
    finished: list[int] = []
    names = [f"task {index}" for index in range(4)]
    results = engine.map(
        testing.later_is_faster, range(4), names=names, shared=0.2, done=lambda index, result: finished.append(result)
    )
    assert results == [0, 10, 20, 30]
    assert sorted(finished) == results


def test_no_tasks_give_no_results(engine: Engine) -> None:
    assert engine.map(testing.later_is_faster, [], names=[], shared=0.0) == []


def test_an_error_of_the_function_arrives_unchanged(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"^task 0 cannot be done$"):
        engine.map(testing.refuse, [0], names=["impossible"], shared=None)


def test_every_task_needs_a_name(engine: Engine) -> None:
    with pytest.raises(ValueError, match="shorter"):
        engine.map(testing.later_is_faster, [1, 2], names=["one"], shared=0.0)


def test_a_dead_worker_is_noticed_and_its_task_done_again(workers: Engine, tmp_path: Path) -> None:
    notices.clear()
    results = workers.map(testing.die_once, range(3), names=["a", "b", "c"], shared=str(tmp_path))
    assert [index for index, _ in results] == [0, 1, 2]
    assert any("'b' died" in notice for notice in notices)
    assert results[1][1] - float((tmp_path / "died").read_text()) < 30


def test_a_task_that_hangs_is_ended_and_done_again(engine: Engine, tmp_path: Path) -> None:
    notices.clear()
    results = engine.map(testing.hang_once, range(3), names=["a", "b", "c"], shared=str(tmp_path), timeout_s=15)
    assert results == [0, 1, 2]
    assert [notice.split(":")[0] for notice in notices] == ["'b' timed out"]


def test_a_task_that_kills_every_worker_is_given_up(workers: Engine) -> None:
    with pytest.raises(RuntimeError, match=f"'deadly' was lost {ATTEMPTS} times; the last time it died"):
        workers.map(testing.always_die, [0], names=["deadly"], shared=None)


def test_whoever_asks_is_told_of_every_loss_and_gives_the_result(workers: Engine) -> None:
    told: list[tuple[int, str, bool]] = []

    def lost(index: int, failure: Failure, last: bool) -> int:
        told.append((index, failure.kind, last))
        return -1

    assert workers.map(testing.always_die, [0], names=["deadly"], shared=None, lost=lost) == [-1]
    assert told == [(0, "died", False)] * (ATTEMPTS - 1) + [(0, "died", True)]


def test_held_workers_keep_what_they_share(workers: Engine) -> None:
    shared = (1, 2)
    first = workers.map(testing.process_id, range(4), names=["a"] * 4, shared=shared, held=True)
    again = workers.map(testing.process_id, range(4), names=["a"] * 4, shared=shared, held=True)
    assert set(again) & set(first)


def test_a_task_too_large_for_every_node_is_refused(ray_engine: Engine) -> None:
    with pytest.raises(UserError, match="100000 CPU"):
        open_engine("ray", cpus_per_task=100_000)


def test_an_unknown_engine_and_a_stray_address_are_refused() -> None:
    with pytest.raises(UserError, match="unknown engine 'spark': choose in-process, pool, ray or nni"):
        open_engine("spark")
    with pytest.raises(UserError, match="needs --engine ray"):
        open_engine("in-process", address="auto")
