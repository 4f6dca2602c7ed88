"""Both engines keep one contract: results in task order, errors unchanged; Ray outlives its workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from nas.engines import Engine, InProcessEngine, open_engine
from searchspace.support.errors import UserError

notices: list[str] = []


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    pytest.importorskip("ray")
    with open_engine("ray", notice=notices.append) as engine:
        yield engine


@pytest.fixture(params=["in-process", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return InProcessEngine() if request.param == "in-process" else request.getfixturevalue("ray_engine")


# Ray ships a function nested in another by value, so that its workers need not import this file.
def _functions() -> SimpleNamespace:
    def later_is_faster(shared: float, index: int) -> int:
        time.sleep(shared / (index + 1))
        return index * 10

    def refuse(shared: None, index: int) -> int:
        raise UserError(f"task {index} cannot be done")

    def die_once(folder: str, index: int) -> tuple[int, float]:
        """Kill this worker the first time task 1 runs; return when the task ran to its end."""
        marker = Path(folder) / "died"
        if index == 1 and not marker.exists():
            marker.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        return index, time.time()

    def always_die(shared: None, index: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return SimpleNamespace(**locals())


task = _functions()


def test_results_come_in_task_order(engine: Engine) -> None:
    finished: list[int] = []
    names = [f"task {index}" for index in range(4)]
    results = engine.map(
        task.later_is_faster, range(4), names=names, shared=0.2, done=lambda index, result: finished.append(result)
    )
    assert results == [0, 10, 20, 30]
    assert sorted(finished) == results


def test_no_tasks_give_no_results(engine: Engine) -> None:
    assert engine.map(task.later_is_faster, [], names=[], shared=0.0) == []


def test_an_error_of_the_function_arrives_unchanged(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"^task 0 cannot be done$"):
        engine.map(task.refuse, [0], names=["impossible"], shared=None)


def test_every_task_needs_a_name(engine: Engine) -> None:
    with pytest.raises(ValueError, match="shorter"):
        engine.map(task.later_is_faster, [1, 2], names=["one"], shared=0.0)


def test_a_dead_worker_is_noticed_within_5_seconds_and_its_task_done_again(ray_engine: Engine, tmp_path: Path) -> None:
    notices.clear()
    results = ray_engine.map(task.die_once, range(3), names=["a", "b", "c"], shared=str(tmp_path))
    assert [index for index, _ in results] == [0, 1, 2]
    assert len(notices) == 1 and "'b' died" in notices[0]
    assert results[1][1] - float((tmp_path / "died").read_text()) < 5


def test_a_task_that_kills_every_worker_is_given_up(ray_engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="'deadly' died 4 times"):
        ray_engine.map(task.always_die, [0], names=["deadly"], shared=None)


def test_a_task_too_large_for_every_node_is_refused(ray_engine: Engine) -> None:
    with pytest.raises(UserError, match="100000 CPU"):
        open_engine("ray", cpus_per_task=100_000)


def test_an_unknown_engine_and_a_stray_address_are_refused() -> None:
    with pytest.raises(UserError, match="unknown engine 'spark': choose in-process or ray"):
        open_engine("spark")
    with pytest.raises(UserError, match="needs --engine ray"):
        open_engine("in-process", address="auto")
