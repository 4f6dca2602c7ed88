"""From observations on several scales to the times of ops on one: the process and the scales, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_lut.calibrate.costs import CostModel, fit_costs
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess
from latency_lut.calibrate.views import fit_scale, on_scale, predicted_ms, uniform_scale
from latency_lut.provenance import Scale

_ROUNDS = 3
_MANY = 40
PULL = 0.3


@dataclass(frozen=True)
class Inference:
    """The times of ops on the table's own scale, how each source's scale differs, and how well sums were predicted.

    `left_out_errors` are prediction / measurement - 1 of every observation were it not seen, in their order.
    """

    observations: tuple[Observation, ...]
    process: OpProcess
    views: Mapping[str, Scale]
    left_out_errors: NDArray[np.float64]

    def errors_of(self, view: str, whole_network: bool) -> NDArray[np.float64]:
        """Return the left-out errors of one source's networks or blocks."""
        chosen = [o.view == view and o.whole_network == whole_network for o in self.observations]
        return np.asarray(self.left_out_errors[np.array(chosen, dtype=bool)])


def infer(
    observations: Sequence[Observation],
    start: CostModel,
    first_views: Mapping[str, float] | None = None,
    pull: float = PULL,
) -> Inference:
    """Infer the times of ops; the source named "" defines the scale, `first_views` guess the others' factors.

    `pull` says how strongly first-principles rates stay with those of `start` (`fit_costs`). Few observations are
    left out by inferring again without each; of many, one does not move rates and scales, and the process's closed
    form is taken.
    """
    process, views = fitted(observations, start, first_views or {}, pull)
    measured_ms = np.array([observation.latency_ms for observation in observations])
    if len(observations) > _MANY:
        residual_ms, _ = process.left_out_ms()
    else:
        residual_ms = measured_ms - _left_out_ms(observations, start, first_views or {}, pull)
    return Inference(tuple(observations), process, views, -residual_ms / measured_ms)


def fitted(
    observations: Sequence[Observation], start: CostModel, first_views: Mapping[str, float], pull: float
) -> tuple[OpProcess, dict[str, Scale]]:
    """Return the process of the ops' times and the sources' scales; arguments as for `infer`."""
    by_view: dict[str, list[Observation]] = {}
    for observation in observations:
        by_view.setdefault(observation.view, []).append(observation)
    views = {view: uniform_scale(first_views.get(view, 1.0)) for view in by_view}
    for _ in range(_ROUNDS if len(by_view) > 1 else 1):
        scaled = [on_scale(observation, views[observation.view]) for observation in observations]
        process = OpProcess(fit_costs(scaled, start, pull), scaled)
        views |= {view: fit_scale(members, process.mean_ms) for view, members in by_view.items() if view}
    return process, views


def _left_out_ms(
    observations: Sequence[Observation], start: CostModel, first_views: Mapping[str, float], pull: float
) -> NDArray[np.float64]:
    """Return every observation as inferred from the others, in milliseconds."""
    found_ms = np.zeros(len(observations))
    for index, observation in enumerate(observations):
        others = [*observations[:index], *observations[index + 1 :]]
        process, views = fitted(others, start, first_views, pull)
        scale = views.get(observation.view, uniform_scale(1.0))
        found_ms[index] = predicted_ms([observation], process.mean_ms, scale)[0]
    return found_ms
