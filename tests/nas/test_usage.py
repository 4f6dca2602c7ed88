"""An exported file says how it is used: in TFLite's own metadata, in ours, in labels.txt."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("ai_edge_litert")

from latency_lut.tflite.read import read_graph
from latency_lut.tflite.usage_table import METADATA_NAME
from nas.export import Calibration, Usage, export_network
from nas.weights import Preparation
from nas.weights._tflite import read_tflite
from searchspace import parse
from searchspace.modules import build_network

TINY = "r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_re_se8,head_c16_hs,n3"
LABELS = ("cat", "dog\nwith a line break", "Äpfel")
USAGE = Usage(
    preparation=Preparation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), image_size=64, crop=0.9),
    labels=LABELS,
    origin="a test",
    predicted={"device": "pixel", "table_sha256": "0" * 64, "latency_ms": 1.5, "low_ms": 1.0, "high_ms": 2.0},
)


@pytest.fixture(scope="module", params=["float32", "float16", "int8"])
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("usage") / "model.tflite"
    images = np.random.default_rng(0).standard_normal((8, 3, 32, 32), np.float32)
    calibration = Calibration(images, "8 images") if request.param == "int8" else None
    network = build_network(parse(TINY), seed=0)
    record = export_network(network, path, trained=True, precision=request.param, calibration=calibration, usage=USAGE)
    return path, record


def test_our_own_reader_of_weights_finds_preparation_and_labels(exported):
    file = read_tflite(exported[0])
    assert file.preparation is not None and file.labels == LABELS
    np.testing.assert_allclose(file.preparation.mean, USAGE.preparation.mean, rtol=1e-6)
    np.testing.assert_allclose(file.preparation.std, USAGE.preparation.std, rtol=1e-6)
    assert file.preparation.crop == 0.9


def test_one_json_buffer_holds_all_of_it(exported):
    path, record = exported
    told = json.loads(read_graph(path).metadata["nas.usage"])
    assert told == record.usage
    assert told["input"]["layout"] == "NHWC" and told["input"]["shape"] == [1, 32, 32, 3]
    assert told["input"]["resize"].startswith("shorter side resized to 36") and told["output"]["labels"] == list(LABELS)
    assert told["predicted"]["device"] == "pixel" and told["weights"] == "a test"
    assert told["input"]["dtype"] == ("int8" if record.precision == "int8" else "float32")


def test_labels_stand_beside_the_file_and_packed_behind_it(exported):
    import zipfile

    path, _ = exported
    expected = "cat\ndog with a line break\nÄpfel\n"
    assert (path.parent / "labels.txt").read_text(encoding="utf-8") == expected
    with zipfile.ZipFile(path) as packed:
        assert packed.read("labels.txt").decode() == expected


def test_the_table_is_that_of_tflites_schema(exported):
    """Read by the places of metadata_schema.fbs: name, colour space, size, normalisation, label file."""
    from flatbuffers import number_types
    from flatbuffers.table import Table

    content = bytearray(read_graph(exported[0]).metadata[METADATA_NAME])
    assert bytes(content[4:8]) == b"M001"

    def at(table, place):
        return table.Offset(4 + 2 * place)

    def inside(table, place):
        return Table(content, table.Indirect(at(table, place) + table.Pos))

    def first(table, place):
        start = table.Vector(at(table, place))
        return Table(content, table.Indirect(start))

    root = Table(content, int.from_bytes(content[:4], "little"))
    subgraph = first(root, 3)
    image, scores = first(subgraph, 2), first(subgraph, 3)
    assert image.String(at(image, 0) + image.Pos) == b"image"
    properties = inside(inside(image, 3), 1)
    assert properties.Get(number_types.Int8Flags, at(properties, 0) + properties.Pos) == 1  # RGB
    size = inside(properties, 1)
    assert [size.Get(number_types.Uint32Flags, at(size, place) + size.Pos) for place in (0, 1)] == [32, 32]
    file = first(scores, 6)
    assert file.String(at(file, 0) + file.Pos) == b"labels.txt"
    assert file.Get(number_types.Int8Flags, at(file, 2) + file.Pos) == 2  # TENSOR_AXIS_LABELS


def test_what_is_not_known_is_not_said(tmp_path):
    network = build_network(parse(TINY), seed=0)
    record = export_network(network, tmp_path / "m.tflite", trained=False)
    assert record.usage["output"]["labels"] is None and "mean" not in record.usage["input"]
    assert not (tmp_path / "labels.txt").exists()
    file = read_tflite(tmp_path / "m.tflite")
    assert file.preparation is None and file.labels is None
    assert torch.is_tensor(file.layers[0].weight)
