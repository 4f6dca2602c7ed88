"""How long NetAdapt takes to plan all proposals of an iteration, and whether each saves what it was asked to.

    OMP_NUM_THREADS=1 python -m benchmarks.netadapt_planning [--device pixel] [--reduction 0.01]

For every reference network: how many proposals, milliseconds of processor time for the first iteration (nothing
priced yet) and for a later one, and the largest overshoot of a proposal beyond the reduction it was asked for, in
channel steps (at most 1 by construction).
"""

from __future__ import annotations

import argparse
import time

from latency_lut.devices import load_device
from netadapt.groups import Part
from netadapt.proposals import Proposal, Widths, plan
from netadapt.resources import Latency, Pricer
from netadapt.widths import resized
from searchspace.architecture import Architecture
from searchspace.reference import reference

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "mnasnet_a1", "mobilenext")
NEVER = -1.0


def timed_plan(
    architecture: Architecture, pricer: Pricer, budget: float, widths: Widths
) -> tuple[float, list[Proposal]]:
    """Return milliseconds of processor time, and the proposals."""
    started = time.process_time()
    proposals = plan(architecture, pricer, budget, NEVER, widths)
    return 1e3 * (time.process_time() - started), proposals


def overshoot(architecture: Architecture, pricer: Pricer, budget: float, proposal: Proposal, widths: Widths) -> float:
    """Return by how many channel steps a proposal saves more than asked: the excess over what one step saves."""
    candidates = widths.candidates(tuple(architecture.placed_blocks()), proposal.group)
    index = candidates.index(proposal.width)
    wider = pricer.price(resized(architecture, {proposal.group: candidates[index - 1]})) if index else None
    before = wider.value if wider is not None else pricer.price(architecture).value
    return (budget - proposal.cost.value) / (before - proposal.cost.value)


def main() -> None:
    """Print one line a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="pixel")
    parser.add_argument("--reduction", type=float, default=0.01)
    given = parser.parse_args()
    table, widths = load_device(given.device), Widths(parts=frozenset(Part))
    print(f"{'network':22} proposals  first ms  later ms  overshoot in steps")
    for name in NETWORKS:
        architecture = reference(name)
        pricer = Pricer(Latency(table), architecture)
        budget = (1 - given.reduction) * pricer.price(architecture).value
        first, proposals = timed_plan(architecture, pricer, budget, widths)
        later = min(timed_plan(architecture, pricer, budget, widths)[0] for _ in range(10))
        worst = max(overshoot(architecture, pricer, budget, proposal, widths) for proposal in proposals)
        print(f"{name:22} {len(proposals):9} {first:9.1f} {later:9.1f} {worst:19.2f}")


if __name__ == "__main__":
    main()
