"""Saying what it does to a network to run at another resolution or with other strides than its own."""

from __future__ import annotations

from latency_lut.predict import predict
from latency_lut.table import LatencyTable
from searchspace.architecture import Architecture
from searchspace.low_resolution import RunForm


def change_of_form(
    given: Architecture, asked: Architecture, form: RunForm, table: LatencyTable | None = None
) -> str | None:
    """Return in one sentence how what runs differs from the network `given`; None where it does not.

    `asked` is the network after the resolution that the user gave, if any. Latencies are told where a `table` is
    known, multiply-adds always.
    """
    running = form.of(asked)
    if running == given.with_classes(running.classes):
        return None
    cause = "as asked" if asked.resolution != given.resolution else "the size of the images"
    size = f"runs at {running.resolution} px ({cause}) in place of {given.resolution} px"
    parts = [size] if running.resolution != given.resolution else []
    if form.dropped_strides:
        parts.append(f"its first {form.dropped_strides} stride(s) of 2 are dropped")
    cost = f"{given.madds / 1e6:.1f} M multiply-adds become {running.madds / 1e6:.1f} M"
    if table is not None:
        before, after = (predict(table, one, True).latency_ms for one in (given, running))
        cost += f", predicted {before:.1f} ms on {table.provenance.device} become {after:.1f} ms"
    return f"the network {' and '.join(parts)}: {cost}"
