"""The page of a finished training made anew from its log and result."""

from __future__ import annotations

from dataclasses import fields

from nas.jobs.epochs import read_epochs
from nas.jobs.train.page import train_page
from nas.jobs.train.settings import TrainSettings
from nas.runs import RunFolder
from searchspace.support.errors import UserError
from searchspace.text import parse


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page; raises UserError for a detector or segmenter, which has none."""
    result = folder.result()
    if "task" in result:
        raise UserError(f"{folder.path} is a training for {result['task']}, which has no page: nothing was made again")
    chosen, _ = folder.started_with()
    asked = {field.name: chosen[field.name] for field in fields(TrainSettings) if field.name in chosen}
    return train_page(result, read_epochs(folder), parse(result["runs_as"]), asked)
