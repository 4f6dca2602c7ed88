"""Ranking: correlations with intervals, published accuracies, and the whole command on the digits."""

import json

import numpy as np
import pytest

from nas.jobs.rank.files import warnings
from nas.jobs.rank.run import open_inputs, rank
from nas.jobs.rank.settings import RankSettings
from nas.jobs.rank.statistics import compare, correlation
from nas.jobs.rank.truth import published
from nas.runs import RunFolder
from nas.supernets.settings import SupernetSettings
from searchspace.space import load_space
from searchspace.support.errors import UserError


def test_correlation_of_a_perfect_and_a_reversed_order():
    truth = np.arange(50.0)
    found = correlation(truth**3, truth)
    assert (found.kendall, found.spearman, found.kendall_low) == pytest.approx((1, 1, 1)) and found.count == 50
    assert correlation(-truth, truth).kendall == pytest.approx(-1)


def test_a_score_that_is_the_same_for_all_ranks_nothing():
    found = correlation(np.ones(20), np.arange(20.0))
    assert (found.kendall, found.kendall_low, found.spearman) == (0.0, 0.0, 0.0)


def test_the_interval_holds_the_figure_and_narrows_with_more_networks():
    rng = np.random.default_rng(0)
    truth = rng.random(400)
    score = truth + rng.normal(0, 0.3, 400)
    few, many = correlation(score[:40], truth[:40]), correlation(score, truth)
    for found in (few, many):
        assert found.kendall_low < found.kendall < found.kendall_high
    assert many.kendall_high - many.kendall_low < few.kendall_high - few.kendall_low


def test_the_best_tenth_is_the_best_by_truth():
    truth = np.arange(100.0)
    score = np.where(truth < 90, truth, 189 - truth)  # the best ten in reversed order
    found = compare({"score": score}, truth)["score"]
    assert found["best tenth"].count == 10 and found["best tenth"].kendall == pytest.approx(-1)
    assert found["all"].kendall > 0.9


def test_published_accuracies_are_read_always_the_same_ones(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text(
        "choices,macs_M,top1_seed0,top1_seed1\n"
        + "".join(f"{i % 3}{i // 3 % 3}000000,1,{50 + i},{52 + i}\n" for i in range(9))
    )
    space = load_space("macro")
    truth = published(path, space, 4)
    assert truth.genotypes.shape == (4, 8)
    assert truth.fingerprint == published(path, space, 4).fingerprint
    every = published(path, space, 100)
    assert every.top1.tolist() == [51.0 + i for i in range(9)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("choices,top1\n00000009,50\n", "line 2: layer7/block: value index 9"),
        ("choices,top1\n0000,50\n", "line 2: a genotype of this space has 8 entries"),
        ("choices,top1\n00000000,much\n", "line 2: could not convert"),
        ("choices,accuracy\n00000000,50\n", "expected a column `top1`"),
        ("", "expected those of one of"),
    ],
)
def test_faulty_files_are_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "known.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        published(path, load_space("macro"), 10)


def settings_for(space, **changes):
    images = SupernetSettings(data="digits", subset=120, mode="single-path", epochs=1, search_images=20)
    return RankSettings(space=str(space), supernet=images, networks=10, alone_epochs=1, **changes)


def test_a_whole_ranking_and_its_continuation(tmp_path, page_made_again):
    known = tmp_path / "known.csv"
    rng = np.random.default_rng(0)
    genotypes = rng.integers(0, 3, (10, 8))
    lines = [f"{''.join(map(str, row))},{50 + sum(row)}" for row in genotypes.tolist()]
    known.write_text("choices,top1\n" + "\n".join(lines) + "\n")
    settings = settings_for("macro", against=str(known))
    first = RunFolder.create(tmp_path / "first", settings.as_dict(), "rank")
    result = rank(settings, open_inputs(settings), first)
    assert set(result["correlations"]) == {"supernet loss", "supernet top-1", "multiply-adds", "latency"}
    assert result == json.loads(first.file("result.json").read_text())
    page_made_again(first.path)
    assert first.file("ranking.png").read_bytes().startswith(b"\x89PNG")
    assert len(first.file("networks.csv").read_text().splitlines()) == 11
    # Cut short within a line, as by a full disk, and gone on with.
    second = RunFolder.create(tmp_path / "second", settings.as_dict())
    scores = first.file("scores.jsonl").read_text()
    second.file("scores.jsonl").write_text(scores[: len(scores) // 2])
    second.file("supernet.pt").write_bytes(first.file("supernet.pt").read_bytes())
    assert rank(settings, open_inputs(settings), second) == result
    assert second.file("scores.jsonl").read_text() == scores


def test_too_few_networks():
    with pytest.raises(UserError, match="at least 10"):
        RankSettings(space="macro", supernet=SupernetSettings(data="digits"), networks=3)


def test_differentiable_training_has_nothing_to_rank():
    with pytest.raises(UserError, match="give another --supernet-training"):
        RankSettings(space="macro", supernet=SupernetSettings(data="digits", mode="differentiable"))


def test_a_supernet_that_has_learnt_nothing_is_told_loudly():
    assert warnings([{"top1": 10.0}, {"top1": 8.0}], 10)[0].startswith("with the supernet's weights the best network")
    assert warnings([{"top1": 10.1}, {"top1": 8.0}], 10) == []
