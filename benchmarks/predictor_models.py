"""Which model predicts top-1 best: Kendall's tau on networks left out, five folds, for each table of accuracies.

    python benchmarks/predictor_models.py mobilenetv3_space_imagenet_supernet.csv mnasnet_space_imagenet_proxy.csv

About four minutes of one core. The last model but one is what ships; the last would have to store the tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from nas.predictor import AccuracyTable, load_accuracy_table
from nas.predictor._fit import _BOOSTING, _FOLDS, _POINTS, _SHARE_OF_TREES, _TREES
from nas.predictor._kernel import _NOISE, _matern, fit_kernel
from nas.predictor._layouts import Layout, Rows
from nas.predictor._model import import_lightgbm

Values = NDArray[np.float64]
Model = Callable[[Layout, Rows, Values, Rows], Values]  # layout, rows and targets to learn from, rows to predict
_RIDGE = 1.0


def steps(layout: Layout, rows: Rows) -> Values:
    """Every value of every choice as steps, shape (n, steps): one-hot but for a rotation."""
    return layout.features(rows)[:, : sum(len(column.values) - 1 for column in layout.columns)]


def pairs(layout: Layout, rows: Rows) -> Values:
    single = steps(layout, rows)
    first, second = np.triu_indices(single.shape[1], 1)
    return np.hstack([single, single[:, first] * single[:, second]])


def ridge(features: Callable[[Layout, Rows], Values]) -> Model:
    def predict(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
        known = features(layout, rows)
        centre, mean = known.mean(0), target.mean()
        known, wanted = known - centre, features(layout, asked) - centre
        # The smaller of the two systems, whichever way round: networks by networks, or features by features.
        gram = known @ known.T + _RIDGE * np.eye(len(known))
        return np.asarray(mean + wanted @ known.T @ cho_solve(cho_factor(gram), target - mean))

    return predict


def madds(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
    space = layout.covered
    return np.array([float(space.decode(row).madds) for row in layout.genotypes(space, asked)])


def trees(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
    lightgbm = import_lightgbm()
    mean, deviation = target.mean(), target.std()
    data = lightgbm.Dataset(layout.features(rows), (target - mean) / deviation)
    booster = lightgbm.train({**_BOOSTING, "seed": 0}, data, num_boost_round=_TREES)
    return np.asarray(mean + deviation * booster.predict(layout.features(asked), num_threads=1))


def kernel(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
    mean, deviation = target.mean(), target.std()
    model = fit_kernel(layout, rows, (target - mean) / deviation, _POINTS, np.random.default_rng(0))
    return np.asarray(mean + deviation * model.predict(layout.features(asked), layout.features(model.points)))


def average(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
    smooth, stepped = (model(layout, rows, target, asked) for model in (kernel, trees))
    return (1 - _SHARE_OF_TREES) * smooth + _SHARE_OF_TREES * stepped


def exact_kernel(layout: Layout, rows: Rows, target: Values, asked: Rows) -> Values:
    known, wanted = layout.features(rows), layout.features(asked)
    centre, width = known.mean(0), known.std(0)
    width = np.where(width > 0, width, 1.0) * np.sqrt(known.shape[1])
    known, wanted = (known - centre) / width, (wanted - centre) / width
    mean, variance = target.mean(), target.var()
    system = _matern(known, known) + known @ known.T + _NOISE * np.eye(len(known))
    weights = cho_solve(cho_factor(system), (target - mean) / np.sqrt(variance))
    return np.asarray(mean + np.sqrt(variance) * (_matern(wanted, known) + wanted @ known.T) @ weights)


MODELS: dict[str, Model] = {
    "multiply-adds alone": madds,
    "linear in one-hot choices": ridge(steps),
    "linear in pairs of choices": ridge(pairs),
    "boosted trees, on choices and sums over units": trees,
    "kernel ridge (Matern 3/2 + linear) on the same, 1,200 inducing points": kernel,
    "the average of the last two": average,
    "exact kernel ridge, which would have to store the tables": exact_kernel,
}


def left_out_tau(model: Model, table: AccuracyTable) -> float:
    """Return Kendall's tau of predictions of left-out networks, with the folds of `nas predictor fit`."""
    fold = np.random.default_rng(0).permutation(len(table.rows)) % _FOLDS
    predicted = np.empty(len(table.rows))
    for held_out in range(_FOLDS):
        known = fold != held_out
        predicted[~known] = model(table.layout, table.rows[known], table.top1[known], table.rows[~known])
    return float(kendalltau(predicted, table.top1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="CSV files of accuracies, as `nas predictor fit` reads")
    tables = [load_accuracy_table(path) for path in parser.parse_args().tables]
    print("| model | tau, " + " / ".join(f"`{table.layout.name}`" for table in tables) + " |\n|---|---|")
    with threadpool_limits(limits=1):
        for name, model in MODELS.items():
            print(f"| {name} | {' / '.join(f'{left_out_tau(model, table):.3f}' for table in tables)} |", flush=True)


if __name__ == "__main__":
    main()
