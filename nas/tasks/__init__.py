"""What a network is trained for: loss, target, metric and head of a task in one object.

Targets are tensors with one row an image: class indices (n,) for classification; boxes (n, boxes, 5), each class and
cy, cx, h, w from 0 to 1, class -1 where there is none, for detection; class indices (n, size, size), 255 where the
pixel does not count, for segmentation.
"""

from nas.tasks._base import Meter, Task, TaskScore
from nas.tasks._classification import CLASSIFICATION, Classification
from nas.tasks._names import DEFAULT_HEADS, TASKS, task_for

__all__ = [
    "CLASSIFICATION",
    "DEFAULT_HEADS",
    "TASKS",
    "Classification",
    "Meter",
    "Task",
    "TaskScore",
    "task_for",
]
