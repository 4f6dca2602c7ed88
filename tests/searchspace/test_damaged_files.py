"""Networks and results, damaged at random: a value or one sentence."""

from __future__ import annotations

from pathlib import Path

from searchspace.reference import reference
from searchspace.support.json_text import read_json_object
from searchspace.support.testing import ReaderConformance
from searchspace.yaml_io import load_architecture, save_architecture


class TestArchitectureFile(ReaderConformance):
    def write(self, folder: Path) -> Path:
        save_architecture(reference("mobilenet_v3_small"), folder / "network.yaml", "v3")
        return folder / "network.yaml"

    def read(self, path: Path) -> object:
        return load_architecture(path).params


class TestJsonObject(ReaderConformance):
    def write(self, folder: Path) -> Path:
        (folder / "result.json").write_text('{"top1": 75.5, "labels": ["a", "b"],\n "nested": {"x": [1, 2.5e3, null]}}')
        return folder / "result.json"

    def read(self, path: Path) -> object:
        return read_json_object(path, "result file")
