"""A strategy as the tuner of an NNI experiment of one's own; NNI makes it by its class name.

    config.tuner.class_name = "nas.jobs.search.nni_tuner.PhoneTuner"
    config.tuner.class_args = {"space": "mobilenetv3", "budget": "60ms", "device": "pixel", "strategy": "evolution"}

The experiment's search space is that of `nas.engines._nni_space.to_nni`; a trial reports top-1 in percent. Importing
this needs NNI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nas.engines._nni_space import from_nni, to_parameters
from nas.evaluators import check_top1
from nas.jobs.search.prepare import price
from nas.jobs.search.settings import SearchSettings
from nas.strategies import make_strategy
from searchspace.choices import Genotypes
from searchspace.space import load_space
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import
from searchspace.support.quantities import parse_duration_ms

_nni: Any = optional_import("nni", purpose="a tuner of NNI", extra="nni")
_base: Any = optional_import("nni.tuner", purpose="a tuner of NNI", extra="nni").Tuner
_MOST_OVER = 1000  # networks in a row over the ceiling before the strategy is given up


class PhoneTuner(_base):  # type: ignore[misc]
    """Gives the networks that a strategy proposes, within a phone's latency budget, and tells it what came of them.

    Results are told as they arrive. Networks over the ceiling are priced, told as not evaluated and never given out.
    The strategy is sized for `evaluations` trials, after which there are no more.
    """

    def __init__(
        self,
        space: str,
        budget: str,
        device: str = "pixel",
        strategy: str = "evolution",
        seed: int = 0,
        evaluations: int = 1000,
    ) -> None:
        """Raise UserError as `nas search` does for what cannot be searched."""
        super().__init__()
        settings = SearchSettings(
            budget_ms=parse_duration_ms(budget),
            device=device,
            space=space,
            strategy=strategy,
            seed=seed,
            evaluations=evaluations,
        )
        priced = price(settings, load_space(space))
        self._objective, self._space = priced.objective, priced.space
        self._strategy = make_strategy(strategy, self._objective, seed, evaluations)
        self._left = evaluations
        self._given: dict[int, Genotypes] = {}

    def update_search_space(self, search_space: Mapping[str, Any]) -> None:
        """Raise UserError for another space than the one named."""
        if from_nni(search_space).choices != self._space.choices:
            raise UserError(f"the experiment's search space is not {self._space.name}: write it by to_nni")

    def generate_parameters(self, parameter_id: int, **_: Any) -> dict[str, Any]:
        """Return the next network; raises NNI's NoMoreTrialError when all are out."""
        if self._left < 1:
            raise _nni.NoMoreTrialError(f"all {self._strategy.name} was made for are evaluated")
        for _attempt in range(_MOST_OVER):
            genotype = self._strategy.ask(1)
            if self._objective.affordable(genotype)[0]:
                self._given[parameter_id] = genotype
                self._left -= 1
                return to_parameters(self._space, genotype[0])
            self._tell(genotype, np.nan)
        raise UserError(f"{self._strategy.name} proposed {_MOST_OVER} networks over {self._objective.ceiling_ms:g} ms")

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **_: Any) -> None:
        """Tell the strategy a trial's top-1 in percent; raises ValueError for anything else."""
        top1 = float(value["default"] if isinstance(value, Mapping) else value)
        check_top1(np.array([top1]), 1)
        genotype = self._given.pop(parameter_id, None)
        if genotype is not None:
            self._tell(genotype, top1)

    def trial_end(self, parameter_id: int, success: bool, **_: Any) -> None:
        """Tell the strategy of a trial that gave no result as one that was not evaluated."""
        genotype = self._given.pop(parameter_id, None)
        if genotype is not None:
            self._tell(genotype, np.nan)

    def _tell(self, genotype: Genotypes, top1: float) -> None:
        self._strategy.tell(self._objective.results(genotype, np.array([top1])))
