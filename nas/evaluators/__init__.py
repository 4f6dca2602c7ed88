"""What says how accurate a network is: the predictor, a trained supernet, or a table of known accuracies."""

from nas.evaluators._base import Evaluator, check_top1
from nas.evaluators._predictor import PredictorEvaluator
from nas.evaluators._supernet import SupernetEvaluator
from nas.evaluators._table import AccuracyRows, TableEvaluator, load_table_evaluator

__all__ = [
    "AccuracyRows",
    "Evaluator",
    "PredictorEvaluator",
    "SupernetEvaluator",
    "TableEvaluator",
    "check_top1",
    "load_table_evaluator",
]
