"""Fitting a predictor to an accuracy table; on one machine the same table gives the same file each time."""

from __future__ import annotations

from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from nas.predictor._kernel import fit_kernel
from nas.predictor._layouts import Layout, Rows
from nas.predictor._model import Agreement, Predictor, import_lightgbm
from nas.predictor._rows import AccuracyTable
from searchspace.support.errors import UserError

_FOLDS = 5
_LEAST_ROWS = 50
_POINTS = 1200
_SHARE_OF_TREES = 0.25
_TREES = 400
_BOOSTING = {
    "objective": "l2",
    "learning_rate": 0.06,
    "num_leaves": 8,
    "min_data_in_leaf": 5,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


def fit_predictor(table: AccuracyTable, seed: int = 0) -> Predictor:
    """Fit to all rows of a table; the error comes from five-fold cross-validation.

    Raises UserError when the table has fewer than 50 networks or lightgbm is not installed.
    """
    count = len(table.rows)
    if count < _LEAST_ROWS:
        raise UserError(f"an accuracy table of {count} networks is too small to fit, expected {_LEAST_ROWS} or more")
    fold = np.random.default_rng(seed).permutation(count) % _FOLDS
    predicted = np.empty(count)
    for held_out in range(_FOLDS):
        fitted = _fit(table.layout, table.rows[fold != held_out], table.top1[fold != held_out], seed)
        predicted[fold == held_out] = fitted.top1(table.rows[fold == held_out])
    whole = _fit(table.layout, table.rows, table.top1, seed)
    return Predictor(**{**vars(whole), "left_out": agreement(predicted, table.top1)})


def _fit(layout: Layout, rows: Rows, top1: NDArray[np.float64], seed: int) -> Predictor:
    import scipy.linalg  # noqa: F401 - before the limit, which holds for libraries already loaded
    from threadpoolctl import threadpool_limits

    lightgbm = import_lightgbm()
    mean, deviation = float(top1.mean()), float(top1.std()) or 1.0
    target = (top1 - mean) / deviation
    with threadpool_limits(limits=1, user_api="blas"):  # the number of threads would show in the last digits
        kernel = fit_kernel(layout, rows, target, _POINTS, np.random.default_rng(seed))
    data = lightgbm.Dataset(layout.features(rows), target)
    trees = lightgbm.train({**_BOOSTING, "seed": seed}, data, num_boost_round=_TREES)
    return Predictor(
        layout=layout,
        rows=len(rows),
        best=float(top1.max()),
        left_out=Agreement(0, np.nan, np.nan, np.nan, np.nan),
        made_with={package: metadata.version(package) for package in ("numpy", "lightgbm")},
        mean=mean,
        deviation=deviation,
        share_of_trees=_SHARE_OF_TREES,
        kernel=kernel,
        trees=trees.model_to_string(),
    )


def agreement(predicted: NDArray[np.float64], top1: NDArray[np.float64]) -> Agreement:
    """Compare predicted with known accuracies, both (n,) in percent.

    Raises UserError when the known accuracies have no order: one network, or all equal.
    """
    from scipy.stats import kendalltau, spearmanr

    if len(np.unique(top1)) < 2:
        raise UserError(f"ranks need networks of different accuracies, the {len(top1)} given have all the same")
    error = np.abs(predicted - top1)
    tied = len(np.unique(predicted)) < 2
    return Agreement(
        count=len(top1),
        kendall=0.0 if tied else float(kendalltau(predicted, top1).statistic),
        spearman=0.0 if tied else float(spearmanr(predicted, top1).statistic),
        mae=float(error.mean()),
        error_90=float(np.quantile(error, 0.9)),
    )
