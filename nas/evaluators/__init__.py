"""What says how accurate a network is: the predictor, or a trained supernet."""

from nas.evaluators._base import Evaluator, check_top1
from nas.evaluators._predictor import PredictorEvaluator
from nas.evaluators._supernet import SupernetEvaluator

__all__ = ["Evaluator", "PredictorEvaluator", "SupernetEvaluator", "check_top1"]
