"""Predictors: what they know, how well they rank unseen networks, and files that cannot be believed."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.evaluators import PredictorEvaluator
from nas.predictor import (
    AccuracyTable,
    Predictor,
    agreement,
    covered_part,
    fit_predictor,
    load_accuracy_table,
    load_predictor,
    save_predictor,
    score_network,
    shipped_predictor,
)
from nas.predictor._layouts import LAYOUTS, Layout
from searchspace.architecture import Architecture
from searchspace.reference import reference
from searchspace.space import SearchSpace, load_space
from searchspace.space_file import load_spec
from searchspace.support.errors import UserError

SPACES = ("mobilenetv3", "mnasnet")
FILES = {"mobilenetv3": "mobilenetv3_space_imagenet_supernet.csv", "mnasnet": "mnasnet_space_imagenet_proxy.csv"}


@pytest.fixture(scope="module")
def tables(shared_data) -> dict[str, AccuracyTable]:
    return {space: load_accuracy_table(shared_data / "accuracy" / FILES[space]) for space in SPACES}


def covered(space: str) -> SearchSpace:
    return covered_part(load_space(space))


def first_rows(table: AccuracyTable, count: int) -> AccuracyTable:
    return AccuracyTable(table.layout, table.rows[:count], table.top1[:count])


def sampled_table(space: str, count: int = 120) -> AccuracyTable:
    """Networks of a space with an artificial accuracy: larger is better, noisily."""
    rng = np.random.default_rng(0)
    layout = LAYOUTS[space]
    rows = layout.read(covered(space), covered(space).sample(rng, count))
    return AccuracyTable(layout, rows, 60 + 0.1 * rows.sum(axis=1) + 0.1 * rng.random(count))


@pytest.mark.parametrize(("space", "kendall"), [("mobilenetv3", 0.965), ("mnasnet", 0.925)])
def test_shipped_predictors_rank_networks_left_out(space, kendall):
    assert shipped_predictor(space).left_out.kendall > kendall


@pytest.mark.parametrize(("space", "kendall", "mae"), [("mobilenetv3", 0.955, 0.06), ("mnasnet", 0.91, 0.4)])
def test_a_fit_ranks_networks_it_never_saw(tables, space, kendall, mae):
    from nas.predictor._fit import _fit

    layout, rows, top1 = tables[space]
    seen = np.random.default_rng(1).random(len(rows)) < 0.8
    fitted = _fit(layout, rows[seen], top1[seen], seed=0)
    found = agreement(fitted.top1(rows[~seen]), top1[~seen])
    assert found.kendall > kendall and found.mae < mae


@pytest.mark.parametrize("space", SPACES)
def test_shipped_predictors_fit_their_table(tables, space):
    table = tables[space]
    predictor = shipped_predictor(space)
    assert predictor.rows == len(table.rows)
    assert predictor.best == table.top1.max()
    assert agreement(predictor.top1(table.rows), table.top1).mae < predictor.left_out.mae


@pytest.mark.parametrize("space", SPACES)
def test_no_network_of_the_table_is_stored(tables, space):
    stored = {row.tobytes() for row in shipped_predictor(space).kernel.points}
    given = {row.tobytes() for row in tables[space].rows}
    assert not stored & given


@pytest.mark.parametrize(("space", "tolerance"), [("mobilenetv3", 5e-4), ("mnasnet", 1e-5)])
def test_rows_of_genotypes_describe_the_decoded_networks(shared_data, space, tolerance):
    """The parameters that the tables' authors counted are those of the networks their rows are read as.

    Once-for-All's wide layer of the head has no bias, which makes 1,280 parameters less.
    """
    layout, part = LAYOUTS[space], covered(space)
    with (shared_data / "accuracy" / FILES[space]).open() as file:
        published = list(csv.DictReader(file))[:40]
    table = load_accuracy_table(shared_data / "accuracy" / FILES[space])
    for row, line in zip(table.rows, published, strict=False):
        genotype = genotype_of(part, layout, row)
        assert np.array_equal(layout.read(part, genotype[None])[0], row)
        assert part.decode(genotype).params / 1e6 == pytest.approx(float(line["params_M"]), rel=tolerance)


def genotype_of(space: SearchSpace, layout: Layout, row: np.ndarray) -> np.ndarray:
    """The genotype of a row, by the paths of the choices."""
    wanted: dict[str, object] = {}
    for column, value in zip(layout.columns, row.tolist(), strict=True):
        wanted[f"{column.stage}/{column.field}"] = wanted[f"{column.stage}/layer{column.layer}/{column.field}"] = value
        if space.name == "mobilenetv3" and value:
            wanted[f"{column.stage}/depth"] = column.layer + 1
        if column.field == "squeeze":
            wanted[f"{column.stage}/squeeze"] = "logistic" if value else "none"
        if space.name == "mnasnet" and column.field == "ratio":
            wanted[f"{column.stage}/block"] = "sepconv" if value == 1 else "mbconv"
    values = [(choice.values, wanted.get(choice.path)) for choice in space.choices]
    return np.array([known.index(value) if value in known else 0 for known, value in values], dtype=np.uint8)


def test_the_reference_network_is_scored_as_its_nearest_member():
    predictor = shipped_predictor("mobilenetv3")
    score = score_network(predictor, reference("mobilenet_v3_large"))
    assert not score.exact and len(score.differences) == 3
    assert "block8: 240 hidden channels for 200" in score.differences
    # Published: 75.2 %; the Once-for-All sub-network of about that shape is near it.
    assert score.top1 == pytest.approx(75.2, abs=0.5)


def test_members_are_scored_exactly_and_as_their_genotypes():
    space, predictor = covered("mobilenetv3"), shipped_predictor("mobilenetv3")
    genotypes = space.sample(np.random.default_rng(0), 5)
    scores = PredictorEvaluator(predictor, space).top1(genotypes)
    for genotype, top1 in zip(genotypes, scores, strict=True):
        score = score_network(predictor, space.decode(genotype))
        assert score.exact and score.top1 == top1


@pytest.mark.parametrize("network", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large_0.75", "mobilenext"])
def test_networks_of_other_families_are_refused(network):
    with pytest.raises(UserError, match="not in space mobilenetv3"):
        score_network(shipped_predictor("mobilenetv3"), reference(network))


def test_other_changes_than_hidden_widths_are_refused():
    large = reference("mobilenet_v3_large")
    blocks = list(large.blocks)
    blocks[5] = replace(blocks[5], kernel=9)
    wrong: Architecture = replace(large, blocks=tuple(blocks))
    with pytest.raises(UserError, match="block 6"):
        score_network(shipped_predictor("mobilenetv3"), wrong)


def test_scores_do_not_depend_on_the_company():
    space = covered("mnasnet")
    evaluator = PredictorEvaluator(shipped_predictor("mnasnet"), space)
    genotypes = space.sample(np.random.default_rng(0), 700)
    together = evaluator.top1(genotypes)
    alone = np.concatenate([evaluator.top1(genotypes[i : i + 1]) for i in range(60)])
    assert np.abs(together[:60] - alone).max() <= 1.01e-4
    assert np.array_equal(together, evaluator.top1(genotypes))
    assert len(evaluator.top1(genotypes[:0])) == 0


def test_larger_networks_are_better_at_the_ends_of_the_space():
    space, predictor = covered("mobilenetv3"), shipped_predictor("mobilenetv3")
    genotypes = np.stack([np.zeros(len(space.choices), dtype=np.uint8), (space.radices - 1).astype(np.uint8)])
    smallest, largest = PredictorEvaluator(predictor, space).top1(space.canonical(genotypes))
    assert smallest < 72 < 77 < largest


def test_the_covered_part_of_mnasnet_keeps_the_widths_of_the_table():
    whole, part = load_space("mnasnet"), covered("mnasnet")
    assert part.count() < whole.count()
    for genotype in part.sample(np.random.default_rng(0), 20):
        architecture = part.decode(genotype)
        assert architecture in whole
        assert {block.out for block in architecture.blocks} == {16, 24, 40, 80, 112, 192, 320}
    with pytest.raises(UserError, match="only a part"):
        PredictorEvaluator(shipped_predictor("mnasnet"), whole)


def test_a_narrower_space_of_ones_own_is_covered(tmp_path):
    text = (Path(load_space.__code__.co_filename).parent / "data" / "spaces" / "mobilenetv3.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("depth: [2, 3, 4]", "depth: 3").replace("kernel: [3, 5, 7]", "kernel: [3, 5]"))
    mine = load_space(path)
    assert covered_part(mine) is mine
    evaluator = PredictorEvaluator(shipped_predictor("mobilenetv3"), mine)
    whole = PredictorEvaluator(shipped_predictor("mobilenetv3"), load_space("mobilenetv3"))
    genotypes = mine.sample(np.random.default_rng(0), 10)
    again = np.stack([whole.space.encode(mine.decode(genotype)) for genotype in genotypes])
    assert np.array_equal(evaluator.top1(genotypes), whole.top1(again))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("stem_k3_s2_c16_hs", "stem_k3_s2_c24_hs", "stem"),
        ("width: 40, ", "width: 48, ", "width"),
        ("kernel: [3, 5, 7]", "kernel: 9", "kernel"),
        ("resolution: 224", "resolution: 192", "resolution"),
        ("name: unit4", "name: last", "stages"),
        ("block: inverted, width: 24", "block: sandglass, width: 24", "unit0"),
    ],
)
def test_spaces_beyond_the_table_are_refused_and_pointed_to_data(tmp_path, old, new, told):
    text = (Path(load_space.__code__.co_filename).parent / "data" / "spaces" / "mobilenetv3.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    load_spec(path)
    with pytest.raises(UserError, match=rf"(?s){told}.*--data"):
        covered_part(load_space(path))


@pytest.mark.parametrize(
    "space", ["mobilenext", "proxylessnas", "mobile", "mobile_uib", "macro", "mobilenetv4", "mobilenetv4_coarse"]
)
def test_spaces_without_accuracies_are_refused_and_pointed_to_data(space):
    with pytest.raises(UserError, match=r"(?s)mobilenetv3 and mnasnet.*--data"):
        covered_part(load_space(space))


@pytest.fixture(scope="module")
def fitted() -> Predictor:
    """A small predictor."""
    return fit_predictor(sampled_table("mnasnet"))


@pytest.fixture(scope="module")
def path(fitted, tmp_path_factory) -> Path:
    """Its file."""
    path = tmp_path_factory.mktemp("predictor") / "small.json"
    save_predictor(fitted, path)
    return path


class TestFiles:
    def test_a_saved_predictor_predicts_the_same_to_the_bit(self, fitted, path):
        loaded = load_predictor(path)
        rows = sampled_table("mnasnet", 300).rows
        assert np.array_equal(fitted.top1(rows), loaded.top1(rows))
        assert loaded.left_out == fitted.left_out

    def test_the_same_table_gives_the_same_file(self, path, tmp_path):
        save_predictor(fit_predictor(sampled_table("mnasnet")), tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == path.read_bytes()

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
    def test_a_file_cut_short_is_refused(self, path, tmp_path, share):
        content = path.read_bytes()
        short = tmp_path / "short.json"
        short.write_bytes(content[: int(share * len(content))])
        with pytest.raises(UserError, match=r"cut short|not valid JSON"):
            load_predictor(short)

    @pytest.mark.parametrize(
        ("old", "new"), [('"mean":', '"mean": 1'), ("leaf_value=", "leaf_value=9"), ("tau", "eta")]
    )
    def test_a_changed_file_is_refused(self, path, tmp_path, old, new):
        content = path.read_text()
        changed = tmp_path / "changed.json"
        changed.write_text(content.replace(old, new, 1) if old in content else content.replace("0", "1", 20))
        with pytest.raises(UserError, match="checksum"):
            load_predictor(changed)

    @pytest.mark.parametrize("content", ["[]", "{}", '{"format": "accuracy-predictor/9"}', "3", '"x"'])
    def test_other_files_are_refused(self, tmp_path, content):
        other = tmp_path / "other.json"
        other.write_text(content)
        with pytest.raises(UserError, match="not a predictor file"):
            load_predictor(other)

    def test_a_well_signed_file_of_nonsense_is_refused(self, tmp_path):
        from searchspace.support.files import sha256_text

        for content in ({}, {"space": "mnasnet", "columns": []}, [1], None):
            text = json.dumps(content, sort_keys=True, separators=(",", ":"))
            odd = tmp_path / "odd.json"
            odd.write_text(
                json.dumps({"format": "accuracy-predictor/1", "sha256": sha256_text(text), "content": content})
            )
            with pytest.raises(UserError, match="not a predictor of this version"):
                load_predictor(odd)


class TestAccuracyTables:
    def write(self, tmp_path: Path, change=lambda lines: lines) -> Path:
        layout, rows, top1 = sampled_table("mnasnet", 5)
        lines = [[column.name for column in layout.columns] + [layout.accuracy]]
        lines += [[*map(str, row.tolist()), f"{value:.3f}"] for row, value in zip(rows, top1, strict=True)]
        path = tmp_path / "table.csv"
        path.write_text("".join(",".join(line) + "\n" for line in change(lines)))
        return path

    def test_what_is_written_is_read(self, tmp_path):
        table = load_accuracy_table(self.write(tmp_path))
        assert np.array_equal(table.rows, sampled_table("mnasnet", 5).rows)

    def test_order_and_other_columns_do_not_matter(self, tmp_path):
        path = self.write(tmp_path, lambda lines: [["note", *line[::-1]] for line in lines])
        assert np.array_equal(load_accuracy_table(path).rows, sampled_table("mnasnet", 5).rows)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda lines: [], "no predictor knows these columns"),
            (lambda lines: lines[:1], "no networks"),
            (lambda lines: [line[:-1] for line in lines], "no predictor knows these columns"),
            (lambda lines: [*lines[:3], lines[3][:7]], "line 4: 7 values, expected 29"),
            (
                lambda lines: [*lines[:2], ["2", *lines[2][1:]]],
                "line 3: block0_expansion is '2', expected one of 1, 4, 6",
            ),
            (lambda lines: [*lines[:2], [*lines[2][:-1], "nan"]], "line 3, val_top1: 'nan' is not a percentage"),
            (lambda lines: [*lines[:2], [*lines[2][:-1], "x"]], "line 3, val_top1: 'x' is not a percentage"),
        ],
    )
    def test_faults_are_told_with_their_place(self, tmp_path, change, told):
        with pytest.raises(UserError, match=told):
            load_accuracy_table(self.write(tmp_path, change))

    def test_too_few_networks_are_not_fitted(self, tmp_path):
        with pytest.raises(UserError, match="too small"):
            fit_predictor(load_accuracy_table(self.write(tmp_path)))

    def test_equal_accuracies_have_no_ranks(self):
        with pytest.raises(UserError, match="same"):
            agreement(np.array([1.0, 2.0]), np.array([3.0, 3.0]))


class TestCommands:
    def call(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["predictor", *arguments])
        return result.exit_code, result.stdout

    def test_validate_prints_the_agreed_keys(self, shared_data):
        path = shared_data / "accuracy" / FILES["mobilenetv3"]
        status, out = self.call("validate", "--against", str(path), "--json")
        found = json.loads(out)
        assert status == 0 and found["count"] == 1615
        assert found["kendall"] > 0.97 and found["spearman"] > 0.99 and found["mae"] < 0.05

    def test_validate_refuses_a_table_of_another_space(self, shared_data):
        path = shared_data / "accuracy" / "macro_space_cifar10.csv"
        assert self.call("validate", "--against", str(path))[0] == 2

    @pytest.mark.parametrize("space", SPACES)
    def test_show_tells_what_a_predictor_rests_on(self, space):
        status, out = self.call("show", space, "--json")
        found = json.loads(out)
        assert status == 0 and found["rows"] > 1000 and found["left_out"]["kendall"] > 0.92

    def test_score_compares_networks(self):
        status, out = self.call("score", "mobilenet_v3_large", "--json")
        (network,) = json.loads(out)["networks"]
        assert status == 0 and not network["exact"] and 74 < network["top1"] < 77

    def test_fit_writes_a_file_that_validate_reads(self, tables, tmp_path):
        layout, rows, top1 = first_rows(tables["mnasnet"], 200)
        path, fitted = tmp_path / "table.csv", tmp_path / "fitted.json"
        lines = [",".join([*(column.name for column in layout.columns), layout.accuracy])]
        lines += [",".join([*map(str, row.tolist()), str(value)]) for row, value in zip(rows, top1, strict=True)]
        path.write_text("\n".join(lines))
        assert self.call("fit", str(path), "--out", str(fitted))[0] == 0
        status, out = self.call("validate", "--against", str(path), "--predictor", str(fitted), "--json")
        assert status == 0 and json.loads(out)["count"] == 200
