"""The Python of docs/using-the-model.md, run as it stands on an exported file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("ai_edge_litert")

from nas.export import Calibration, Usage, export_network
from nas.weights import Preparation
from searchspace import parse
from searchspace.modules import build_network

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/using-the-model.md"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_python_of_the_page_finds_the_class_that_pytorch_finds(precision: str, tmp_path: Path) -> None:
    network = build_network(parse("r32,stem_k3_s2_c8_hs,ir_k3_s1_h16_c8_re_se8,head_c16_hs,n5"), seed=4).eval()
    torch.nn.init.normal_(network.head.classifier.weight, generator=torch.Generator().manual_seed(0))
    labels = tuple(f"class {number}" for number in range(5))
    prepared = Preparation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), image_size=32, crop=1.0)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (16, 32, 32, 3), np.uint8)
    inputs = np.moveaxis((images / 255 - prepared.mean) / prepared.std, -1, 1).astype(np.float32)
    export_network(
        network,
        tmp_path / "model.tflite",
        trained=True,
        precision=precision,
        calibration=Calibration(inputs, "noise"),
        usage=Usage(preparation=prepared, labels=labels),
    )
    Image.fromarray(images[0]).save(tmp_path / "image.png")
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    with torch.no_grad():
        scores = network(torch.from_numpy(inputs[:1]))[0]
    assert done.stdout.strip() == labels[int(scores.argmax())]
