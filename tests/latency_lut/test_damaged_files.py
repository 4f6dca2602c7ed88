"""Files of tables and times, damaged at random: a value or the project's own error, in little memory."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from latency_lut import LatencyTable, Precision
from latency_lut.formats import read_block_table
from latency_lut.measure.journal import Measurement, MeasurementLog
from latency_lut.measure.references import COMPUTE, REFERENCES, References
from latency_lut.networkfiles import read_samples
from latency_lut.samples import Target
from searchspace.support.errors import UserError
from searchspace.support.testing import MEGABYTES, ReaderConformance

PIXEL4 = Target("pixel4", Precision.FLOAT32)
PIXEL1 = Target("pixel1", Precision.FLOAT32, unlabelled=True)
TIMES = "model,latency_ms,device,runtime,threads,precision\nmobilenet_v2,76,Pixel 1,TFLite,1,float\nmnasnet_a1,86,,,,\n"
TUNAS = "block_type,stage,resolution,channels,kernel,expansion,se,act,latency_ms\n"
TUNAS += "DepthwiseBottleneck,1,56,16,3,2.0,1,relu,2.1\n"
SINGLE_PATH = "block,kernel,expansion,latency_ms\n1,3,3,3.98\n9,5,6,2.5\n"
NN_METER = (
    "device,set,hw_in,cin,cout,expand,stride,act,kernel,se,latency_ms\npixel1,v3,64,16,16,1,1,hard_swish,5,0,0.92\n"
)
PROXYLESS = "Conv-input:224x224x3-output:112x112x32:\n  count: 50\n  mean: 5.1\n  std: 0.2\n"
ONCE_FOR_ALL = (
    "expanded_conv-input:28x28x40-output:28x28x40-expand:120-kernel:5-stride:1-idskip:1-se:1-hs:0:\n"
    "  {mean: 1.5, var: 0.01, count: 50}\nAvgPool2D-input:7x7x960-output:1x1x960: {mean: 0.1, count: 50}\n"
)
END_TO_END = (
    "network,pixel4_1large_float_mean_ms,pixel4_1large_quant_mean_ms,s10_1large_float_mean_ms,s10_1large_quant_mean_ms\n"
    "fdmobilenet_wd4,27.1,20.3,25.5,60\nfdmobilenet_wd4,21.0,,19,\n"
)
NN_METER_JSON = '{"AvgPool2D-input:7x7x960-output:1x1x960": {"count": 500, "mean": 0.1, "var": 0.01}}'
READERS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "times": (".csv", TIMES, lambda path: read_samples(path, PIXEL1)),
    "tunas": (".csv", TUNAS, lambda path: read_samples(path, PIXEL1)),
    "single path": (".csv", SINGLE_PATH, lambda path: read_samples(path, PIXEL1)),
    "nn-meter": (".csv", NN_METER, lambda path: read_samples(path, PIXEL1)),
    "proxylessnas": (".yaml", PROXYLESS, read_block_table),
    "once-for-all": (".yaml", ONCE_FOR_ALL, read_block_table),
    "end to end": (".csv", END_TO_END, lambda path: read_samples(path, PIXEL4)),
    "journal": (".partial", "", lambda path: MeasurementLog(path, {}).close()),
    "nn-meter json": (".json", NN_METER_JSON, read_block_table),
    "table": (".csv", "", LatencyTable.load),
}


def whole(reader: str, table: LatencyTable, path: Path) -> None:
    """Write a file that can be read."""
    match reader:
        case "table":
            table.save(path)
        case "journal":
            journal = MeasurementLog(path, {})
            journal.append({COMPUTE: Measurement(0.2, 0.01, 31, References((0.2,) * len(REFERENCES)))})
            journal.close()
        case _:
            path.write_text(READERS[reader][1])


class LatencyFile(ReaderConformance):
    name = ""

    @pytest.fixture(autouse=True)
    def _with_table(self, table: LatencyTable) -> None:
        self.table = table

    def write(self, folder: Path) -> Path:
        path = folder / f"file{READERS[self.name][0]}"
        whole(self.name, self.table, path)
        return path

    def read(self, path: Path) -> object:
        return READERS[self.name][2](path)


for _name in READERS:
    _class = f"Test{_name.title().replace(' ', '').replace('-', '')}"
    globals()[_class] = type(_class, (LatencyFile,), {"name": _name})


def test_a_list_of_millions_is_stopped_while_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text("[" + "1," * 2_000_000 + "1]")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="more values than any file"):
        read_block_table(path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEGABYTES


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b", "\n"])
def test_a_note_that_would_load_as_another_is_neither_written_nor_read(
    table: LatencyTable, tmp_path: Path, mark: str
) -> None:
    noted = table.with_provenance(replace(table.provenance, notes=f"first{mark}second"))
    with pytest.raises(UserError, match="notes: expected one line of printable text"):
        noted.save(tmp_path / "table.csv")
    assert not list(tmp_path.iterdir())
