"""A gate for a pipeline.

`check` holds a model to budgets. The padded network holds planted duplicates, so the first gate fails;
merged, it passes, also the demand that its accuracy is that of the base.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

import onnxdup

HERE = Path(__file__).resolve().parent
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"
base, data = HERE.parent / "mlp_digits_padded.onnx", HERE.parent / "digits_test.npz"
budgets = {"max_removable": 0.0, "max_bytes": 200_000}

with tempfile.TemporaryDirectory() as folder:
    merged = Path(folder, "merged.onnx")
    onnxdup.merge(base, data=data, output=merged, provider="cpu")
    first = onnxdup.check(base, **budgets)
    second = onnxdup.check(merged, base=base, data=data, max_drop=1.0, **budgets)

for name, report in (("padded", first), ("merged", second)):
    print(f"{name}: {report.status}")
    for one in report.models[0].checks:
        print(f"  {one.status}: {one.name}: {one.detail}")

with matplotlib.rc_context({"svg.hashsalt": "gate", "font.size": 9}):
    figure = Figure(figsize=(5.5, 1.8), layout="constrained")
    axes = figure.add_subplot(xlabel="bytes")
    for place, report in enumerate((first, second)):
        colour = "tab:green" if report.status == "passed" else "tab:red"
        axes.barh(place, report.models[0].facts.model.bytes, color=colour)
    axes.axvline(budgets["max_bytes"], color="black", linestyle=":")
    axes.set_yticks((0, 1), ("padded", "merged"))
    axes.invert_yaxis()
    figure.savefig(pictures / "gate.svg", metadata={"Date": None})
