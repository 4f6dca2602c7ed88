"""The page of a finished ranking made anew from its result and its table of networks."""

from __future__ import annotations

import csv
import io

from nas.jobs.rank.files import NETWORKS
from nas.jobs.rank.page import rank_page
from nas.runs import RunFolder
from searchspace.support.errors import UserError
from searchspace.support.files import read_text


def page_again(folder: RunFolder) -> str:
    """Return the HTML text of the page; raises UserError for a table of networks that cannot be read."""
    path = folder.file(NETWORKS)
    rows = list(csv.DictReader(io.StringIO(read_text(path, "table of networks"))))
    try:
        columns = {
            name: [row[name] if name == "genotype" else float(row[name]) for row in rows] for name in (rows or [{}])[0]
        }
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is no table of networks: {error}") from None
    return rank_page(folder.result(), columns)
