"""What strategies reach in small searches: the Pixel 1 table of one commit, the predictor of `mobilenetv3`, 60 ms."""

from __future__ import annotations

import lzma
from pathlib import Path

import numpy as np
import pytest

from latency_lut import LatencyTable
from latency_lut.compiled import CompiledCost
from nas.evaluators import PredictorEvaluator
from nas.objectives import Objective
from nas.predictor import covered_part, shipped_predictor
from nas.strategies import make_strategy
from searchspace.space import load_space

TABLE = Path(__file__).parent / "data" / "pixel1_bfb38e1.csv.xz"


@pytest.fixture(scope="module")
def best_found(tmp_path_factory):
    """Return `search(strategy, evaluations, seed)`: the best predicted top-1 within 60 ms."""
    path = tmp_path_factory.mktemp("table") / "pixel1_then.csv"
    path.write_bytes(lzma.decompress(TABLE.read_bytes()))
    space = covered_part(load_space("mobilenetv3"))
    objective = Objective(CompiledCost(space, LatencyTable.load(path)), 60.0)
    evaluator = PredictorEvaluator(shipped_predictor("mobilenetv3"), space)

    def search(name: str, evaluations: int, seed: int) -> float:
        strategy = make_strategy(name, objective, seed, evaluations)
        done, best = 0, 0.0
        while done < evaluations:
            genotypes = strategy.ask(min(strategy.batch or 250, evaluations - done))
            top1 = np.full(len(genotypes), np.nan)
            affordable = objective.affordable(genotypes)
            top1[affordable] = evaluator.top1(genotypes[affordable])
            results = objective.results(genotypes, top1)
            strategy.tell(results)
            done += len(results.evaluated)
            index = objective.best(results.evaluated)
            best = max(best, -np.inf if index is None else float(results.evaluated.top1[index]))
        return best

    return search


@pytest.mark.parametrize(("evaluations", "at_least"), [(1000, 76.2), (2500, 76.28)])
def test_evolution_learns_in_few_evaluations(best_found, evaluations, at_least):
    assert np.mean([best_found("evolution", evaluations, seed) for seed in range(4)]) >= at_least


@pytest.mark.parametrize("evaluations", [200, 1000])
def test_evolution_beats_random_search(best_found, evaluations):
    from scipy.stats import ttest_rel

    evolved, drawn = ([best_found(name, evaluations, seed) for seed in range(10)] for name in ("evolution", "random"))
    assert ttest_rel(evolved, drawn, alternative="greater").pvalue < 0.01
