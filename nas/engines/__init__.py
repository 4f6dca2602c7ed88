"""Where tasks run: one after another in this process, in a pool of processes, or on Ray; same interface and results.

`open_engine("ray", address="auto")` gives an engine; `engine.map(function, arguments, names=..., shared=...)` returns
the results in the order of the arguments, whatever order they finished in.
"""

from nas.engines._base import ATTEMPTS, Engine, Failure
from nas.engines._in_process import InProcessEngine
from nas.engines._open import ENGINE_NAMES, open_engine, watching_engine

__all__ = ["ATTEMPTS", "ENGINE_NAMES", "Engine", "Failure", "InProcessEngine", "open_engine", "watching_engine"]
