"""From observations on several scales to the times of ops on one: the process and the views, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latency_lut.calibrate.costs import CostModel, fit_costs
from latency_lut.calibrate.observations import Observation
from latency_lut.calibrate.process import OpProcess, Smoothness
from latency_lut.calibrate.views import fit_scale, on_scale, predicted_ms
from latency_lut.provenance import Scale

_ROUNDS = 3


@dataclass(frozen=True)
class Inference:
    """The times of ops on the table's own scale, and how each source's scale differs from it."""

    process: OpProcess
    views: Mapping[str, Scale]

    def predicted_ms(self, observation: Observation) -> float:
        """Return the time that the inference expects where the observation was made, in milliseconds."""
        return predicted_ms(observation, self.process.mean_ms, self.views[observation.view])


def infer(
    observations: Sequence[Observation],
    start: CostModel,
    first_views: Mapping[str, float],
    smoothness: Smoothness | None = None,
) -> Inference:
    """Infer the times of ops; the source named "" defines the scale, `first_views` guess the others' factors."""
    by_view: dict[str, list[Observation]] = {}
    for observation in observations:
        by_view.setdefault(observation.view, []).append(observation)
    views = {view: _uniform(1.0 if view == "" else first_views.get(view, 1.0)) for view in by_view}
    for _ in range(_ROUNDS):
        scaled = [on_scale(observation, views[observation.view]) for observation in observations]
        process = OpProcess(fit_costs(scaled, start), scaled, smoothness)
        views = {
            view: _uniform(1.0) if view == "" else fit_scale(members, process.mean_ms)
            for view, members in by_view.items()
        }
    return Inference(process, views)


def left_out_errors(
    observations: Sequence[Observation],
    start: CostModel,
    first_views: Mapping[str, float],
    folds: int,
    seed: int,
    smoothness: Smoothness | None = None,
) -> np.ndarray:
    """Return prediction / measurement - 1 of every observation from inferences that did not see it."""
    order = np.random.default_rng(seed).permutation(len(observations))
    errors = np.zeros(len(observations))
    for fold in range(folds):
        held = set(order[fold::folds].tolist())
        inference = infer([o for i, o in enumerate(observations) if i not in held], start, first_views, smoothness)
        for index in held:
            observation = observations[index]
            errors[index] = inference.predicted_ms(observation) / observation.latency_ms - 1.0
    return errors


def _uniform(factor: float) -> Scale:
    from searchspace.ops import OpKind

    return Scale(factors=dict.fromkeys(OpKind, factor))
