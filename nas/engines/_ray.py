"""Tasks side by side on Ray, on this machine or on a cluster.

Ray closes the connection to a worker process that dies, so `ray.wait` returns its task at once; the task is then
started again elsewhere. Retrying is done here rather than by Ray's `max_retries`, so that the user is told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from nas.engines._base import Argument, Attempts, Failure, Result, Shared
from nas.engines._ray_cluster import connect, import_ray, require
from nas.engines._ray_metrics import RayMetrics
from nas.engines._ray_workers import ActorWorkers, TaskWorkers


class RayEngine:
    """Runs each task as a Ray task of its own, or on actors that hold what is shared, labelled for the dashboard."""

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus_per_task: int = 1,
        gpus_per_task: float = 0.0,
        notice: Callable[[str], None] = lambda message: None,
    ) -> None:
        """Start Ray on this machine, or join the cluster at `address`.

        Raises UserError when Ray is missing, when no cluster answers, or when no node can hold one task.
        """
        self._ray = import_ray()
        self._notice = notice
        self.resources: dict[str, float] = {"num_cpus": cpus_per_task, "num_gpus": gpus_per_task}
        self._owner = not self._ray.is_initialized()
        self._metrics: RayMetrics | None = None
        self._actors: ActorWorkers | None = None
        if self._owner:
            connect(self._ray, address, notice)
        try:
            require(self._ray, CPU=cpus_per_task, GPU=gpus_per_task)
        except Exception:
            self.close()
            raise

    @property
    def slots(self) -> int:
        """How many tasks the processors of the cluster hold at the same time, at present."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) // max(self.resources["num_cpus"], 1)))

    def map(
        self,
        function: Callable[[Shared, Argument], Result],
        arguments: Sequence[Argument],
        *,
        names: Sequence[str],
        shared: Shared,
        done: Callable[[int, Result], None] | None = None,
        timeout_s: float | None = None,
        lost: Callable[[int, Failure, bool], Result] | None = None,
        held: bool = False,
    ) -> list[Result]:
        """Return the results in the order of `arguments`; see `Engine.map`."""
        ray, attempts, results = self._ray, Attempts(names, self._notice), dict[int, Any]()
        waiting = deque(index for index, _ in enumerate(zip(arguments, names, strict=True)))
        workers = self._held(shared) if held else TaskWorkers(ray, self.resources, shared)
        running: dict[Any, tuple[int, float]] = {}
        try:
            while waiting or running:
                while waiting and workers.free:
                    index = waiting.popleft()
                    running[workers.start(function, arguments[index], names[index])] = (index, time.monotonic())
                for reference in self._ended(running, timeout_s):
                    index, started = running.pop(reference)
                    try:
                        result = self._answer(reference, started, timeout_s)
                    except _Lost as loss:
                        workers.lost(reference)
                        given_up, replaced = attempts.lost(index, loss.failure, lost)
                        if not given_up:
                            waiting.appendleft(index)
                            continue
                        result = replaced
                    else:
                        workers.finished(reference)
                    results[index] = result
                    if done is not None:
                        done(index, result)
        finally:
            for reference in running:
                workers.lost(reference)
        return [results[index] for index in range(len(results))]

    def report(self, figures: Mapping[str, float]) -> None:
        """Set the gauges `nas_...` of Ray's metrics, which Prometheus reads from every node."""
        self._metrics = self._metrics or RayMetrics()
        self._metrics.set(figures)

    def close(self) -> None:
        """Leave the cluster, or stop the Ray that was started here."""
        if self._actors is not None and self._ray.is_initialized():
            self._actors.close()
            self._actors = None
        if self._owner and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _held(self, shared: Any) -> ActorWorkers:
        if self._actors is None or self._actors.shared is not shared:
            if self._actors is not None:
                self._actors.close()
            self._actors = ActorWorkers(self._ray, self.resources, shared, self.slots)
        return self._actors

    def _ended(self, running: Mapping[Any, tuple[int, float]], timeout_s: float | None) -> list[Any]:
        left = None
        if timeout_s is not None:
            left = max(0.0, min(started for _, started in running.values()) + timeout_s - time.monotonic())
        finished, _ = self._ray.wait(list(running), num_returns=1, timeout=left)
        if finished or timeout_s is None:
            return list(finished)
        return [one for one, (_, started) in running.items() if started + timeout_s <= time.monotonic()]

    def _answer(self, reference: Any, started: float, timeout_s: float | None) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference, timeout=0 if timeout_s is not None else None)
        except errors.RayTaskError as error:
            raise (error.cause or error) from None
        except errors.GetTimeoutError:
            raise _Lost(Failure("timed out", f"not finished after {time.monotonic() - started:.0f} s")) from None
        except errors.OutOfMemoryError as error:
            raise _Lost(Failure("out of memory", _first_line(error))) from None
        except errors.RayError as error:
            raise _Lost(Failure("died", f"{type(error).__name__}: {_first_line(error)}")) from None


class _Lost(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
