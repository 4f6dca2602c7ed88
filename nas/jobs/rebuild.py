"""The page of a finished run made anew from its folder, by the job that it is a run of; nothing is done again."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from nas.runs import RunFolder
from nas.runs.folder import REPORT
from searchspace.support.errors import UserError

_PLACES = {
    "search": "nas.jobs.search.rebuild",
    "train": "nas.jobs.train.rebuild",
    "netadapt": "nas.jobs.slim.rebuild",
    "rank": "nas.jobs.rank.rebuild",
    "compare": "nas.jobs.compare.rebuild",
    "reproduce": "nas.jobs.reproduce.rebuild",
    "cells search": "nas.jobs.cells.rebuild",
    "cells train": "nas.jobs.cells.rebuild",
}


def rebuild_page(folder: RunFolder) -> Path:
    """Write `report.html` of a finished run again and return its path.

    Raises UserError for a run that has not finished, is of a job without a page or of before commands were noted, and
    for one that lacks what its page is made of.
    """
    folder.result()
    _, about = folder.started_with()
    job = str(about.get("job"))
    if job not in _PLACES:
        raise UserError(f"{folder.path} is a run of nas {job}, which has no page: nothing was made again")
    page: Callable[[RunFolder], str] = importlib.import_module(_PLACES[job]).page_again
    return folder.write(REPORT, page(folder))
