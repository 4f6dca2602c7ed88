"""What is timed throughout a run to follow the device: three ops that compute, memory and the runtime's calls bound.

A device does not drift as one. On a shared machine the time of a large addition, which passes by the caches, moved by
20 % within minutes, that of a convolution by 2 %; whole networks followed the convolution. So ops with multiply-adds
are followed by a convolution, those without by the addition, both as far as they are not bound by being called, and a
network by its ops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from latency_lut.measure.backend import Task
from searchspace.ops import WEIGHTED_KINDS, Op, OpKind
from searchspace.support.errors import UserError

COMPUTE = Op(OpKind.CONV, 14, 96, 576)
MEMORY = Op(OpKind.ADD, 112, 64, 64)
LAUNCH = Op(OpKind.DWCONV, 7, 16, 16, 3)
REFERENCES = (COMPUTE, MEMORY, LAUNCH)
_NAMES = ("compute", "memory", "launch")
_UNDISTURBED_QUANTILE = 0.1


@dataclass(frozen=True)
class References:
    """Times of the references in milliseconds, in the order of `REFERENCES`."""

    times_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise UserError unless there is a positive time for each."""
        if len(self.times_ms) != len(REFERENCES) or not all(0 < time < 1e6 for time in self.times_ms):
            raise UserError(f"expected {len(REFERENCES)} positive times of references, not {self.times_ms}")

    @classmethod
    def between(cls, before_ms: Sequence[float], after_ms: Sequence[float]) -> Self:
        """Return the geometric means of the times before and after something else was timed."""
        return cls(tuple(math.sqrt(first * second) for first, second in zip(before_ms, after_ms, strict=True)))

    @classmethod
    def undisturbed(cls, readings: Iterable[References]) -> Self:
        """Return the times on the undisturbed device: the tenth percentile of each reference's readings."""
        times = np.quantile([reading.times_ms for reading in readings], _UNDISTURBED_QUANTILE, axis=0)
        return cls(tuple(times.tolist()))

    @classmethod
    def of_conditions(cls, conditions: Mapping[str, str]) -> Self | None:
        """Return the times in a table's header, None where they are absent."""
        try:
            return cls(tuple(float(conditions[_key(name)]) for name in _NAMES))
        except (KeyError, ValueError, UserError):
            return None

    def as_conditions(self) -> dict[str, str]:
        """Return the times for a table's header."""
        return {_key(name): f"{time:.6g}" for name, time in zip(_NAMES, self.times_ms, strict=True)}

    def slowdown(self, task: Task, undisturbed: References) -> float:
        """Return how many times as long as on the undisturbed device a task takes, by the references that bound it."""
        bounds = undisturbed.bounds_ms(task)
        ratios = [now / then for now, then in zip(self.times_ms, undisturbed.times_ms, strict=True)]
        return sum(part * ratio for part, ratio in zip(bounds, ratios, strict=True)) / sum(bounds)

    def bounds_ms(self, task: Task) -> tuple[float, ...]:
        """Return about how long compute, memory and calls keep a task, in milliseconds, at the rates of the references.

        Ops with multiply-adds count as bound by compute, the others by memory: a network's maps stay in the caches.
        """
        if not isinstance(task, Op):
            parts = [self.bounds_ms(op) for layer in task.ops() for op in layer.ops]
            return tuple(map(sum, zip(*parts, strict=True)))
        compute_ms, memory_ms, launch_ms = self.times_ms
        if task.kind in WEIGHTED_KINDS:
            return task.madds * compute_ms / COMPUTE.madds, 0.0, launch_ms
        return 0.0, _traffic(task) * memory_ms / _traffic(MEMORY), launch_ms


def _traffic(op: Op) -> int:
    """Return how many values of maps an op reads and writes."""
    read = op.in_pixels * op.in_channels * (2 if op.kind is OpKind.ADD else 1)
    return read + op.out_pixels * op.out_channels


def _key(name: str) -> str:
    return f"reference_{name}_ms"
