"""One set of weights for all networks of a search space."""

from searchspace.supernet.start import Started, start_from
from searchspace.supernet.statistics import recalibrate
from searchspace.supernet.supernet import Supernet, resized

__all__ = ["Started", "Supernet", "recalibrate", "resized", "start_from"]
