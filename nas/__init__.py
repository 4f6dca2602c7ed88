"""Find the network that fits a phone: search, training, runs, export, report and the command line.

    >>> import nas
    >>> found = nas.search(60, device="pixel", evaluations=2_000)
    >>> found.winner.architecture.madds < 300_000_000
    True

`docs/api.md` shows the rest. Importing this package is cheap: `search` is imported when it is used.
"""

from typing import TYPE_CHECKING

from searchspace.support.lazy import imported_when_used

if TYPE_CHECKING:
    from nas.api import Found, search

__version__ = "0.1.0"
__all__ = ["Found", "__version__", "search"]

__getattr__ = imported_when_used(__name__, {"Found": "nas.api", "search": "nas.api"})
