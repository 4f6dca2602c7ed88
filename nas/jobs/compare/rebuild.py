"""The page of a finished comparison made anew from its result."""

from __future__ import annotations

from nas.jobs.compare.page import compare_page
from nas.runs import RunFolder


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page."""
    return compare_page(folder.result())
