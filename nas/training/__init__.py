"""Training and evaluating single networks; `recipes` can be read without loading torch."""

from typing import TYPE_CHECKING, Any

from nas.training.recipes import RECIPES, Recipe, recipe

if TYPE_CHECKING:
    from nas.training.evaluation import Accuracy, evaluate
    from nas.training.execution import Execution, default_execution
    from nas.training.fine_tuning import fine_tune
    from nas.training.history import EpochRecord, History
    from nas.training.loop import train

_LAZY = {
    "Accuracy": "evaluation",
    "evaluate": "evaluation",
    "Execution": "execution",
    "default_execution": "execution",
    "fine_tune": "fine_tuning",
    "EpochRecord": "history",
    "History": "history",
    "train": "loop",
}

__all__ = [
    "RECIPES",
    "Accuracy",
    "EpochRecord",
    "Execution",
    "History",
    "Recipe",
    "default_execution",
    "evaluate",
    "fine_tune",
    "recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import the parts that need torch when they are first used."""
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"nas.training.{_LAZY[name]}"), name)
