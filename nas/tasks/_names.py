"""The tasks by name, and the head each one takes where none is asked for; loads nothing slow to load."""

from __future__ import annotations

from types import MappingProxyType

from nas.tasks._base import Task
from searchspace.heads import SSDLite, TaskHead
from searchspace.support.errors import UserError

DEFAULT_HEADS = MappingProxyType({"detection": "ssdlite", "segmentation": "lraspp"})
TASKS = ("classification", *DEFAULT_HEADS)


def task_for(head: TaskHead, image_size: int) -> Task:
    """Return the task that a head is trained for, on images of so many pixels a side."""
    if isinstance(head, SSDLite):
        from nas.tasks.detection import Detection

        return Detection(head, image_size)
    if head.task != "segmentation":
        raise UserError(f"no task is known for the head {head.name}")
    from nas.tasks.segmentation import Segmentation

    return Segmentation(head.classes)
