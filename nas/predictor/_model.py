"""The fitted predictor: kernel ridge and boosted trees, averaged.

Kendall tau on networks left out (MobileNetV3 space, MnasNet space): trees alone 0.955 and 0.916, kernel ridge alone
0.968 and 0.924, a quarter of the one and three quarters of the other 0.969 and 0.928.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.predictor._kernel import KernelModel
from nas.predictor._layouts import LAYOUTS, Features, Layout, Rows
from searchspace.support.errors import UserError
from searchspace.support.optional import optional_import

_OTHER_INTERFACES = ("dask", "dask.dataframe", "matplotlib", "pandas", "pyarrow", "sklearn")
# Scores are rounded so that the last bits, which depend on how many networks are scored at once, decide nothing.
_DECIMALS = 4


@dataclass(frozen=True)
class Agreement:
    """How well predictions match known top-1: rank correlations, mean and 90 % quantile of the error in points."""

    count: int
    kendall: float
    spearman: float
    mae: float
    error_90: float


@dataclass(frozen=True)
class Predictor:
    """Predicts the top-1, in percent, of networks of one space.

    `left_out` comes from cross-validation on the `rows` networks of the table, `best` is the highest top-1 among them.
    """

    layout: Layout
    rows: int
    best: float
    left_out: Agreement
    made_with: Mapping[str, str]
    mean: float
    deviation: float
    share_of_trees: float
    kernel: KernelModel
    trees: str = field(repr=False)
    fingerprint: str = ""

    def top1(self, rows: Rows) -> NDArray[np.float64]:
        """Return top-1 in percent, shape (n,), for rows of shape (n, columns of the layout)."""
        features = self.layout.features(rows)
        # Batches of a search are too small to share: threads would wait for each other more than they work.
        with self._thread_pools.limit(limits=1, user_api="blas"):
            smooth = self.kernel.predict(features, self._point_features)
        stepped = np.asarray(self.booster.predict(features, num_threads=1)) if len(rows) else np.empty(0)
        blend = (1 - self.share_of_trees) * smooth + self.share_of_trees * stepped
        return np.round(self.mean + self.deviation * blend, _DECIMALS)

    def __getstate__(self) -> dict[str, Any]:
        """Return what travels to another process: the trees and points, not the libraries opened for them here."""
        opened = ("_thread_pools", "_booster")
        return {name: value for name, value in vars(self).items() if name not in opened}

    @cached_property
    def _point_features(self) -> Features:
        return self.layout.features(self.kernel.points)

    @cached_property
    def _thread_pools(self) -> Any:
        from threadpoolctl import ThreadpoolController

        return ThreadpoolController()

    @cached_property
    def booster(self) -> Any:
        """The trees as a `lightgbm.Booster`; raises UserError where they cannot be read."""
        lightgbm = import_lightgbm()
        try:
            return lightgbm.Booster(model_str=self.trees)
        except lightgbm.basic.LightGBMError as error:
            raise UserError(f"the trees of the {self.layout.name} predictor cannot be read: {error}") from None


def import_lightgbm() -> Any:
    """Return the lightgbm module; raises UserError that says what to install."""
    return optional_import("lightgbm", purpose="the accuracy predictor")


def import_lightgbm_alone() -> None:
    """Import lightgbm without the packages of its other interfaces, which take four times as long as it does.

    For processes of our own: whoever imports lightgbm later finds it without its interface to scikit-learn.
    """
    hidden = [name for name in _OTHER_INTERFACES if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: cannot be imported
    try:
        import_lightgbm()
    finally:
        for name in hidden:
            del sys.modules[name]


def layout_named(name: str) -> Layout:
    """Return the layout of a space; raises UserError for a space without accuracies."""
    if name not in LAYOUTS:
        raise UserError(
            f"no ImageNet accuracies are known for the space {name!r}, only for {' and '.join(LAYOUTS)}: "
            "choose one of these, or give --data to train and score the space's networks on images"
        )
    return LAYOUTS[name]
