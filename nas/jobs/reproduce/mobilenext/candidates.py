"""Networks of sandglasses and of inverted residuals whose predicted latency is that of MobileNetV2 at a width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from latency_lut import LatencyTable, predict
from latency_lut.devices import load_device
from searchspace.architecture import Architecture
from searchspace.reference import reference

DEVICE = "pixel"
PLAIN = "inverted residual"
# The share of a sandglass' channels to which its shortcut adds (section 3.2 of the paper).
SHARES = {PLAIN: None, "sandglass, 1": Fraction(1), "sandglass, 1/2": Fraction(1, 2),
          "sandglass, 1/3": Fraction(1, 3), "sandglass, 1/6": Fraction(1, 6)}  # fmt: skip
_WIDTH_STEP = 0.025


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network of one block whose predicted latency is nearest that of MobileNetV2 at a width."""

    width: str  # MobileNetV2's, whose latency is the target
    target_ms: float
    block: str
    multiplier: str  # the width of the network itself
    network: Architecture
    latency_ms: float

    def key(self, recipe: str) -> str:
        """Return the name of its figures."""
        return f"V2 {self.width}, {self.block}, {recipe}"

    def folder(self, recipe: str, seed: int) -> str:
        """Return the name of the folder of a training."""
        name = f"{self.width}-{self.block}-{recipe}-{seed}"
        return name.replace(", ", "-").replace("/", "of").replace(" ", "-")


def with_identity(network: Architecture, share: Fraction) -> Architecture:
    """Return a network of sandglasses whose shortcuts add to that share of the channels."""
    return replace(network, blocks=tuple(block.with_fields(identity=share) for block in network.blocks))


def at_latency(
    base: str, share: Fraction | None, target_ms: float, table: LatencyTable
) -> tuple[str, Architecture, float]:
    """Return the width of a reference network whose predicted latency is nearest the target, the network, its latency.

    Widths are tried in steps of 1/40.
    """
    tried = []
    for step in range(8, 61):
        width = f"{step * _WIDTH_STEP:.3f}".rstrip("0").ljust(3, "0")
        network = reference(base if float(width) == 1 else f"{base}_{width}")
        network = network if share is None else with_identity(network, share)
        tried.append((width, network, predict(table, network, allow_extrapolation=True).latency_ms))
    return min(tried, key=lambda one: abs(one[2] - target_ms))


def candidates(widths: Sequence[str], blocks: Sequence[str]) -> list[Candidate]:
    """Return a network of every block at the predicted latency of MobileNetV2 at every width."""
    table = load_device(DEVICE)
    found = []
    for width in widths:
        target_ms = predict(table, reference(f"mobilenet_v2_{width}" if width != "1.0" else "mobilenet_v2")).latency_ms
        for block in blocks:
            base = "mobilenet_v2" if SHARES[block] is None else "mobilenext"
            multiplier, network, latency_ms = at_latency(base, SHARES[block], target_ms, table)
            found.append(
                Candidate(width=width, target_ms=target_ms, block=block, multiplier=multiplier, network=network,
                          latency_ms=latency_ms)
            )  # fmt: skip
    return found
