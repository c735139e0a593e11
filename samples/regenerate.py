"""Make every file of this folder again: ``python samples/regenerate.py`` (under a minute on one core).

Runs the commands of README.md and prints the accuracy of each model, measured with onnxruntime.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent

TRAIN = {
    "mlp_digits": "--model mlp --widths 256,64 --epochs 200 --lr 0.2 --lr-decay 0.985 --weight-decay 0.005",
    "mlp_digits_narrow": (
        "--model mlp --widths 128,64 --epochs 200 --lr 0.2 --lr-decay 0.985 --weight-decay 0.005 --seed 1"
    ),
    "cnn_digits": "--model resnet --depth 8 --epochs 30 --lr 0.05 --lr-decay 0.9 --weight-decay 0.001",
}
EXPORT = {
    "mlp_digits": "--test-data {folder}/digits_test.npz",
    "mlp_digits_narrow": "",
    "cnn_digits": "--keep-batchnorm",
}
PLANT = "--plant fc1:128 --plant fc2:32 --seed 0"


def regenerate(folder: Path) -> None:
    """Write the five files into `folder`."""
    with tempfile.TemporaryDirectory() as runs:
        for name, options in TRAIN.items():
            run = f"{runs}/{name}"
            _python(
                "-m", "training", "train", "--data", "digits", *options.split(), "--threads", "1", "-o", run
            )
            extra = EXPORT[name].format(folder=folder).split()
            _python("-m", "training", "export", run, "-o", str(folder / f"{name}.onnx"), *extra)
    padded = folder / "mlp_digits_padded.onnx"
    _python(str(HERE / "plant.py"), str(folder / "mlp_digits.onnx"), str(padded), *PLANT.split())


def accuracy(model: Path, data: Path) -> tuple[int, int]:
    """Right answers and images."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with np.load(data) as arrays:
        logits = np.asarray(session.run(["logits"], {"x": arrays["x"]})[0])
        return int((logits.argmax(1) == arrays["y"]).sum()), len(arrays["y"])


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=HERE.parent, check=True)


def main() -> None:
    """The command line: an optional folder, by default this one."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    regenerate(folder)
    for model in sorted(folder.glob("*.onnx")):
        right, images = accuracy(model, folder / "digits_test.npz")
        print(f"{model.name}: {model.stat().st_size:,} bytes, {right}/{images} right ({right / images:.2%})")


if __name__ == "__main__":
    main()
