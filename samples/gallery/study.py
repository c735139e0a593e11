"""A study: train networks, measure them with onnxdup, get tables, figures and a page.

`python -m training study NAME` runs the experiments of the paper and around it (it needs PyTorch:
`pip install ".[study]"` in a checkout). Here weight decay in small: the stronger it is, the smoother the
filters and the more of them are duplicates.
"""

import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "pictures"

with tempfile.TemporaryDirectory() as folder:
    settings = ["--config", str(HERE / "study.toml"), "--out", folder, "--workers", "1", "--quiet"]
    study = [sys.executable, "-m", "training", "study", "weight-decay", *settings]
    subprocess.run(study, cwd=HERE.parents[1], check=True)
    results = Path(folder, "weight-decay")
    runs = list(csv.DictReader((results / "runs.csv").open()))
    taus = [row for row in csv.DictReader((results / "taus.csv").open()) if float(row["tau"]) == 0.9]
    shutil.copy(results / "filters.png", pictures / "study.png")

for run in runs:
    first = next(row for row in taus if row["weight_decay"] == run["weight_decay"])
    print(
        f"weight decay {run['weight_decay']}: {float(run['test_accuracy']):.1%} right, "
        f"{first['components']} components of {first['filters']} filters at 0.9"
    )
