"""Trained weights from anywhere: one reader, and what belongs to weights beside their numbers.

`open_weights` reads this project's files, TFLite classifiers, an npz of convolutions, and state dicts of timm and
torchvision. `Preparation` and `WeightsInfo` travel with weights into training, export and results.
"""

from nas.weights.info import IMAGENET_CROP, Preparation, WeightsInfo
from nas.weights.open import Weights, open_weights

__all__ = ["IMAGENET_CROP", "Preparation", "Weights", "WeightsInfo", "open_weights"]
