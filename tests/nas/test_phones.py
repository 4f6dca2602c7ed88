"""The experiment `phones`: quick, from a file of accuracies made up here."""

from __future__ import annotations

from pathlib import Path

from nas.jobs.reproduce.experiments import experiment
from nas.jobs.reproduce.pipeline import open_experiment, run_experiment
from nas.jobs.reproduce.settings import ReproduceSettings, Scale
from nas.runs import run_place

_ACCURACIES = """# remarks come first
checkpoint,img_size,top1,params_M
mobilenetv1_100.ra4_e3600_r224_in1k,256,76.0,4.2
mobilenetv4_conv_small.e3600_r256_in1k,256,74.5,3.8
mobilenetv3_large_100.ra_in1k,224,75.8,5.5
"""


def test_each_device_has_its_own_best(tmp_path: Path) -> None:
    accuracies = tmp_path / "top1.csv"
    accuracies.write_text(_ACCURACIES)
    settings = ReproduceSettings(experiment="phones", scale=Scale.QUICK, table=str(accuracies))
    with open_experiment(
        settings, run_place(out=str(tmp_path / "run"), name=None, default="", resume=False), resume=False
    ) as folder:
        stages = run_experiment(experiment("phones"), settings, folder)["stages"]
    latency_ms = stages["best"]["figures"]["latency_ms"]
    for number, device in enumerate(latency_ms):
        assert latency_ms[device][number] == min(prices[number] for prices in latency_ms.values())
    ratios = stages["ranking"]["figures"]["v3_large_over_v2"]
    assert ratios["pixel1"] < 0.85
    assert ratios["galaxy_s24_npu"] > 1.1
    assert stages["recipes"]["figures"]["one_recipe"] == {"mobilenet_v1": 76.0, "mobilenet_v4_conv_small": 74.5}
