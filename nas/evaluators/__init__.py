"""What says how accurate a network is: the predictor, a supernet, a short training, a table, or a zero-cost score."""

from nas.evaluators._base import Evaluator, check_top1
from nas.evaluators._predictor import PredictorEvaluator
from nas.evaluators._supernet import SupernetEvaluator
from nas.evaluators._table import AccuracyRows, TableEvaluator, load_table_evaluator
from nas.evaluators._train import EpochTold, TrainEvaluator
from nas.evaluators._zero_cost import SCORES, ZeroCostEvaluator

__all__ = [
    "SCORES",
    "AccuracyRows",
    "EpochTold",
    "Evaluator",
    "PredictorEvaluator",
    "SupernetEvaluator",
    "TableEvaluator",
    "TrainEvaluator",
    "ZeroCostEvaluator",
    "check_top1",
    "load_table_evaluator",
]
