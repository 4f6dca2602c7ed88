"""Tasks side by side in processes of this machine, started anew rather than forked: torch's threads do not fork.

A worker that dies or hangs is replaced, and only its own task is lost; the executors of the standard library give up
all their workers where one dies.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, get_context
from types import TracebackType
from typing import Any, Self

from nas.engines._base import Argument, Attempts, Failure, Result, Shared

_CONTEXT = get_context("spawn")


class PoolEngine:
    """Runs tasks in `workers` processes, as many as there are processors by default."""

    def __init__(self, workers: int | None = None, notice: Callable[[str], None] = lambda message: None) -> None:
        self.slots = workers or len(os.sched_getaffinity(0))
        self._notice = notice
        self._workers: list[_Worker] = []
        self._shared: Any = None
        self._message = b""

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
        waiting = deque(index for index, _ in enumerate(zip(arguments, names, strict=True)))
        attempts, results = Attempts(names, self._notice), dict[int, Any]()
        self._share(shared)
        busy: dict[Any, tuple[_Worker, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.slots:
                    index = waiting.popleft()
                    worker = self._free(busy)
                    worker.start(function, arguments[index])
                    busy[worker.pipe] = (worker, index)
                for pipe in self._ended(busy, timeout_s):
                    worker, index = busy.pop(pipe)
                    answer = worker.answer(timeout_s)
                    if isinstance(answer, Failure):
                        self._workers.remove(worker)
                        worker.end()
                        given_up, replaced = attempts.lost(index, answer, lost)
                        if not given_up:
                            waiting.appendleft(index)
                            continue
                        result: Any = replaced
                    else:
                        fine, result = answer
                        if not fine:
                            raise result
                    results[index] = result
                    if done is not None:
                        done(index, result)
        finally:
            for worker, _ in busy.values():
                self._workers.remove(worker)
                worker.end()
        return [results[index] for index in range(len(results))]

    def report(self, figures: Mapping[str, float]) -> None:
        """Do nothing: there is no dashboard."""

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _share(self, shared: Any) -> None:
        """Have the workers use `shared` from now on; they keep it while it is the same object."""
        if not self._message or shared is not self._shared:
            self._shared, self._message = shared, pickle.dumps(shared)
            for worker in self._workers:
                worker.pipe.send_bytes(self._message)

    def _free(self, busy: Mapping[Any, object]) -> _Worker:
        for worker in self._workers:
            if worker.pipe not in busy and worker.process.is_alive():
                return worker
        self._workers = [worker for worker in self._workers if worker.process.is_alive()]
        worker = _Worker()
        worker.pipe.send_bytes(self._message)
        self._workers.append(worker)
        return worker

    def _ended(self, busy: Mapping[Any, tuple[_Worker, int]], timeout_s: float | None) -> list[Any]:
        """Wait until a worker has answered, has died or has used up its time; return the pipes of those."""
        if timeout_s is None:
            return list(connection.wait(list(busy)))
        deadline = {pipe: worker.started + timeout_s for pipe, (worker, _) in busy.items()}
        ready = connection.wait(list(busy), max(0.0, min(deadline.values()) - time.monotonic()))
        return list(ready) or [pipe for pipe, end in deadline.items() if end <= time.monotonic()]


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.started = 0.0

    def start(self, function: Callable[[Any, Any], Any], argument: Any) -> None:
        self.pipe.send_bytes(pickle.dumps((function, argument)))
        self.started = time.monotonic()

    def answer(self, timeout_s: float | None) -> tuple[bool, Any] | Failure:
        """Return (True, result), (False, exception), or why there is neither."""
        if not self.pipe.poll():
            return Failure("timed out", f"not finished after {timeout_s:g} s")
        try:
            answer: tuple[bool, Any] = pickle.loads(self.pipe.recv_bytes())
        except (EOFError, ConnectionError):
            self.process.join(5)
            return Failure("died", f"its worker ended with {self.process.exitcode}")
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(pipe: connection.Connection) -> None:
    """Answer tasks until the other end closes; a message that is no task is what they share."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked decides when to stop
    shared: Any = pickle.loads(pipe.recv_bytes())
    while True:
        try:
            message = pickle.loads(pipe.recv_bytes())
        except (EOFError, ConnectionError):
            return
        if not (isinstance(message, tuple) and len(message) == 2 and callable(message[0])):
            shared = message
            continue
        function, argument = message
        try:
            answer: tuple[bool, Any] = (True, function(shared, argument))
        except Exception as error:
            answer = (False, error)
        try:
            content = pickle.dumps(answer)
        except Exception as error:
            content = pickle.dumps((False, RuntimeError(f"{answer[1]!r:.300} cannot be sent back: {error}")))
        pipe.send_bytes(content)
