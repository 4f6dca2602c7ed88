"""Timing TFLite models with LiteRT and XNNPACK on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latency_lut.tflite.runtime import fill_inputs, load


@dataclass(frozen=True, slots=True)
class Timing:
    """Repeated timings of one model.

    `undisturbed_ms` is the tenth percentile: where other programs use the machine too, disturbance only ever adds, and
    this repeats to a fraction of a percent where the median wanders by several. `spread` is the robust standard
    deviation of single runs, relative to the median; `undisturbed_error` that of `undisturbed_ms`, relative to it.
    """

    median_ms: float
    undisturbed_ms: float
    spread: float
    runs: int
    undisturbed_error: float

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Timing:
        """Summarise single runs in ms; the spread comes from the quartiles, so that stalls do not inflate it."""
        tenth, low, median, high = np.percentile(samples_ms, (10, 25, 50, 75)).tolist()
        # The rank of a quantile is binomial: its standard deviation spans these two quantiles.
        rank_sd = math.sqrt(0.1 * 0.9 / len(samples_ms))
        below, above = np.quantile(samples_ms, (max(0.1 - rank_sd, 0.0), min(0.1 + rank_sd, 1.0))).tolist()
        # Interquartile range to standard deviation, for a normal distribution.
        spread = (high - low) / 1.349 / median
        return cls(median, tenth, spread, len(samples_ms), (above - below) / 2 / tenth)

    @property
    def median_error(self) -> float:
        """Half-width of the 95 % interval of the median, relative to it (1.253 sigma / sqrt(n), normal theory)."""
        return 1.96 * 1.2533 * self.spread / float(np.sqrt(self.runs))


def benchmark(
    model: str | Path | bytes,
    threads: int = 1,
    *,
    warmup_s: float = 0.05,
    target_error: float = 0.02,
    min_runs: int = 31,
    max_s: float = 2.0,
    seed: int = 0,
) -> Timing:
    """Time a model on this machine: runs until the median's 95 % interval is within `target_error`, or `max_s`.

    Inputs are uniform noise from `seed`. One thread is timed by its processor time, which equals the time on the wall
    of an idle machine and leaves out the moments in which other programs held the core; several threads are timed by
    the wall.
    """
    interpreter = load(model, threads)
    fill_inputs(interpreter, seed)
    clock_ns = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    return time_calls(
        interpreter.invoke,
        clock_ns,
        warmup_s=warmup_s,
        target_error=target_error,
        min_runs=min_runs,
        max_s=max_s,
    )


def time_calls(
    call: Callable[[], object],
    clock_ns: Callable[[], int],
    *,
    warmup_s: float = 0.05,
    target_error: float = 0.02,
    min_runs: int = 31,
    max_s: float = 2.0,
) -> Timing:
    """Time calls by a clock until the median's 95 % interval is within `target_error`, or `max_s` have passed."""
    end_warmup = time.perf_counter() + warmup_s
    call()
    while time.perf_counter() < end_warmup:
        call()
    samples_ms: list[float] = []
    deadline = time.perf_counter() + max_s
    while True:
        start_ns = clock_ns()
        call()
        samples_ms.append((clock_ns() - start_ns) / 1e6)
        if len(samples_ms) < min_runs:
            continue
        # Checking costs more than a small model's run, so it is done at growing intervals.
        if time.perf_counter() > deadline or len(samples_ms) % max(1, len(samples_ms) // 8) == 0:
            timing = Timing.of(samples_ms)
            if timing.median_error <= target_error or time.perf_counter() > deadline:
                return timing
