"""What says how accurate a network is: the predictor, a trained supernet, or a table of known accuracies."""

from nas.evaluators._base import Evaluator, check_top1
from nas.evaluators._predictor import PredictorEvaluator
from nas.evaluators._supernet import SupernetEvaluator
from nas.evaluators._table import AccuracyRows, TableEvaluator, load_table_evaluator
from nas.evaluators._train import EpochTold, TrainEvaluator

__all__ = [
    "AccuracyRows",
    "EpochTold",
    "Evaluator",
    "PredictorEvaluator",
    "SupernetEvaluator",
    "TableEvaluator",
    "TrainEvaluator",
    "check_top1",
    "load_table_evaluator",
]
