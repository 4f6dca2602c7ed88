"""A job's figures among Ray's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchspace.support.optional import optional_import

MEANINGS = {
    "best_top1": "top-1 in percent of the best network within the budget",
    "best_latency_ms": "predicted latency of that network in milliseconds",
    "evaluations": "networks evaluated",
    "front_size": "networks on the front of top-1 and latency",
    "queue": "networks asked for and not yet scored",
    "failures": "attempts at a network that failed",
    "images_per_second": "images that trainings and evaluations went through in a second",
    "step": "steps of slimming",
    "cost": "predicted cost of the network as slimmed so far: ms, multiply-adds or parameters",
    "top1": "top-1 in percent of the network as slimmed so far",
    "parts": "parts of an experiment that are finished",
    "part_share": "share of an experiment's part at hand that is done, 0 to 1",
}
"""What each figure means; Prometheus reads `nas_best_top1` and so on, with Ray's prefix `ray_` before it."""


class RayMetrics:
    """Gauges by name, made when first set."""

    def __init__(self) -> None:
        self._gauge = optional_import("ray.util.metrics", purpose="--engine ray", extra="ray").Gauge
        self._gauges: dict[str, Any] = {}

    def set(self, figures: Mapping[str, float]) -> None:
        """Set the gauge of every figure; raises KeyError for one without a meaning."""
        for name, value in figures.items():
            if name not in self._gauges:
                self._gauges[name] = self._gauge(f"nas_{name}", description=MEANINGS[name])
            self._gauges[name].set(value)
