"""Where are the duplicates, and what do they look like?

A report lists the filters of every layer, how many of them duplicate others at each threshold, and why a
layer cannot be touched. `write_plots` draws it: here the largest clusters at 0.9, as images in the shape of
the layer's input.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.image
from matplotlib.figure import Figure

import onnxdup

HERE = Path(__file__).resolve().parent
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"

found = onnxdup.report(HERE.parent / "mlp_digits.onnx", taus=(0.95, 0.9, 0.8))
for layer in found.layers:
    shares = ", ".join(f"{at.duplicate_share:.0%} at {at.tau}" for at in layer.taus)
    why = f"  (stays: {layer.frozen.reason})" if layer.frozen else ""
    print(f"{layer.tensor}: {layer.filters} filters, duplicates {shares}{why}")

with tempfile.TemporaryDirectory() as folder:
    drawn = onnxdup.write_plots(found, folder)
    clusters = [p for p in drawn if p.name.startswith("fc1.weight-cluster")]
    figure = Figure(figsize=(6, 0.5 + 0.5 * len(clusters)), layout="constrained")
    for place, cluster in enumerate(clusters):
        axes = figure.add_subplot(len(clusters) // 2, 2, place + 1)
        axes.imshow(matplotlib.image.imread(cluster), interpolation="nearest")
        axes.set_axis_off()
    figure.savefig(pictures / "report.png", dpi=90)
