"""Timings summarise runs."""

from __future__ import annotations

import pytest

from latency_lut.measure.litert import Timing, benchmark
from latency_lut.measure.models import network_model


def test_timing_summarises_runs(tiny):
    timing = benchmark(network_model(tiny), max_s=0.2)
    assert 0 < timing.median_ms < 1000 and timing.runs >= 31 and timing.spread >= 0


def test_spread_ignores_stalls():
    timing = Timing.of([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 50.0])
    assert timing.median_ms == pytest.approx(1.0, rel=0.01) and timing.spread < 0.03
    assert timing.median_error < 0.03 and timing.undisturbed_ms == pytest.approx(0.98, rel=0.01)
