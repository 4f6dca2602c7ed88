"""Slim a network, width by width, until it fits a budget of latency, multiply-adds or parameters.

`groups(architecture)` says which widths must change together; `plan` finds, for each, the largest width that saves
enough; `resized` gives the network at other widths and `prune` its weights; `adapt` is the loop of NetAdapt (Yang et
al., ECCV 2018) in both its published forms. How a proposal is fine-tuned and scored is a function it is given.
"""

from typing import TYPE_CHECKING

from netadapt.groups import Group, Part, find_group, groups
from searchspace.support.lazy import imported_when_used

if TYPE_CHECKING:
    from netadapt.iterations import Position, Problem, adapt
    from netadapt.proposals import plan
    from netadapt.pruning import prune
    from netadapt.widths import resized

__getattr__ = imported_when_used(
    __name__,
    {
        "Position": "netadapt.iterations",
        "Problem": "netadapt.iterations",
        "adapt": "netadapt.iterations",
        "plan": "netadapt.proposals",
        "prune": "netadapt.pruning",
        "resized": "netadapt.widths",
    },
)

__all__ = ["Group", "Part", "Position", "Problem", "adapt", "find_group", "groups", "plan", "prune", "resized"]
