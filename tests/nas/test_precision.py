"""The precision of training on a CPU: measured once, kept by the run, and never changing random numbers."""

import torch
import yaml

from nas.data import load_data
from nas.training import precision as precisions
from nas.training import recipe, train
from nas.training.checkpoint import Checkpoints, read_checkpoint
from nas.training.execution import Execution
from searchspace.modules import build_network
from searchspace.text import parse

TINY = "r8,stem_k3_s1_c8_hs,ir_k5_s1_h16_c8_re,head_c16_hs,n10"


def answer(monkeypatch, pays):
    monkeypatch.setattr(precisions, "bfloat16_pays", lambda: pays)
    monkeypatch.setattr(precisions, "SMALLEST_STEP_MADDS", 0)


def test_measuring_leaves_random_numbers_alone_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setattr(precisions, "_processor", lambda: "flags: avx512_bf16")
    monkeypatch.setattr(precisions, "measured_speed_up", lambda: 1.5)
    precisions._known_or_measured.cache_clear()
    assert precisions.bfloat16_pays()
    monkeypatch.setattr(precisions, "measured_speed_up", lambda: 0.7)  # by a later process
    precisions._known_or_measured.cache_clear()
    assert precisions.bfloat16_pays()
    monkeypatch.undo()
    precisions._known_or_measured.cache_clear()
    state = torch.get_rng_state()
    assert precisions.measured_speed_up() > 0
    assert torch.equal(state, torch.get_rng_state())


def test_a_processor_without_instructions_for_it_computes_in_float32(monkeypatch, tmp_path):
    monkeypatch.setenv("NAS_CACHE", str(tmp_path))
    monkeypatch.setattr(precisions, "_processor", lambda: "flags: avx2")
    precisions._known_or_measured.cache_clear()
    assert not precisions.bfloat16_pays()
    precisions._known_or_measured.cache_clear()


def test_small_steps_are_not_measured(monkeypatch):
    monkeypatch.setattr(precisions, "bfloat16_pays", lambda: True)
    undecided = Execution(bf16=None)
    assert undecided.for_steps_of(1e6).bf16 is False
    assert undecided.for_steps_of(1e9).bf16 is True
    assert Execution(bf16=False).for_steps_of(1e9).bf16 is False


def test_a_run_goes_on_in_the_precision_it_began_in(tmp_path, monkeypatch):
    data, path = load_data("digits", subset=200), tmp_path / "checkpoint.pt"

    def trained(epochs, resume=False):
        network = build_network(parse(TINY), seed=0)
        kept = Checkpoints(path=path, resume=resume)
        return train(network, data, recipe("short", epochs), execution=Execution(bf16=None), checkpoints=kept)

    answer(monkeypatch, True)
    whole = trained(1)
    assert read_checkpoint(path)[1]["bf16"] is True
    answer(monkeypatch, False)
    assert trained(1, resume=True).final.train_loss == whole.final.train_loss
    assert read_checkpoint(path)[1]["bf16"] is True


def test_the_command_tells_and_notes_the_precision(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from nas.cli.app import app

    answer(monkeypatch, True)
    folder = tmp_path / "run"
    common = ["train", TINY, "--data", "digits", "--subset", "200", "--no-export", "--epochs", "1"]
    done = CliRunner().invoke(app, [*common, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    assert "bfloat16" in done.output
    assert yaml.safe_load((folder / "settings.yaml").read_text())["run"]["bf16"] is True
    assert '"training_precision": "bfloat16"' in (folder / "result.json").read_text()
