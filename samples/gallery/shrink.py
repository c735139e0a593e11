"""The smallest model within a budget.

`shrink` cuts the channels of all layers in the order of predicted error per saved cost and measures the
candidates: here the smallest digits network that is shown to lose at most 3 points. Half of the images
choose it; the other half, which it has not seen, says how good it is.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import onnxdup

HERE = Path(__file__).resolve().parent
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"

with np.load(HERE.parent / "digits_test.npz") as digits:
    x, y = digits["x"], digits["y"]
chooses, judges = (x[::2], y[::2]), (x[1::2], y[1::2])
model = HERE.parent / "mlp_digits.onnx"
found = onnxdup.shrink(model, max_drop=3, data=chooses, holdout=judges, provider="cpu").report

change = found.merge
for layer in change.layers:
    print(f"{layer.tensor}: {layer.filters.before} -> {layer.filters.after} filters")
print(f"parameters: {change.parameters.before:,} -> {change.parameters.after:,}")
before, after = found.holdout.accuracy_before, found.holdout.accuracy_after
print(f"unseen half: {before.top1:.1%} -> {after.top1:.1%} of {after.samples} right")

trials = [t for t in found.trials if t.drop is not None]
with matplotlib.rc_context({"svg.hashsalt": "shrink", "font.size": 9}):
    figure = Figure(figsize=(5.5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="parameters", ylabel="points lost", xscale="log", ylim=(-1, 6))
    for kept, colour in ((True, "tab:green"), (False, "tab:red")):
        some = [t for t in trials if t.good is kept]
        axes.errorbar(
            [t.parameters for t in some], [t.drop for t in some],
            yerr=[[0.0] * len(some), [t.drop_bound - t.drop for t in some]],
            fmt="o", color=colour, label="within the budget" if kept else "not",
        )  # fmt: skip
    axes.axhline(3, color="black", linewidth=0.8, linestyle=":")
    axes.legend(title="bars: to the bound at 95 %")
    figure.savefig(pictures / "shrink.svg", metadata={"Date": None})
