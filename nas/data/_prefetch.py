"""Running an iterator ahead of its consumer in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def prefetched(source: Iterator[T], depth: int) -> Iterator[T]:
    """Yield what `source` yields, computing up to `depth` items ahead in a thread.

    An exception of the source is raised here, in its place. Leaving the loop early ends the thread after the item
    it is at.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    left = threading.Event()

    def fill() -> None:
        try:
            for item in source:
                if not _put(ready, (item, None), left):
                    return
            _put(ready, (None, StopIteration()), left)
        except BaseException as error:
            _put(ready, (None, error), left)

    threading.Thread(target=fill, daemon=True, name="prefetch").start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        left.set()


def _put(ready: queue.Queue, item: object, left: threading.Event) -> bool:
    while not left.is_set():
        try:
            ready.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
