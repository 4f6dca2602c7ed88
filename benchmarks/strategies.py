"""What strategies reach on the MobileNetV3 predictor: best predicted top-1 within a budget, by evaluations.

    python benchmarks/strategies.py [--device pixel] [--budget 45ms --budget 60ms] [--evaluations 1000 2500 5000]
        [--seeds 4] [--strategy evolution local ppo predictor random]

For each: mean and standard deviation over the seeds, and the best of all as what the others are compared with.
"""

from __future__ import annotations

import argparse

import numpy as np

from nas.jobs.compare.problem import open_problem
from nas.jobs.compare.run import run_strategy
from nas.jobs.compare.settings import CompareSettings
from nas.strategies import make_strategy
from searchspace.support.errors import UserError
from searchspace.support.quantities import parse_duration_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="pixel")
    parser.add_argument("--space", default="mobilenetv3")
    parser.add_argument("--budget", action="append")
    parser.add_argument("--evaluations", type=int, nargs="+", default=[1000, 2500, 5000])
    parser.add_argument("--strategy", nargs="+", default=["random", "evolution", "local", "predictor", "ppo"])
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    for budget in options.budget or ["45ms", "60ms"]:
        settings = CompareSettings(
            space=options.space,
            evaluator="predictor",
            device=options.device,
            budget_ms=parse_duration_ms(budget),
        )
        problem = open_problem(settings)
        for name in options.strategy:
            for evaluations in options.evaluations:
                best = []
                try:
                    for seed in range(options.seeds):
                        strategy = make_strategy(name, problem.objective, seed, evaluations)
                        trace = run_strategy(strategy, problem, evaluations)
                        best.append(trace.best(problem.objective.budget_ms)[-1])
                except UserError as error:
                    print(f"{budget} {name:10s} {evaluations:6d}  {error}")
                    continue
                spread = np.std(best, ddof=1) if len(best) > 1 else 0.0
                print(f"{budget} {name:10s} {evaluations:6d}  {np.mean(best):.3f} +- {spread:.3f}", flush=True)


if __name__ == "__main__":
    main()
