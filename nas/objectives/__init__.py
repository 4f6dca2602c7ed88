"""What a search is after: results with named metrics, budgets over them, and the fronts they span."""

from nas.objectives._costs import Cost, JointCost, MaddsCost, Part
from nas.objectives._fronts import front_of, hypervolume, hypervolume_over_time, pareto_front
from nas.objectives._measures import Measures, peak_activation_bytes
from nas.objectives._metrics import METRICS, Metric, metric
from nas.objectives._objective import Limit, Objective
from nas.objectives._results import Results, Values, joined
from nas.objectives._rewards import absolute_reward

__all__ = [
    "METRICS",
    "Cost",
    "JointCost",
    "Limit",
    "MaddsCost",
    "Measures",
    "Metric",
    "Objective",
    "Part",
    "Results",
    "Values",
    "absolute_reward",
    "front_of",
    "hypervolume",
    "hypervolume_over_time",
    "joined",
    "metric",
    "pareto_front",
    "peak_activation_bytes",
]
