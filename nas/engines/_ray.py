"""Tasks side by side on Ray, on this machine or on a cluster.

Ray closes the connection to a worker process that dies, so `ray.wait` returns its task at once; the task is then
started again elsewhere. Retrying is done here rather than by Ray's `max_retries`, so that the user is told.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from nas.engines._base import Argument, Result, Shared
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

ATTEMPTS = 4
"""How often a task is started before its workers' deaths are taken to be its own fault."""


class RayEngine:
    """Runs each task as a Ray task of its own, labelled for Ray's dashboard."""

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
        self._ray = _import_ray()
        self._notice = notice
        self._resources = {"num_cpus": cpus_per_task, "num_gpus": gpus_per_task}
        self._owner = not self._ray.is_initialized()
        if self._owner:
            self._connect(address)
        self._require(CPU=cpus_per_task, GPU=gpus_per_task)

    def map(
        self,
        function: Callable[[Shared, Argument], Result],
        arguments: Sequence[Argument],
        *,
        names: Sequence[str],
        shared: Shared,
        done: Callable[[int, Result], None] | None = None,
    ) -> list[Result]:
        """Return the results in the order of `arguments`; see `Engine.map`.

        Raises RuntimeError when the workers of one task died `ATTEMPTS` times.
        """
        ray = self._ray
        remote = ray.remote(function)
        shared_reference = ray.put(shared)
        results: dict[int, Result] = {}
        attempts = dict.fromkeys(range(len(arguments)), 0)
        running: dict[Any, int] = {}

        def start(index: int) -> None:
            attempts[index] += 1
            task = remote.options(name=names[index], max_retries=0, **self._resources)
            running[task.remote(shared_reference, arguments[index])] = index

        for index, _ in enumerate(zip(arguments, names, strict=True)):
            start(index)
        try:
            while running:
                finished, _ = ray.wait(list(running), num_returns=1)
                index = running.pop(finished[0])
                try:
                    results[index] = ray.get(finished[0])
                except ray.exceptions.RayTaskError as error:
                    raise (error.cause or error) from None
                except ray.exceptions.RayError as error:
                    self._note_death(names[index], attempts[index], error)
                    start(index)
                    continue
                if done is not None:
                    done(index, results[index])
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
        return [results[index] for index in range(len(arguments))]

    def close(self) -> None:
        """Leave the cluster, or stop the Ray that was started here."""
        if self._owner and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            # "local" keeps RAY_ADDRESS in the environment from sending work elsewhere unasked.
            context = self._ray.init(
                address=address or "local", log_to_driver=False, logging_level=logging.ERROR, namespace="nas"
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = f"no Ray cluster at {address!r}" if address else "Ray did not start on this machine"
            raise UserError(
                f"{where}: {error}. Start one with `ray start --head`, or use --engine in-process"
            ) from None
        if context.dashboard_url:
            self._notice(f"Ray dashboard: http://{context.dashboard_url} (`ray get-auth-token` prints its token)")

    def _require(self, **needed: float) -> None:
        """Refuse a task that no node could ever hold: Ray would wait for such a node for ever."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= amount for name, amount in needed.items()) for node in nodes):
            wanted = ", ".join(f"{amount:g} {name}" for name, amount in needed.items() if amount)
            self.close()
            raise UserError(f"one task needs {wanted}, and no Ray node has that: ask for less per task")

    def _note_death(self, name: str, attempt: int, error: Exception) -> None:
        if attempt >= ATTEMPTS:
            raise RuntimeError(f"the workers of {name!r} died {attempt} times; the last time: {error}") from None
        self._notice(f"the worker of {name!r} died ({type(error).__name__}): starting it again")


def _import_ray() -> Any:
    return optional_import("ray", purpose="--engine ray", extra="ray")
