"""The runner: nothing is done twice, failures do not stop the rest, Dask gives the same tables."""

from __future__ import annotations

import dataclasses
import sys

import pytest

pytest.importorskip("matplotlib", reason="studies draw their figures with matplotlib")

from training import loop, tool
from training.errors import ConfigError, TrainingError
from training.study import runner, tables
from training.study.base import Study
from training.study.lab import Lab
from training.study.settings import Settings

SETTINGS = Settings((0, 1), {"widths": "12,6", "epochs": 2, "limit": 200}, ({"dropout": [0.0, 0.3]},))
HERE = runner.Place()


def accuracy(cell, lab):
    metrics = lab.train(cell.config).metrics
    return {"runs": [cell.row(accuracy=metrics["final"]["test_accuracy"])]}


PLAIN = Study(
    "dropout", "A study", accuracy, lambda page, results: page.text(f"{len(results.rows('runs'))} rows")
)


@pytest.fixture
def plain(monkeypatch):
    """All studies are one that trains and does not measure."""
    monkeypatch.setattr(runner, "find", lambda _: PLAIN)


def conduct(out, settings=SETTINGS, place=HERE, name="dropout"):
    said = []
    runner.conduct(name, settings, Lab(out), place, said.append)
    return said


def test_finished_cells_are_not_done_again(tmp_path, monkeypatch, plain):
    first = conduct(tmp_path)
    assert first[0] == "dropout: 4 cells, 0 of them done before"
    before = {path: path.read_bytes() for path in (tmp_path / "dropout").iterdir() if path.is_file()}
    monkeypatch.setattr(runner, "work", lambda *_: pytest.fail("a cell was done again"))
    assert conduct(tmp_path) == ["dropout: 4 cells, 4 of them done before"]
    assert before == {path: path.read_bytes() for path in before}


def test_more_seeds_do_only_what_is_new(tmp_path, plain):
    conduct(tmp_path, dataclasses.replace(SETTINGS, seeds=(0,)))
    assert conduct(tmp_path)[0] == "dropout: 4 cells, 2 of them done before"


def test_an_interrupted_run_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    cell, epochs = SETTINGS.cells()[0], []
    original = loop.Trainer.run_epoch

    def run(trainer, *arguments):
        if len(epochs) == 1:
            epochs.append("stop")
            raise KeyboardInterrupt
        epochs.append(trainer.done)
        return original(trainer, *arguments)

    monkeypatch.setattr(loop.Trainer, "run_epoch", run)
    with pytest.raises(KeyboardInterrupt):
        Lab(tmp_path).train(cell.config)
    whole = Lab(tmp_path / "other").train(cell.config).metrics
    epochs.clear()
    epochs.extend(["not", "again"])
    assert Lab(tmp_path).train(cell.config).metrics == whole
    assert epochs[2:] == [1]


def test_a_failing_cell_does_not_stop_the_others(tmp_path, plain):
    grid = ({"lr": [1e9, 0.1]},)
    settings = Settings((0,), {"widths": "12,6", "epochs": 4}, grid)
    with pytest.raises(TrainingError, match=r"1 of 2 cells failed.*not finite"):
        conduct(tmp_path, settings)
    assert len(list((tmp_path / "dropout" / "cells").glob("*.json"))) == 1
    assert "1 of 2 cells" in (tmp_path / "dropout" / "README.md").read_text(encoding="utf-8")


def test_the_page_names_what_all_runs_share(tmp_path, plain):
    settings = Settings((0,), {"widths": "12,6", "epochs": 1, "lr": 0.3}, ({"lr": [0.1]},))
    conduct(tmp_path, settings)
    page = (tmp_path / "dropout" / "README.md").read_text(encoding="utf-8")
    assert "Common to all runs: widths 12,6, epochs 1." in page


def test_pages_need_a_finished_cell(tmp_path):
    with pytest.raises(TrainingError, match="nothing to show"):
        runner.write_page(runner.find("dropout"), SETTINGS, Lab(tmp_path))


def test_dask_gives_the_same_tables(tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    two = dataclasses.replace(SETTINGS, seeds=(0,))
    conduct(tmp_path / "here", two)
    conduct(tmp_path / "dask", two, runner.Place(workers=2))
    for name in ("runs", "layers", "taus"):
        here, there = (
            (tmp_path / where / "dropout" / f"{name}.csv").read_bytes() for where in ("here", "dask")
        )
        assert here == there


def test_a_scheduler_that_is_given_is_used(tmp_path, plain):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        said = conduct(tmp_path, place=runner.Place(scheduler=cluster.scheduler_address))
    assert len(said) == 5
    assert all(line.endswith("done") for line in said[1:])


def test_without_dask_there_is_one_process(tmp_path, monkeypatch, plain):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"not installed.*--workers 1"):
        conduct(tmp_path, place=runner.Place(workers=2))
    assert len(conduct(tmp_path)) == 5


def test_in_process_needs_no_dask(tmp_path, monkeypatch, plain):
    monkeypatch.setattr(runner, "dask_client", lambda _: pytest.fail("Dask was asked for"))
    conduct(tmp_path)


def test_unknown_study_is_named():
    with pytest.raises(ConfigError, match="the study is heigth, but must be one of"):
        runner.find("heigth")


def test_failures_of_the_tool_are_one_line(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"junk")
    with pytest.raises(TrainingError, match=r"onnxdup report .*m\.onnx exited 3: .*not an ONNX model"):
        tool.report(tmp_path / "m.onnx")


def test_reports_are_kept_and_made_anew_for_other_thresholds(tmp_path):
    run = Lab(tmp_path).train(SETTINGS.cells()[0].config)
    (run.lab.out / "data").mkdir()
    first = tool.layer(run.model(), "fc1.weight", (0.9, 0.5))
    kept = run.model().with_suffix(".report.json")
    written = kept.stat().st_mtime_ns
    assert tool.layer(run.model(), "fc1.weight", (0.9,)) == first
    assert kept.stat().st_mtime_ns == written
    assert [row["tau"] for row in tool.layer(run.model(), "fc1.weight", (0.8,))["taus"]] == [0.8]
    with pytest.raises(TrainingError, match="no layer conv9"):
        tool.layer(run.model(), "conv9", (0.8,))


def test_tables_as_text(tmp_path):
    rows = [{"a": 1, "b": 0.5}, {"a": 2, "c": None}]
    tables.write(tmp_path, {"t": rows, "empty": []})
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n1,0.5,\n2,,\n"
    assert not (tmp_path / "empty.csv").exists()
    assert tables.spread(rows, "a", ".1f") == "1.5 (1.0–2.0)"
    assert (tables.spread(rows, "b", ".0f", 100), tables.spread(rows, "c")) == ("50", "–")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist()[0] == {"a": 1, "b": 0.5, "c": None}
