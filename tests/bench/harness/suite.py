"""All measurements of suite.toml, resumable, and the page ../RESULTS.md made of them.

    python tests/bench/harness/suite.py --models DIR --out DIR --page PAGE.md

DIR of the models holds the .onnx files, the test and calibration .npz and, in runs/, the folders of the
training runs. Every job has its own folder below --out.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import page
import run

CONFIG = Path(__file__).with_name("suite.toml")
DEFAULTS = {"data": "cifar10_test_standardised.npz", "calibration": "cifar10_calibration_standardised.npz"}


def jobs() -> list[dict[str, Any]]:
    """The jobs of suite.toml."""
    return [DEFAULTS | job for job in tomllib.loads(CONFIG.read_text(encoding="utf-8"))["job"]]


def arguments(job: dict[str, Any], models: Path, out: Path) -> list[str]:
    """The command line of run.py for a job; no models: empty."""
    files = [str(path) for pattern in job["models"] for path in sorted(models.glob(pattern))]
    if not files:
        return []
    keep = [str(share) for share in job["keep"]]
    data = ["--data", str(models / job["data"]), "--calibration", str(models / job["calibration"])]
    methods = ["--methods", *job.get("methods", ["all"])]
    methods += ["--calibrated", *job["calibrated"]] if "calibrated" in job else []
    extent = ["--scope", job.get("scope", "layers"), "--limit", str(job.get("limit", 0))]
    place = ["--runs", str(models / "runs"), "--out", str(out / job["name"])]
    return ["--models", *files, *methods, "--keep", *keep, *data, *extent, *place]


def main() -> None:
    """Run the jobs, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of jobs; none: only the page")
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    for job in jobs():
        command = arguments(job, args.models, args.out)
        if command and (args.only is None or job["name"] in args.only):
            run.main(command)
    if args.page:
        args.page.write_text(page.page(args.out, jobs()), encoding="utf-8")


if __name__ == "__main__":
    main()
