"""The pages of a finished cell search and of a cell network's training made anew from log and result."""

from __future__ import annotations

from nas.jobs.cells.page import search_page, training_page
from nas.jobs.epochs import LOG, read_epochs
from nas.runs import RunFolder
from searchspace.cells import parse_cells
from searchspace.support.errors import UserError


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page; raises UserError for a run of before its epochs were logged."""
    result = folder.result()
    settings, about = folder.started_with()
    if not folder.file(LOG).is_file():
        raise UserError(f"{folder.path} is of an earlier version, which kept no {LOG}: its page stays as it is")
    make = search_page if about["job"] == "cells search" else training_page
    return make(result, read_epochs(folder), parse_cells(result["network"]), settings)
