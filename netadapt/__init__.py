"""Slim a network, width by width, until it fits a budget of latency, multiply-adds or parameters.

`groups(architecture)` says which widths must change together and `plan` finds, for each, the largest width that saves
enough. `adapt` is the loop of NetAdapt (Yang et al., ECCV 2018) in both its published forms; how a proposal is
fine-tuned and scored is a function it is given.
"""

from netadapt.groups import Group, Part, find_group, groups

__all__ = ["Group", "Part", "find_group", "groups"]
