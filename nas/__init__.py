"""Find the network that fits a phone: search, training, runs, export, report and the command line.

    >>> import nas
    >>> found = nas.search(60, device="pixel", evaluations=2_000)
    >>> found.winner.architecture.madds < 300_000_000
    True

`docs/api.md` shows the rest. Importing this package is cheap: `search` is imported when it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import Found, search

__version__ = "0.1.0"
__all__ = ["Found", "__version__", "search"]


def __getattr__(name: str) -> Any:
    # Not by `searchspace.support.lazy`: importing that package costs `nas --help` a third of its time.
    if name not in ("Found", "search"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nas import api

    return getattr(api, name)
