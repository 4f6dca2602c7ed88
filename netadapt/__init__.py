"""Slim a network, width by width, until it fits a budget of latency, multiply-adds or parameters.

`groups(architecture)` says which widths must change together; `netadapt.proposals.plan` finds, for each, the largest
width that saves enough; `netadapt.iterations.adapt` is the loop of NetAdapt (Yang et al., ECCV 2018) in both its
published forms. How a proposal is fine-tuned and scored is a function it is given.
"""

from netadapt.groups import Group, Part, find_group, groups

__all__ = ["Group", "Part", "find_group", "groups"]
