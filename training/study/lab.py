"""Where a study works: every configuration is trained once per folder, and exported once per checkpoint.

OUT/runs/KEY/         the run: config.json, metrics.json, last.pt, the models and reports made of it
OUT/data/             test images, scaled, as .npz
OUT/STUDY/            cells/KEY.json, *.csv, figures, README.md
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.checkpoint import LAST, load_metrics, newest, save_metrics
from training.config import TrainConfig
from training.study.settings import run_key

EXPORTER = "torchscript"
"""The faster of the two by a second, which counts for many small runs."""


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and where its data come from."""

    folder: Path
    lab: Lab
    config: TrainConfig

    @property
    def metrics(self) -> dict[str, Any]:
        """What its metrics.json holds."""
        return load_metrics(self.folder / "metrics.json")

    def model(self, checkpoint: str = "") -> Path:
        """The ONNX file of a checkpoint (default: the one the run ends with), exported when it is absent."""
        from training import export

        name = checkpoint or newest(self.folder)
        path = self.folder / f"{Path(name).stem}.onnx"
        if not path.is_file():
            data = self.lab.dataset(self.config)
            export.export(self.folder, data, path, checkpoint=name, exporter=EXPORTER)
        return path

    def test_data(self, limit: int = 0) -> Path:
        """The test images (the first `limit`; 0: all), scaled for this run, and labels as .npz, kept."""
        from training import export
        from training.checkpoint import restore_model

        count = f"_{limit}" if limit else ""
        path = self.lab.out / "data" / f"{self.config.data}_{self.config.scaling}_test{count}.npz"
        if not path.is_file():
            data = self.lab.dataset(self.config)
            temporary = path.with_name(f"{self.folder.name}.tmp.npz")
            scaling = restore_model(self.folder, data, LAST)[2]
            export.write_dataset(temporary, data, scaling, limit=limit)
            temporary.replace(path)
        return path


@dataclass(frozen=True)
class Lab:
    """A folder of runs, and the folder of the data files."""

    out: Path
    data_dir: Path | None = None

    def dataset(self, config: TrainConfig) -> Any:
        """The data set of a run."""
        return _dataset(config.data, self.data_dir, config.limit)

    def train(self, config: TrainConfig, steps: Sequence[int] = ()) -> Run:
        """The run of `config`: trained, continued where it stopped, or found finished."""
        from training import loop

        run = self.find(config, steps)
        if not self.finished(run):
            if config.snap:
                self._copy_unsnapped(run, steps)
            begun = (run.folder / LAST).is_file()
            loop.train(config, self.dataset(config), run.folder, resume=begun, steps=steps)
        return run

    def _copy_unsnapped(self, run: Run, steps: Sequence[int]) -> None:
        """Begin `run` as the finished run without a snap, which is the same until then."""
        plain = self.train(dataclasses.replace(run.config, snap=0.0), steps)
        run.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(plain.folder / LAST, run.folder / LAST)
        metrics = {k: v for k, v in plain.metrics.items() if k != "final"}
        save_metrics(run.folder / "metrics.json", metrics)

    def find(self, config: TrainConfig, steps: Sequence[int] = ()) -> Run:
        """The run of `config`, whether it is there or not."""
        return Run(self.out / "runs" / run_key(config, steps), self, config)

    def finished(self, run: Run) -> bool:
        """Whether the run has reached its last epoch."""
        return (run.folder / "metrics.json").is_file() and "final" in run.metrics


@functools.lru_cache(maxsize=2)
def _dataset(name: str, data_dir: Path | None, limit: int) -> Any:
    from training.data import load_dataset

    return load_dataset(name, data_dir, limit=limit)
