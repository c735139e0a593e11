"""Every study in a tiny form: its rows, its files and its page."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="studies draw their figures with matplotlib")

from training.data import ImageSet
from training.studies import rank, weight_decay
from training.study import figures, runner
from training.study.lab import Lab
from training.study.settings import Settings

BASE = {"data": "digits", "widths": "24,8", "epochs": 1, "limit": 300, "lr": 0.1}
TAUS = [1.0, 0.95, 0.9, 0.8]
MERGES = {"taus": TAUS, "merge_taus": [0.5], "methods": ["norm", "paper"], "samples": 200}
LAYERS = {**MERGES, "layers": ["conv1.weight", "conv4.weight"]}
TINY = {
    "width": Settings((0, 1), BASE, ({"widths": ["8,8", "24,8"]}, {"model": "cnn", "widths": "4,4"})),
    "dropout": Settings(
        (0,), BASE, ({"dropout": [0.0]}, {"dropout": [0.5, 0.8], "dropout_at": ["hidden", "last"]})
    ),
    "weight-decay": Settings((0,), BASE, ({"weight_decay": [0.001, 0.1]},)),
    "evolution": Settings((0,), BASE, ({},), {"steps": [0, 1, 3]}),
    "rank": Settings((0, 1), BASE, ({"widths": ["8,8", "24,8"]},)),
    "compression": Settings((0,), BASE, ({"widths": ["24,8"]},), MERGES),
    "alexnet": Settings(
        (0,), {**BASE, "data": "cifar10", "model": "alexnet", "widths": "6,6,6,6,6"}, ({},), LAYERS
    ),
    "symmetry": Settings((1,), {**BASE, "epochs": 5}, ({"twins": [0, 1, 4], "twin_noise": [0.0]},)),
    "mnist-filters": Settings(
        (0,), {**BASE, "model": "cnn", "kernel": "3,1", "fc": "8"}, ({"widths": ["1", "4"]},)
    ),
    "seeds": Settings((0, 1), BASE, ({"widths": ["24,8"]},)),
    "mergeable": Settings(
        (0,),
        {**BASE, "widths": "48,24", "epochs": 30, "lr": 0.2, "weight_decay": 0.005},
        ({"mergeable": [0.0, 0.05], "mergeable_tau": [0.7], "snap": [0.9]},),
    ),
    "inputs": Settings((0,), BASE, ({"scaling": ["raw", "symmetric"], "weight_decay": [0.1]},)),
}


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    """CIFAR-10 is not at hand: noise of its shape, of which the study sees the accuracy of guessing."""
    from training import data

    def load(name, data_dir=None, *, limit=0):
        if name != "cifar10":
            return original(name, data_dir, limit=limit)
        draw = np.random.default_rng(0)
        x, y = draw.integers(0, 256, (90, 3, 32, 32), np.uint8), draw.integers(0, 10, 90)
        return ImageSet("cifar10", x[:60], y[:60], x[60:], y[60:])

    original = data.load_dataset
    monkeypatch.setattr(data, "load_dataset", load)


def table(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", sorted(TINY))
def test_rows_and_page(name, labs):
    """In one test for each study, which is done once."""
    settings, folder = TINY[name], labs / name
    runner.conduct(name, settings, Lab(labs), runner.Place(), lambda _: None)
    cells = settings.cells(runner.find(name).columns)
    assert len(list((folder / "cells").glob("*.json"))) == len(cells)
    runs = table(folder, "runs")
    assert len(runs) == len(cells)
    assert all(0 <= float(row["test_accuracy"]) <= 1 for row in runs)
    check_thresholds(table(folder, "taus"))
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {runner.find(name).title}\n")
    assert all(f"]({path.name})" in page for path in folder.glob("*.png"))
    assert "nan" not in page
    check_page_without_models(name, labs, page)


def check_thresholds(rows):
    """Components are between 1 and the filters, and no fewer at a higher threshold."""
    assert all(1 <= int(row["components"]) <= int(row["filters"]) for row in rows)
    measured = ("tau", "components", "clusters", "duplicate_share")
    by_run = {}
    for row in rows:
        key = tuple(value for column, value in row.items() if column not in measured)
        by_run.setdefault(key, []).append((float(row["tau"]), int(row["components"])))
    for points in by_run.values():
        assert [c for _, c in sorted(points)] == sorted(c for _, c in points)


def check_page_without_models(name, labs, before):
    """Models that stayed with the workers of another machine cost the page pictures, no rows."""
    (labs / "runs").rename(labs / "away")
    try:
        runner.write_page(runner.find(name), TINY[name], Lab(labs))
    finally:
        (labs / "away").rename(labs / "runs")
    after = (labs / name / "README.md").read_text(encoding="utf-8")
    assert set(after.splitlines()) <= set(before.splitlines())
    assert "| " in after


def rows_of(labs, name, of):
    runner.conduct(name, TINY[name], Lab(labs), runner.Place(), lambda _: None)
    return table(labs / name, of)


def test_equal_filters_merge_to_the_number_of_different_ones(labs):
    rows = {int(row["twins"]): row for row in rows_of(labs, "symmetry", "twins")}
    assert {twins: int(row["exact_left"]) for twins, row in rows.items()} == {0: 24, 1: 1, 4: 4}
    assert float(rows[4]["angle_after"]) < 1e-3
    assert rows[0]["angle_before"] == ""


def test_places_of_dropout_share_the_net_without(labs):
    taus = rows_of(labs, "dropout", "taus")
    plain = next(r["components"] for r in taus if r["dropout"] == "0.0" and r["tau"] == "0.9")
    page = (labs / "dropout" / "README.md").read_text(encoding="utf-8").splitlines()
    for place in ("hidden", "last"):
        (line,) = (line for line in page if line.startswith(f"| 24 | {place}, 1 epochs, "))
        assert line.split(" | ")[2:3] == [plain]


def test_methods_of_compression_leave_the_same_number(labs):
    for name in ("compression", "alexnet"):
        rows = rows_of(labs, name, "merges")
        for layer in {row["layer"] for row in rows}:
            mine = [row for row in rows if row["layer"] == layer]
            assert {row["method"] for row in mine} == {"paper", "norm"}
            assert len({row["kept"] for row in mine}) == 1
    assert {row["layer"] for row in rows} == {"conv1.weight", "conv4.weight"}


def test_the_exact_pass_keeps_the_accuracy_of_the_snapped_net(labs):
    rows = {float(row["mergeable"]): row for row in rows_of(labs, "mergeable", "exact")}
    assert all(row["merged"] == row["snapped"] for row in rows.values())
    assert int(rows[0.05]["removed"]) > int(rows[0.0]["removed"])


def test_evolution_has_a_row_for_every_step(labs):
    losses = rows_of(labs, "evolution", "losses")
    assert [int(row["step"]) for row in losses] == [1, 2, 3]
    layers = table(labs / "evolution", "layers")
    assert sorted(int(row["step"]) for row in layers if row["loss"]) == [0, 1, 3]
    assert float(layers[0]["kurtosis"]) > 0


def test_studies_share_their_runs(labs):
    for name in ("width", "rank"):
        runner.conduct(name, TINY[name], Lab(labs), runner.Place(), lambda _: None)
    runs = {name: {row["run"] for row in table(labs / name, "runs")} for name in ("width", "rank")}
    assert runs["rank"] < runs["width"]


def test_a_snapped_run_is_not_trained_again(labs, monkeypatch):
    rows_of(labs, "mergeable", "exact")
    trained = TINY["mergeable"].cells()[1].config
    monkeypatch.setattr("training.loop.Trainer.run_epoch", lambda *_: pytest.fail("trained again"))
    removable = [
        Lab(labs).train(dataclasses.replace(trained, snap=snap)).metrics["snapped"]["removable"]
        for snap in (0.99, 0.9, 0.5)
    ]
    assert removable == sorted(removable)
    assert removable[2] > removable[0]


def test_roughness_of_noise_and_of_a_constant():
    noise = np.random.default_rng(0).standard_normal((40, 3 * 32 * 32))
    assert weight_decay.roughness(noise, 3) == pytest.approx(4 * 31 / 32, rel=0.05)
    assert weight_decay.roughness(np.ones((2, 64)), 1) == 0


def test_energy_rank():
    assert rank.energy_rank(np.array([10.0, 1.0, 0.0])) == 1
    assert rank.energy_rank(np.ones(100)) == 99


def test_similarity_of_networks_is_on_the_page_of_rank(labs):
    rows_of(labs, "rank", "runs")
    page = (labs / "rank" / "README.md").read_text(encoding="utf-8")
    table = [line.split("|")[2:-1] for line in page.splitlines() if line.startswith(("| 8,8 |", "| 24,8 |"))][
        -2:
    ]
    means = [[float(cell.split()[0]) for cell in row if cell.strip()] for row in table]
    assert [len(row) for row in means] == [2, 1]
    assert all(0 < mean < 1 for row in means for mean in row)


def test_components_are_numbered_by_size():
    rows = np.array([[1, 0], [0, 1.0], [1, 0.1], [0.05, 1], [0, 2], [-1, 0]])
    assert figures.components(figures.cosines(rows), 0.9).tolist() == [1, 0, 1, 0, 0, 2]
