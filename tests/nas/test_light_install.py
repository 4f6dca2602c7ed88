"""What each job imports, tried in processes where every other package is out of reach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# In front of each program: only the standard library, this project and the packages named can be imported.
BARE = """
import sys
sys.modules.update(dict.fromkeys({refused!r}))
"""
EVERY = {
    "PIL", "ai_edge_litert", "ai_edge_quantizer", "datasets", "flatbuffers", "google", "jinja2", "kornia", "lightgbm",
    "litert_torch", "markupsafe", "matplotlib", "nni", "optuna", "pandas", "pyarrow", "pytorchcv", "ray", "rich",
    "safetensors", "scipy", "sklearn", "tensorboard", "threadpoolctl", "typer",
}  # fmt: skip
PREDICTS = {"jinja2", "lightgbm", "markupsafe", "rich", "safetensors", "scipy", "threadpoolctl", "typer"}
IMAGES = {"PIL", "kornia", "sklearn", "scipy", "threadpoolctl"}


def run(program: str, allowed: set[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    code = BARE.format(refused=sorted(EVERY - allowed)) + program
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=250,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(cwd), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def command(*words: str) -> str:
    return f"import sys; sys.argv = ['nas', *{words!r}]\nfrom nas.cli.app import main\nmain()"


@pytest.mark.parametrize(
    "words",
    [
        ("show", "mobilenext"),
        ("latency", "mobilenet_v3_large", "mobilenet_v2", "--device", "pixel3"),
        ("devices",),
        ("spaces",),
        ("search", "--budget", "60ms", "--device", "pixel", "--evaluations", "300", "--no-export", "--out", "run"),
    ],
)
def test_looking_and_searching_without_data_need_only_what_predicts(words, tmp_path):
    done = run(command(*words), PREDICTS, tmp_path)
    assert done.returncode == 0, done.stderr
    if words[0] == "search":
        assert "front.png is not written: drawing pictures needs the package matplotlib" in done.stderr
        assert (tmp_path / "run" / "report.html").is_file()


TRAINING = """
import json, sys
from nas.data import load_data
from nas.training import evaluate, recipe, train
from nas.training.checkpoint import Checkpoints
from searchspace import parse
from searchspace.modules import build_network
from pathlib import Path

network = build_network(parse("r8,stem_k3_s1_c8_hs,ir_k3_s2_h16_c8_re,head_c16_hs,n10"), seed=0)
data = load_data("digits", subset=200)
train(network, data, recipe("short", 1).with_batch_size(50), seed=0, checkpoints=Checkpoints(path=Path("c.pt")))
print(json.dumps(evaluate(network, data.search.batches(50)).count))
"""


def test_training_imports_numpy_yaml_torch_and_what_the_data_set_asks_for(tmp_path):
    done = run(TRAINING, IMAGES, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) > 0


def test_the_parts_of_training_import_nothing_else(tmp_path):
    modules = (
        "loop",
        "step",
        "optimizers",
        "recipes",
        "checkpoint",
        "evaluation",
        "averaging",
        "fine_tuning",
        "distributed",
    )
    program = "\n".join(f"import nas.training.{name}" for name in modules) + "\nimport searchspace.weights"
    done = run(program, set(), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (("train", "mobilenet_v3_small", "--data", "digits"), "scripts/setup.sh data"),
        (
            ("search", "--budget", "60ms", "--strategy", "tpe", "--evaluations", "50", "--no-export"),
            "scripts/setup.sh optuna",
        ),
    ],
)
def test_what_is_missing_is_named_with_its_extra(words, needs, tmp_path):
    done = run(command(*words), PREDICTS | {"PIL"}, tmp_path)
    assert done.returncode == 2, done.stderr
    assert needs in done.stderr
    assert "Traceback" not in done.stderr


def test_python_dash_m_nas(tmp_path):
    done = run(
        "import runpy, sys; sys.argv = ['nas', '--version']; runpy.run_module('nas', run_name='__main__')",
        PREDICTS,
        tmp_path,
    )
    assert done.stdout.startswith("nas "), done.stderr
