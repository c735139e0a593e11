"""The files of the studies: what cells they make, and what is refused."""

from __future__ import annotations

import pytest

from training.config import TrainConfig
from training.errors import ConfigError, DataError
from training.study import runner, settings
from training.study.settings import FOLDER, Settings, load_settings, run_key

NAMES = {
    *("width", "dropout", "weight-decay", "evolution", "rank", "compression", "alexnet", "symmetry"),
    *("mnist-filters", "seeds", "mergeable", "inputs"),
}


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_study_has_its_file():
    assert set(settings.NAMES) == NAMES
    assert all(runner.find(name).name == name for name in NAMES)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_committed_configurations_are_valid(name, quick):
    cells = load_settings(FOLDER / f"{name.replace('-', '_')}.toml", quick=quick).cells()
    assert len({cell.key for cell in cells}) == len(cells) >= 1
    assert all(cell.config.threads == 1 for cell in cells)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_full_study_is_larger(name):
    path = FOLDER / f"{name.replace('-', '_')}.toml"
    full, quick = (load_settings(path, quick=size).cells() for size in (False, True))
    assert sum(cell.config.epochs for cell in full) > sum(cell.config.epochs for cell in quick)


def test_lists_multiply_and_tables_add(toml):
    text = '[base]\ndata="mnist"\n[[grid]]\nwidths=["9,3","5"]\ndropout=[0.0,0.5]\n'
    text += '[[grid]]\nmodel="cnn"\nwidths="4"'
    cells = load_settings(toml(text), seeds=3).cells()
    assert len(cells) == (4 + 1) * 3
    assert cells[0].axes == {"widths": "9,3", "dropout": 0.0, "model": "mlp"}
    assert cells[0].config == TrainConfig(data="mnist", widths=(9, 3), threads=1)
    assert cells[-1].axes == {"widths": "4", "dropout": 0.0, "model": "cnn"}
    assert [cell.config.seed for cell in cells[:3]] == [0, 1, 2]


def test_quick_goes_over_the_rest(toml):
    text = "seeds=9\n[base]\nepochs=7\nlr=0.5\n[options]\na=1\nb=2\n"
    path = toml(text + "[quick]\nseeds=[4,6]\nbase={epochs=1}\noptions={a=3}")
    assert load_settings(path) == Settings(tuple(range(9)), {"epochs": 7, "lr": 0.5}, ({},), {"a": 1, "b": 2})
    quick = load_settings(path, quick=True)
    assert quick == Settings((4, 6), {"epochs": 1, "lr": 0.5}, ({},), {"a": 3, "b": 2})


def test_a_seed_in_the_grid_is_the_only_one(toml):
    cells = load_settings(toml('[[grid]]\ninit=["he"]\nseed=5\n[[grid]]\ninit=["xavier"]'), seeds=2).cells()
    assert [(cell.axes["init"], cell.config.seed) for cell in cells] == [
        ("he", 5),
        ("xavier", 0),
        ("xavier", 1),
    ]


def test_equal_points_are_one_cell():
    assert len(Settings(grid=({"lr": [0.1, 0.1]}, {"lr": 0.1})).cells()) == 1


def test_a_run_is_named_by_what_it_computes():
    base = TrainConfig(widths=(5,))
    assert run_key(base) == run_key(TrainConfig(widths=(5,), device="cpu", threads=3))
    others = [TrainConfig(widths=(5,), lr=0.02), TrainConfig(widths=(5, 5)), TrainConfig()]
    assert len({run_key(base), run_key(base, [1]), *map(run_key, others)}) == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("= 3", "not TOML"),
        ("colour = 3", "unknown: colour"),
        ("[base]\nwidht = 3", r"unknown in \[base\]: widht"),
        ("seeds = 0", "seeds is 0"),
        ("seeds = [1, -1]", "seeds is"),
        ("grid = 3", "grid must be"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(toml, text, says):
    path = toml(text)
    with pytest.raises(ConfigError, match=says) as raised:
        load_settings(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("base", [{"lr": -1}, {"lr": "fast"}, {"widths": "a"}, {"model": "lstm"}])
def test_values_that_no_run_can_have_are_refused(base):
    with pytest.raises(ConfigError):
        Settings(base=base).cells()


def test_absent_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        load_settings(tmp_path / "nowhere.toml")
