"""The former home of `nas.objectives`."""

from nas.objectives import Cost, Objective, Results, Values, absolute_reward, pareto_front

__all__ = ["Cost", "Objective", "Results", "Values", "absolute_reward", "pareto_front"]
