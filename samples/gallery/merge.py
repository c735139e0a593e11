"""Merge duplicates, and see what it costs.

Without tau only what is proven equal is merged. Below tau 1 the models are run side by side, and the report
holds both accuracies: here less than a third of the filters answers as well as all of them.
"""

import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

import onnxdup

HERE = Path(__file__).resolve().parent
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"
data = HERE.parent / "digits_test.npz"

points = []
for tau in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2):
    report = onnxdup.merge(HERE.parent / "mlp_digits.onnx", tau=tau, data=data, provider="cpu").report
    points.append((report.filters.after, 100 * report.accuracy_after.top1))
    print(f"tau {tau}: {report.filters.before} -> {report.filters.after} filters, {points[-1][1]:.1f} %")

with matplotlib.rc_context({"svg.hashsalt": "merge", "font.size": 9}):
    figure = Figure(figsize=(5.5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="filters left", ylabel="accuracy on 500 digits, %")
    axes.plot(*zip(*points, strict=True), marker="o")
    axes.grid(alpha=0.3)
    figure.savefig(pictures / "merge.svg", metadata={"Date": None})
