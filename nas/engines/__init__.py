"""Where tasks run: one after another in this process, or side by side on Ray; same interface, same results.

`open_engine("ray", address="auto")` gives an engine; `engine.map(function, arguments, names=..., shared=...)` returns
the results in the order of the arguments, whatever order they finished in.
"""

from nas.engines._base import Engine
from nas.engines._in_process import InProcessEngine
from nas.engines._open import ENGINE_NAMES, open_engine

__all__ = ["ENGINE_NAMES", "Engine", "InProcessEngine", "open_engine"]
