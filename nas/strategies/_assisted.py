"""A predictor-assisted loop for costly evaluations: fit to what is known, evolve on the fit, evaluate the best of it.

The predictor is a Gaussian process (scikit-learn) on the choices and the latency, after BANANAS (White et al.,
arXiv 1910.11858) and NPENAS (Wei et al., arXiv 2003.12857). Its standard deviation decides with its mean: each
proposal is the best of the candidates by mean + weight x standard deviation, with a weight of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np

from nas.objectives import Objective, Results, Values
from nas.strategies._base import Strategy
from nas.strategies._options import Within
from searchspace.choices import Genotypes
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

_ROUNDS, _CHILDREN, _PARENTS = 4, 300, 30
_MOST = 3000  # evaluations; the fit to one batch takes seconds by then
_FITTED = 600  # networks the process is fitted to at most: the best half and the newest
_HYPER = 200  # networks that its lengths are fitted to at most


class PredictorAssisted(Strategy):
    """Evaluates what a Gaussian process on the results so far holds for best, its standard deviation counted in."""

    name = "predictor"

    def __init__(
        self,
        objective: Objective,
        seed: int,
        *,
        start: Annotated[int, Within(2)] = 20,
        batch: Annotated[int, Within(1)] = 10,
        exploration: Annotated[float, Within(0)] = 1.0,
    ) -> None:
        super().__init__(objective, seed)
        self.start = start
        self.exploration = exploration
        self._batch = batch
        self._results: list[Results] = []
        self._seen: set[bytes] = set()
        self._lengths: dict[int, Any] = {}
        self._sklearn = optional_import("sklearn.gaussian_process", purpose="the strategy predictor", extra="predictor")

    @classmethod
    def sized(cls, objective: Objective, seed: int, evaluations: int) -> Self:
        """Return one that fits about forty times; raises UserError for more evaluations than it is made for."""
        if evaluations > _MOST:
            raise UserError(
                f"the strategy {cls.name} is made for at most {_MOST:,} costly evaluations: give --evaluations {_MOST} "
                "or fewer, or another strategy"
            )
        return cls(objective, seed, start=min(max(evaluations // 10, 10), 50), batch=min(max(evaluations // 40, 5), 50))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Networks drawn first, proposals for each fit, weight of the standard deviation."""
        return {"start": self.start, "batch": self._batch, "exploration": self.exploration}

    @property
    def batch(self) -> int:
        """Proposals for each fit."""
        return self._batch

    def _propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        results = self._known()
        if len(results) < self.start:
            return self._affordable(rng, self.objective.draw, n)
        predict = self._fitted(results)
        weights = self.exploration * rng.exponential(size=n)
        candidates = self._candidates(results, predict, rng)
        if len(candidates) < n:
            more = self._affordable(rng, self.objective.draw, n)
            candidates = np.concatenate([candidates, more])
        mean, deviation = predict(candidates)
        chosen: list[int] = []
        for weight in weights:
            score = mean + weight * deviation
            score[chosen] = -np.inf
            chosen.append(int(score.argmax()))
        return candidates[chosen]

    def _known(self) -> Results:
        if not self._results:
            nothing = np.empty(0)
            return Results(np.empty((0, len(self.space.choices)), np.uint8), nothing, nothing, nothing)
        return Results(
            np.concatenate([r.genotypes for r in self._results]),
            np.concatenate([r.top1 for r in self._results]),
            np.concatenate([r.latency_ms for r in self._results]),
            np.concatenate([r.high_ms for r in self._results]),
        )

    def _learn(self, results: Results) -> None:
        self._seen.update(row.tobytes() for row in results.genotypes)
        if len(results.evaluated):
            self._results.append(results.evaluated)

    def _candidates(self, results: Results, predict: Any, rng: np.random.Generator) -> Genotypes:
        """Evolve on the predictor, within the budget and never what is known; shape (any, choices)."""
        within = results.high_ms <= self.objective.budget_ms
        order = np.argsort(np.where(within, -results.top1, results.high_ms), kind="stable")
        parents, found = results.genotypes[order[:_PARENTS]], results.genotypes[:0]
        for _ in range(_ROUNDS):
            first, second = parents[rng.integers(0, len(parents), (2, _CHILDREN))]
            mixed = np.where(rng.random((_CHILDREN, 1)) < 0.5, self.space.crossover(rng, first, second), first)
            children = self.space.mutate(rng, mixed, 0.05)
            children = children[self.objective.within(children)]
            children = children[[row.tobytes() not in self._seen for row in children]]
            found = np.unique(np.concatenate([found, children]), axis=0)
            if not len(found):
                continue
            mean, deviation = predict(found)
            found = found[np.argsort(-(mean + self.exploration * deviation), kind="stable")[:_CHILDREN]]
            parents = np.concatenate([results.genotypes[order[: _PARENTS // 2]], found[:_PARENTS]])
        return found

    def _features(self, genotypes: Genotypes) -> Values:
        """Return every value of every active choice as 0 or 1, and the logarithm of the latency; (n, features)."""
        values = np.arange(int(self.space.radices.max()))
        exists = values < self.space.radices[:, None]
        chosen = (genotypes[:, :, None] == values) & self.space.active(genotypes)[:, :, None]
        latency = np.log(self.objective.cost.latency_ms(genotypes) / self.objective.budget_ms)
        return np.column_stack([chosen[:, exists].astype(np.float64), 4 * latency])

    def _fitted(self, results: Results) -> Any:
        """Return a function from genotypes to mean and standard deviation of top-1, each (n,), in percent."""
        kept = np.arange(len(results))
        if len(kept) > _FITTED:
            best = np.argsort(-results.top1, kind="stable")[: _FITTED // 2]
            kept = np.unique(np.concatenate([best, kept[-_FITTED // 2 :]]))
        x, y = self._features(results.genotypes[kept]), results.top1[kept]
        process = self._sklearn.GaussianProcessRegressor(self._kernel(results), optimizer=None, normalize_y=True)
        process.fit(x, y)

        def predict(genotypes: Genotypes) -> tuple[Values, Values]:
            mean, deviation = process.predict(self._features(genotypes), return_std=True)
            return np.round(mean, 6), np.round(deviation, 6)

        return predict

    def _kernel(self, results: Results) -> Any:
        """Return the kernel fitted to the first 20, 40, 80 ... networks known, so that history alone decides it."""
        count = self.start
        while 2 * count <= min(len(results), _HYPER):
            count *= 2
        if count not in self._lengths:
            kernels = self._sklearn.kernels
            kernel = kernels.ConstantKernel(1.0) * kernels.Matern(3.0, (0.3, 100.0), nu=1.5)
            kernel += kernels.DotProduct(1.0) * kernels.ConstantKernel(0.1) + kernels.WhiteKernel(1e-2, (1e-5, 1.0))
            process = self._sklearn.GaussianProcessRegressor(kernel, normalize_y=True)
            with warnings.catch_warnings():  # a length at its bound is an answer here
                warnings.simplefilter("ignore")
                process.fit(self._features(results.genotypes[:count]), results.top1[:count])
            self._lengths[count] = process.kernel_
        return self._lengths[count]
