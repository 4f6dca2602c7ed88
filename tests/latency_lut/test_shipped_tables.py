"""The tables that ship: what they cover, what they say of themselves, and how near they come to what was published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latency_lut import LatencyTable, Method, predict, predict_block
from latency_lut.calibrate.grid import table_networks
from latency_lut.calibrate.recipes import make_table, pixel1_inference, recipe_names
from latency_lut.devices import load_device, shipped_names
from latency_lut.networkfiles import read_samples
from latency_lut.validate import target_of, validate
from searchspace.architecture import Architecture
from searchspace.ops import Op, OpKind
from searchspace.reference import reference
from searchspace.space import load_space, space_names
from searchspace.support.errors import UserError

NAMES = ("pixel1", "pixel2", "pixel3", "pixel4", "galaxy_s10")
ALL = (*NAMES, *(f"{name}_int8" for name in NAMES))
# Left-out errors in percent that each table of rates is to keep: what three numbers reached, or the aim.
ROOFLINES = {
    "pixel6_int8": 5.0, "galaxy_s23_int8": 8.0, "galaxy_s23_gpu": 9.0, "pixel7_gpu": 21.0, "pixel4_hexagon_int8": 15.0,
    "pixel8_edgetpu_int8": 8.0, "iphone13_coreml": 18.0, "galaxy_s23_npu": 12.0, "galaxy_s24_npu": 12.0,
    "galaxy_s23_npu_int8": 25.0, "galaxy_s24_npu_int8": 25.0, "galaxy_s25_npu": 12.0, "galaxy_s25_npu_int8": 30.0,
    "hikey960": 17.0,
    "hikey960_int8": 5.0, "rk3399": 15.0, "rk3399_int8": 5.0, "raspberry_pi4": 8.0, "raspberry_pi4_int8": 5.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def pixel1() -> LatencyTable:
    return load_device("pixel")


@pytest.fixture(scope="module")
def some_networks() -> list[Architecture]:
    rng = np.random.default_rng(5)
    spaces = [load_space(name) for name in space_names()]
    return [space.decode(genotype) for space in spaces for genotype in space.sample(rng, 8)]


def test_every_shipped_table_has_a_recipe() -> None:
    assert set(shipped_names()) == {*ALL, *ROOFLINES} == set(recipe_names())


@pytest.mark.parametrize("name", (*ALL, *ROOFLINES))
def test_a_shipped_table_prices_every_network_and_says_how_it_was_made(
    name: str, some_networks: list[Architecture]
) -> None:
    table = load_device(name)
    made = table.provenance
    assert name == made.device + ("_int8" if made.precision == "int8" else "")
    assert made.method is Method.CALIBRATED
    assert made.points_used and made.left_out_error_pct and made.sources
    assert made.interval_pct >= 1.0
    for architecture in [*some_networks, *map(reference, table_networks())]:
        prediction = predict(table, architecture)
        assert 0 <= prediction.low_ms < prediction.latency_ms < prediction.high_ms
        assert not prediction.extrapolated


@pytest.mark.parametrize(
    ("name", "published_ms"),
    [
        ("mobilenet_v3_large", 51.0), ("mobilenet_v3_small", 15.8), ("mobilenet_v2", 64.0), ("mnasnet_a1", 71.0),
        ("proxylessnas_mobile", 72.0), ("mobilenet_v3_large_0.75", 39.0), ("mobilenet_v3_small_0.75", 12.8),
    ],
)  # fmt: skip
def test_pixel1_is_on_the_scale_of_table_3(pixel1: LatencyTable, name: str, published_ms: float) -> None:
    assert predict(pixel1, reference(name)).latency_ms == pytest.approx(published_ms, rel=0.018)


def half_width_pct(table: LatencyTable, architecture: Architecture) -> float:
    prediction = predict(table, architecture)
    return 100 * (prediction.high_ms / prediction.latency_ms - 1)


@pytest.mark.parametrize("name", ALL)
def test_intervals_are_wider_where_nobody_timed(name: str) -> None:
    table = load_device(name)
    timed = half_width_pct(table, reference("mobilenet_v2"))
    assert half_width_pct(table, reference("mobilenext")) > 1.1 * timed
    dense = predict_block(table, [Op(OpKind.CONV, 28, 128, 128, 5)])
    pointwise = predict_block(table, [Op(OpKind.CONV, 28, 128, 128)])
    assert dense.high_ms / dense.latency_ms > pointwise.high_ms / pointwise.latency_ms


def test_wider_deeper_and_larger_networks_take_longer(pixel1: LatencyTable) -> None:
    widths = ["_0.35", "_0.5", "_0.75", "", "_1.3", "_1.4"]
    by_width = [predict(pixel1, reference(f"mobilenet_v2{width}")).latency_ms for width in widths]
    assert by_width == sorted(by_width)
    sizes = (96, 112, 128, 160, 192, 208, 224, 256)
    by_size = [predict(pixel1, reference("mobilenet_v3_large").with_resolution(s)).latency_ms for s in sizes]
    assert by_size == sorted(by_size)


@pytest.mark.parametrize(
    ("name", "file", "mean_pct"),
    [
        ("pixel1", "tunas_pixel1_residual_blocks.csv", 0.5),
        ("pixel1", "published_endpoints.csv", 2.0),
        ("pixel1", "singlepath_pixel1_blocks.csv", 8.0),
        ("pixel2", "published_endpoints.csv", 4.0),
        ("pixel3", "published_endpoints.csv", 6.0),
        ("pixel3_int8", "published_endpoints.csv", 6.0),
    ],
)
def test_tables_reproduce_what_they_were_made_from(shared_data: Path, name: str, file: str, mean_pct: float) -> None:
    table = load_device(name)
    figures = validate(table, read_samples(shared_data / "latency" / file, target_of(table))).scores()
    assert figures["count"]
    assert figures["mean_abs_pct"] is not None
    assert figures["mean_abs_pct"] < mean_pct


@pytest.mark.parametrize("name", ["pixel4", "galaxy_s10_int8"])
def test_end_to_end_networks_are_reproduced(shared_data: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("pytorchcv")
    lines = (shared_data / "latency" / "tflite_end_to_end_pixel4_s10.csv").read_text().splitlines()
    small = [line for line in lines[1:] if line.startswith(("fdmobilenet", "mobilenetv3_small_w1", "mobilenet_w1"))]
    few = tmp_path / "few.csv"
    few.write_text("\n".join([lines[0], *small]) + "\n")
    table = load_device(name)
    figures = validate(table, read_samples(few, target_of(table))).scores()
    assert figures["count"] == len(small)
    assert figures["mean_abs_pct"] is not None
    assert figures["mean_abs_pct"] < 2.0


def test_left_out_blocks_come_out_within_the_aim(shared_data: Path) -> None:
    inference, blocks = pixel1_inference(shared_data / "latency")
    assert blocks == 892
    assert 100 * np.abs(inference.left_out_errors[:blocks]).mean() < 0.65
    networks = [o.whole_network and o.view != "tunas" for o in inference.observations]
    assert 100 * np.abs(inference.left_out_errors[np.array(networks)]).mean() < 2.5


@pytest.mark.parametrize("name", ROOFLINES)
def test_a_table_of_rates_keeps_its_left_out_error_and_is_made_again(shared_data: Path, name: str) -> None:
    pytest.importorskip("pytorchcv")
    table = load_device(name)
    assert table.provenance.left_out_error_pct is not None
    assert table.provenance.left_out_error_pct < ROOFLINES[name]
    assert table.path is not None
    assert len(table) == 0
    assert make_table(name, shared_data / "latency").to_text() == table.path.read_text()


@pytest.mark.parametrize("name", ["galaxy_s23_npu", "galaxy_s24_npu", "galaxy_s25_npu"])
def test_an_npu_ranks_v3_large_behind_v2(name: str, pixel1: LatencyTable) -> None:
    large, v2 = reference("mobilenet_v3_large"), reference("mobilenet_v2")
    assert predict(pixel1, large).latency_ms < 0.85 * predict(pixel1, v2).latency_ms
    assert predict(load_device(name), large).latency_ms > 1.1 * predict(load_device(name), v2).latency_ms


@pytest.mark.parametrize("name", ["pixel2", *(pytest.param(n, marks=pytest.mark.slow) for n in ALL if n != "pixel2")])
def test_a_recipe_makes_the_shipped_file_again_bit_for_bit(shared_data: Path, name: str) -> None:
    if load_device(name).provenance.sources[0].startswith("qed-usc"):
        pytest.importorskip("pytorchcv")
    again = make_table(name, shared_data / "latency")
    path = load_device(name).path
    assert path is not None
    assert again.to_text() == path.read_text()


def test_an_unknown_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipe makes 'pixel9'; recipes are galaxy_s10"):
        make_table("pixel9", tmp_path)
