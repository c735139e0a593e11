"""GitHub's composite actions and workflow steps, run as the runner's shell would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


@dataclass(frozen=True)
class Ran:
    """What the steps of an action left behind."""

    code: int
    out: str
    err: str
    summary: str
    outputs: dict[str, str]


def read(path: Path) -> dict[str, Any]:
    """A YAML file."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def tools(folder: Path) -> dict[str, str]:
    """An environment in which `onnxdup` and `python3` are those under test, without inherited settings."""
    folder.mkdir(exist_ok=True)
    for name, module in (("onnxdup", "-m onnxdup"), ("python", ""), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        (folder / name).chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ONNXDUP_", "GITHUB_", "GIT_"))}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_action(inputs: dict[str, str], cwd: Path, environment: dict[str, str]) -> Ran:
    """The steps of action.yml with these inputs, each in `bash -e`, until one fails."""
    action = read(ROOT / "action.yml")
    unknown = set(inputs) - set(action["inputs"])
    assert not unknown, f"no such inputs: {unknown}"
    defaults = {k: str(v.get("default", "")) for k, v in action["inputs"].items()}
    context = {f"inputs.{k}": v for k, v in {**defaults, **inputs}.items()}
    context["github.action_path"] = str(ROOT)
    files = {name: cwd / f".{name.lower()}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    env = {**environment, **{k: str(v) for k, v in files.items()}}
    code, out, err = 0, "", ""
    for step in action["runs"]["steps"]:
        own = {k: resolved(v, context) for k, v in step["env"].items()}
        done = bash(step["run"], cwd, {**env, **own})
        code, out, err = done.returncode, out + done.stdout, err + done.stderr
        if code:
            break
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return Ran(code, out, err, files["GITHUB_STEP_SUMMARY"].read_text(), outputs)


def bash(script: str, cwd: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A script as GitHub's `shell: bash` runs it."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def resolved(text: str, context: dict[str, str]) -> str:
    """`${{ inputs.x }}` replaced, as the runner does before it starts the shell."""
    return _EXPRESSION.sub(lambda m: context[m.group(1)], text)
