"""From block times to a table of single ops: what calibration does, for a table of another project.

The times of ops are inferred so that their sums explain the blocks; each block's error when it was left out goes into
the provenance and makes the interval.
"""

from __future__ import annotations

from dataclasses import replace

from latency_lut.calibrate.assemble import build_table, interval_pct, mean_abs_pct
from latency_lut.calibrate.costs import nominal_costs
from latency_lut.calibrate.deviations import allot
from latency_lut.calibrate.inference import infer
from latency_lut.calibrate.observations import observe
from latency_lut.formats.block_table import BlockTable
from latency_lut.provenance import Provenance, Scale
from latency_lut.samples import Sample
from latency_lut.table import LatencyTable
from searchspace.support.errors import UserError

_MOST_BLOCKS = 1000  # the time of the inference grows with their cube
_FEWEST_BLOCKS = 10
_RELATIVE_ERROR, _LEAST_ERROR_MS = 0.02, 0.005  # what sums of ops cannot explain of a block, one standard deviation
_INTERPOLATION_PCT = 4.0


def infer_table(blocks: BlockTable, provenance: Provenance) -> LatencyTable:
    """Return a table of single ops that explains the blocks, its errors filled into `provenance`.

    Of more than 1,000 blocks an evenly spaced part is used. Raises UserError for fewer than 10.
    """
    count = len(blocks.blocks)
    if count < _FEWEST_BLOCKS:
        raise UserError(f"{count} blocks are too few to tell the times of single ops, {_FEWEST_BLOCKS} are needed")
    used = blocks.blocks[:: -(-count // _MOST_BLOCKS)]
    samples = [Sample(block.key, "", block.ops, block.time.latency_ms, False) for block in used]
    ops = [op for sample in samples for op in sample.ops]
    nominal_ms = float(nominal_costs().latency_ms(ops).sum())
    start = nominal_costs(nominal_ms / sum(sample.latency_ms for sample in samples))
    inference = infer([observe(sample, _RELATIVE_ERROR, _LEAST_ERROR_MS) for sample in samples], start)
    errors = inference.left_out_errors
    completed = replace(
        provenance,
        points_used=len(used),
        left_out_error_pct=mean_abs_pct(errors),
        interpolation_error_pct=_INTERPOLATION_PCT,
        interval_pct=interval_pct(errors),
        scale=Scale(),
        views={},
    )
    doubt = allot(inference.process, inference.observations)
    return build_table(inference.process, set(ops), completed, doubt)
