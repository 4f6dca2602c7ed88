"""ImageNet top-1 without ImageNet: predictors fitted to published accuracies of thousands of networks.

`score_network(architecture)` is the short way; `shipped_predictor(space)` gives the model behind it. Predictors exist
for the spaces `mobilenetv3` and `mnasnet`.
"""

from nas.predictor._coverage import covered_part, nearest_member
from nas.predictor._fit import agreement, fit_predictor
from nas.predictor._layouts import Total
from nas.predictor._model import Agreement, Predictor, import_lightgbm_alone
from nas.predictor._rows import AccuracyTable, load_accuracy_table
from nas.predictor._score import PredictedScore, score_network
from nas.predictor._store import load_predictor, save_predictor, shipped_predictor

__all__ = [
    "AccuracyTable",
    "Agreement",
    "PredictedScore",
    "Predictor",
    "Total",
    "agreement",
    "covered_part",
    "fit_predictor",
    "import_lightgbm_alone",
    "load_accuracy_table",
    "load_predictor",
    "nearest_member",
    "save_predictor",
    "score_network",
    "shipped_predictor",
]
