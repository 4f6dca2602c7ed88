"""The proof of a bound in a process beside the search: the same as here, and done here where that process fails."""

from __future__ import annotations

import json
import sys

import pytest

from latency_lut.compiled import CompiledCost
from latency_lut.devices import load_device
from nas.bounds import bound_for, predictor_bound
from nas.bounds._units import split_into_units
from nas.evaluators import PredictorEvaluator
from nas.jobs.search import bounding
from nas.jobs.search.settings import SearchSettings
from nas.objectives import Objective
from nas.predictor import shipped_predictor


@pytest.fixture(scope="module")
def searched() -> tuple[PredictorEvaluator, Objective]:
    predictor = shipped_predictor("mobilenetv3")
    space = predictor.layout.covered
    return PredictorEvaluator(predictor, space), Objective(CompiledCost(space, load_device("pixel")), 60.0)


def test_short_searches_and_other_evaluators_prove_here(searched):
    evaluator, _ = searched
    with bounding.proof_beside(SearchSettings(budget_ms=60.0, evaluations=2000), evaluator) as proof:
        assert proof is None
    with bounding.proof_beside(SearchSettings(budget_ms=60.0), object()) as proof:
        assert proof is None


@pytest.mark.slow
def test_the_process_proves_what_is_proved_here(searched, monkeypatch):
    evaluator, objective = searched
    monkeypatch.setattr(bounding.os, "sched_getaffinity", lambda _: {0, 1})
    settings = SearchSettings(budget_ms=60.0, evaluations=8 * 512)
    with bounding.proof_beside(settings, evaluator) as proof:
        here = predictor_bound(evaluator.predictor, objective, split_into_units(objective), 512)
        assert proof() == here < 79.5


def test_what_a_process_fails_to_prove_is_proved_here(searched, monkeypatch):
    evaluator, objective = searched
    monkeypatch.setattr(bounding.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr("nas.bounds.predictor_bound", lambda *_: 79.5)
    with bounding.proof_beside(SearchSettings(budget_ms=60.0), evaluator) as proof:
        assert bound_for(evaluator, objective, objective.fastest[None], 512, proof).proved == 79.5


def test_a_search_that_is_left_ends_its_process(searched, monkeypatch):
    evaluator, _ = searched
    monkeypatch.setattr(bounding.os, "sched_getaffinity", lambda _: {0, 1})
    started = []
    opened = bounding.subprocess.Popen
    monkeypatch.setattr(bounding.subprocess, "Popen", lambda *a, **k: started.append(opened(*a, **k)) or started[0])
    with pytest.raises(KeyboardInterrupt), bounding.proof_beside(SearchSettings(budget_ms=60.0), evaluator):
        raise KeyboardInterrupt
    assert started[0].returncode is not None
    assert json.loads(started[0].args[-1])["budget_ms"] == 60.0
