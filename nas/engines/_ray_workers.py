"""What runs a task on Ray: a task of its own, or one of some actors that hold what the tasks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any


class TaskWorkers:
    """Starts every task as a Ray task; Ray decides where and when."""

    free = True

    def __init__(self, ray: Any, resources: Mapping[str, float], shared: Any) -> None:
        self._ray, self._resources = ray, resources
        self._shared = ray.put(shared)

    def start(self, function: Callable[[Any, Any], Any], argument: Any, name: str) -> Any:
        """Start a task and return its reference."""
        task = _remote(self._ray, function).options(name=name, max_retries=0, **self._resources)
        return task.remote(self._shared, argument)

    def finished(self, reference: Any) -> None:
        """Do nothing: Ray has taken the worker back."""

    def lost(self, reference: Any) -> None:
        """End what is left of a task."""
        self._ray.cancel(reference, force=True)


@lru_cache(maxsize=64)
def _remote(ray: Any, function: Callable[[Any, Any], Any]) -> Any:
    """Return the remote form of a function, the same each time: Ray exports and schedules every new one by itself."""
    return ray.remote(function)


class ActorWorkers:
    """Starts tasks on at most `count` actors, each of which got `shared` once; one that dies is made again."""

    def __init__(self, ray: Any, resources: Mapping[str, float], shared: Any, count: int) -> None:
        self.shared = shared
        self._ray, self._resources, self._count = ray, resources, count
        self._kept = ray.put(shared)
        self._idle: list[Any] = []
        self._busy: dict[Any, Any] = {}

    @property
    def free(self) -> bool:
        """Whether another task can start now."""
        return len(self._busy) < self._count

    def start(self, function: Callable[[Any, Any], Any], argument: Any, name: str) -> Any:
        """Start a task on an idle actor and return its reference."""
        actor = self._idle.pop() if self._idle else self._made()
        reference = actor.run.options(name=name).remote(function, argument)
        self._busy[reference] = actor
        return reference

    def finished(self, reference: Any) -> None:
        """Take the actor back."""
        self._idle.append(self._busy.pop(reference))

    def lost(self, reference: Any) -> None:
        """Give up an actor that is dead or hangs."""
        self._ray.kill(self._busy.pop(reference), no_restart=True)

    def close(self) -> None:
        """End all actors."""
        for actor in (*self._idle, *self._busy.values()):
            self._ray.kill(actor, no_restart=True)
        self._idle, self._busy = [], {}

    def _made(self) -> Any:
        return self._ray.remote(Holder).options(max_restarts=0, **self._resources).remote(self._kept)


class Holder:
    """An actor that holds what its tasks share; its class name is what the dashboard shows."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared

    def run(self, function: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Return `function(shared, argument)`."""
        return function(self._shared, argument)
