"""`nas redesign`: the paper's switches as a command, and settings of the experiments that are refused."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.jobs.reproduce.settings import ReproduceSettings
from searchspace.redesign import redesigned
from searchspace.reference import reference
from searchspace.support.errors import UserError
from searchspace.yaml_io import load_architecture


def printed(*words: str) -> dict:
    done = CliRunner().invoke(app, ["redesign", *words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_all_switches_without_one_given(tmp_path):
    found = printed("mnasnet_a1", "--out", str(tmp_path / "net.yaml"))
    assert found["architecture"] == str(redesigned(reference("mnasnet_a1")))
    assert load_architecture(tmp_path / "net.yaml") == redesigned(reference("mnasnet_a1"))
    steps = [step["step"] for step in found["steps"]]
    assert steps == ["mnasnet_a1", "last stage cheap", "stem 16 hs", "h-swish from 80", "squeeze-excite expansion"]
    changes = [b["latency_ms"] - a["latency_ms"] for a, b in zip(found["steps"], found["steps"][1:], strict=False)]
    assert changes == pytest.approx([-7.8, -2.6, 0.7, 1.0], abs=0.1)


def test_one_switch_changes_one_thing():
    large = reference("mobilenet_v3_large")
    narrow = printed("mobilenet_v3_large", "--squeeze", "input")["steps"]
    assert [step["params"] for step in narrow] == [large.params, pytest.approx(4.23e6, rel=2e-3)]
    never = printed("mobilenet_v3_large", "--hswish-from", "never")
    assert "_hs" not in never["architecture"].partition("ir_")[2].rpartition(",head")[0]
    same = printed("mobilenet_v3_large", "--last-stage", "cheap")
    assert same["architecture"] == str(large)  # it has the cheap one


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--hswish-from", "wide"), "expected a number of channels, such as 80, or never"),
        (("--stem-activation", "re"), "needs --stem"),
        (("--stem", "0"), "expected a whole number from 1"),
    ],
)
def test_impossible_switches_are_refused(words, said):
    done = CliRunner().invoke(app, ["redesign", "mobilenet_v3_large", *words])
    assert done.exit_code == 2 and said in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"experiment": "mobilenext", "seeds": 0}, "seeds is 0, expected at least 1"),
        ({"experiment": "phones", "seeds": 3}, "fixed number of repetitions"),
        ({"experiment": "mobilenetv3", "cell_data": "digits"}, "only the experiment mobilenext searches cells"),
    ],
)
def test_settings_that_an_experiment_has_no_use_for_are_refused(given, said):
    with pytest.raises(UserError, match=said):
        ReproduceSettings(**given)


def test_seeds_replace_the_scales_number():
    assert list(ReproduceSettings(experiment="mobilenext", seed=2).repeated(3)) == [2, 3, 4]
    assert list(ReproduceSettings(experiment="mobilenext", seed=2, seeds=1).repeated(3)) == [2]
