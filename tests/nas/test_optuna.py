"""Optuna's samplers as strategies: conformance, constraints told as they are, no duplicates, a study to look at."""

from __future__ import annotations

import numpy as np
import pytest

from nas.objectives import Objective
from nas.strategies import OptunaStrategy, Strategy, make_strategy
from nas.strategies.testing import StrategyConformance, advance, artificial_top1, conformance_objective
from searchspace.support.errors import UserError

optuna = pytest.importorskip("optuna")


class OptunaConformance(StrategyConformance):
    batches = 3
    size = 8
    draws_over_ceiling = True
    sampler = "TPESampler"

    def make(self, objective: Objective, seed: int) -> Strategy:
        return OptunaStrategy(objective, seed, self.sampler)

    @pytest.mark.skip("nothing but the fastest network fits: a sampler need not meet it in 24 draws")
    def test_the_tightest_budget_is_searched(self) -> None: ...


class TestParzen(OptunaConformance): ...


class TestParzenForTheFront(OptunaConformance):
    sampler = "TPESampler/front"


class TestGenetic(OptunaConformance):
    sampler = "NSGAIISampler"


class TestCovarianceMatrix(OptunaConformance):
    sampler = "CmaEsSampler"

    def make(self, objective: Objective, seed: int) -> Strategy:
        pytest.importorskip("cmaes")
        return super().make(objective, seed)

    @pytest.mark.skip("CMA-ES notes its state in the trials it was asked for; a search answers every question")
    def test_a_question_without_an_answer_leaves_no_trace(self) -> None: ...


@pytest.fixture
def objective(tmp_path) -> Objective:
    return conformance_objective(tmp_path, budget=0.4)


def test_a_parzen_estimator_learns_what_is_good_and_affordable(objective):
    strategy = OptunaStrategy(objective, 0)
    genotypes = objective.space.sample(np.random.default_rng(0), 100)
    strategy.tell(objective.results(genotypes, artificial_top1(genotypes)))
    proposed = strategy.ask(30)
    assert np.mean(artificial_top1(proposed)) > np.mean(artificial_top1(genotypes))
    assert np.mean(objective.high_ms(proposed)) < 1.1 * objective.budget_ms


def test_parallel_questions_bring_distinct_networks(objective):
    strategy = OptunaStrategy(objective, 0)
    advance(strategy, 2, 10)
    asked = np.concatenate([strategy.ask(24), strategy.ask(24)])
    assert len(np.unique(asked, axis=0)) == 48


def test_networks_over_the_ceiling_are_pruned_with_their_excess_and_no_value(objective):
    strategy = OptunaStrategy(objective, 0)
    told = advance(strategy, 3, 20)
    trials = [t for t in strategy._study.trials if t.state != optuna.trial.TrialState.FAIL]
    top1 = np.concatenate([results.top1 for results in told])
    high_ms = np.concatenate([results.high_ms for results in told])
    assert np.isnan(top1).any() and len(trials) == len(top1)
    for trial, accuracy, high in zip(trials, top1, high_ms, strict=True):
        assert trial.constraints["budget"] == pytest.approx(high / objective.budget_ms - 1)
        assert trial.value == (None if np.isnan(accuracy) else pytest.approx(accuracy))


def test_an_inactive_choice_is_no_parameter_for_a_conditional_sampler(objective):
    strategy = OptunaStrategy(objective, 0)
    (results,) = advance(strategy, 1, 20)
    active = objective.space.active(results.genotypes).sum(axis=1)
    trials = [t for t in strategy._study.trials if t.state != optuna.trial.TrialState.FAIL]
    assert [len(trial.params) for trial in trials] == active.tolist()
    assert strategy.independent_parameters > 0


def test_a_flat_sampler_is_told_what_it_drew(objective):
    strategy = OptunaStrategy(objective, 0, "NSGAIISampler")
    (results,) = advance(strategy, 1, 30)
    trials = [t for t in strategy._study.trials if t.state != optuna.trial.TrialState.FAIL]
    drawn = np.array([[t.params[c.path] for c in objective.space.choices] for t in trials])
    inactive = ~objective.space.active(results.genotypes)
    assert np.array_equal(objective.space.canonical(drawn.astype(np.uint8)), results.genotypes)
    assert drawn[inactive].any()


def test_a_sampler_without_constraints_draws_within_the_budget(objective):
    strategy = OptunaStrategy(objective, 0, "RandomSampler")
    assert (objective.high_ms(strategy.ask(30)) <= objective.budget_ms).mean() > 0.9


def test_the_sampler_and_its_settings_tell_searches_apart(objective):
    tpe, nsga = (make_strategy(name, objective, 0, 100) for name in ("tpe", "optuna:NSGAIISampler"))
    assert (tpe.name, nsga.name) == ("optuna:TPESampler", "optuna:NSGAIISampler")
    assert tpe.settings["sampler"] == "TPESampler" and tpe.settings["n_startup_trials"] == 20
    assert nsga.settings["objectives"] == 2
    other = OptunaStrategy(objective, 0, "TPESampler", {"n_startup_trials": 5})
    assert other.settings != tpe.settings


def test_every_sampler_of_the_installed_optuna_proposes(objective):
    from nas.strategies._optuna_samplers import sampler_names

    for name in sampler_names():
        if name == "CmaEsSampler":
            pytest.importorskip("cmaes")
        advance(OptunaStrategy(objective, 0, name), 2, 6)


def test_the_study_opens_as_a_journal_storage(objective, tmp_path):
    strategy = OptunaStrategy(objective, 0)
    advance(strategy, 2, 10)
    strategy.save(tmp_path)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna_study.log"))
    study = optuna.load_study(storage=optuna.storages.JournalStorage(backend), study_name=strategy.name)
    assert study.best_value == pytest.approx(strategy._study.best_value)


def test_unknown_samplers_and_too_long_searches_are_refused(objective):
    with pytest.raises(UserError, match="--evaluations 5000"):
        make_strategy("tpe", objective, 0, 50_000)
    with pytest.raises(UserError, match="TPESampler"):
        make_strategy("optuna:NoSampler", objective, 0, 100)
