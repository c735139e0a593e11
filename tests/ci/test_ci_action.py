"""action.yml in a scratch repository: duplicates fail, the merged model passes, errors keep their codes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from ci_steps import ROOT, Ran, bash, read, run_action, tools

SAMPLES = ROOT / "samples"
Action = Callable[..., Ran]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with a duplicated model, its merged version and data."""
    folder = tmp_path_factory.mktemp("scratch") / "repository"
    folder.mkdir()
    for name in ("mlp_digits_padded.onnx", "digits_test.npz"):
        shutil.copy(SAMPLES / name, folder / name)
    env = tools(folder.parent / "tools")
    merge = "onnxdup merge mlp_digits_padded.onnx --data digits_test.npz -o merged.onnx"
    git = "git init -q && git add . && git -c user.name=t -c user.email=t@t commit -qm models"
    done = bash(f"{merge} && {git}", folder, env)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def action(repository: Path) -> Action:
    """Runs the action on models of the repository; onnxdup is there already."""

    def call(model: str, **inputs: str) -> Ran:
        given = {k.replace("_", "-"): v for k, v in inputs.items()}
        env = tools(repository.parent / "tools")
        return run_action({"model": model, "package": "", **given}, repository, env)

    return call


def test_a_duplicated_model_fails_the_gate(action: Action, repository: Path) -> None:
    ran = action("mlp_digits_padded.onnx", max_removable="0", max_duplicates="10")
    assert ran.code == 1
    assert ran.outputs == {"duplicate-ratio": "0.326531", "saved-bytes": "", "verdict": "failed"}
    assert "❌ failed: removable: merge" in ran.summary and "| filters |" in ran.summary
    suite = ET.parse(repository / "onnxdup-report/check.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert ran.out.count("::error file=mlp_digits_padded.onnx") == 2


def test_the_merged_model_passes_beside_its_base(action: Action, repository: Path) -> None:
    ran = action(
        "merged.onnx",
        base="mlp_digits_padded.onnx",
        data="digits_test.npz",
        max_removable="0",
        max_drop="1",
        min_agreement="99.5",
        max_bytes="200kB",
    )
    assert ran.code == 0, ran.err
    saved = (repository / "mlp_digits_padded.onnx").stat().st_size - (
        repository / "merged.onnx"
    ).stat().st_size
    assert ran.outputs == {"duplicate-ratio": "0.000000", "saved-bytes": str(saved), "verdict": "passed"}
    assert (
        "| measure | base | head | change |" in ran.summary
        and "| filters | 490 | 330 | -32.7 % |" in ran.summary
    )
    assert ET.parse(repository / "onnxdup-report/check.xml").getroot().get("failures") == "0"


def test_several_models_and_an_error_among_them(action: Action, repository: Path) -> None:
    (repository / "broken.onnx").write_bytes(b"")
    ran = action("merged.onnx\nbroken.onnx")
    assert (ran.code, ran.outputs["verdict"]) == (3, "error")
    assert "not checked: broken.onnx" in ran.summary and "330" in ran.summary


def test_broken_data_exits_3(action: Action, repository: Path) -> None:
    (repository / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    ran = action("merged.onnx", base="mlp_digits_padded.onnx", data="broken.npz", max_drop="1")
    assert (ran.code, ran.outputs["verdict"]) == (3, "error")
    assert "broken.npz" in ran.err


def test_a_demanded_gpu_that_is_not_there_exits_4(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ran = action("merged.onnx", provider="cuda")
    assert (ran.code, ran.outputs["verdict"]) == (4, "error")
    assert "the GPU is not used" in ran.err and "Traceback" not in ran.err


@pytest.mark.parametrize("text", ["[tool.onnxdup.check]\nmax-bites = 1\n", "[tool.onnxdup\n"])
def test_bad_configuration_exits_2(action: Action, repository: Path, text: str) -> None:
    config = repository / "pyproject.toml"
    config.write_text(text)
    try:
        ran = action("merged.onnx")
    finally:
        config.unlink()
    assert (ran.code, ran.outputs, ran.summary) == (2, {"verdict": "error"}, "")
    assert "pyproject.toml" in ran.err


def test_inputs_are_data_and_never_shell(action: Action, repository: Path) -> None:
    ran = action(
        "$(touch hacked) `touch hacked` ;touch hacked", data="$(touch hacked)", max_drop="1; touch hacked"
    )
    assert ran.code == 2
    assert not (repository / "hacked").exists()
    assert all("${{" not in step["run"] for step in read(ROOT / "action.yml")["runs"]["steps"])


def test_every_input_reaches_an_option() -> None:
    described = read(ROOT / "action.yml")
    used = {v for step in described["runs"]["steps"] for v in step["env"].values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in described["inputs"]} <= used
    from onnxdup.cli.check import command

    known = {p.envvar for p in command.params if p.envvar}
    given = {k for step in described["runs"]["steps"] for k in step["env"] if k.startswith("ONNXDUP_")}
    assert given <= known
    assert set(described["outputs"]) == {"duplicate-ratio", "saved-bytes", "verdict"}


@pytest.mark.slow
def test_the_example_workflow_trains_exports_merges_and_gates(tmp_path: Path) -> None:
    (tmp_path / "training").symlink_to(ROOT / "training")
    env = tools(tmp_path / "tools")
    steps = read(SAMPLES / "ci/workflow.yml")["jobs"]["model"]["steps"]
    for step in steps:
        if "run" in step and not step["run"].startswith("pip install"):
            done = bash(step["run"], tmp_path, env)
            assert done.returncode == 0, done.stderr
        elif step.get("uses") == "./":
            ran = run_action(step["with"], tmp_path, env)
            assert (ran.code, ran.outputs["verdict"]) == (0, "passed"), ran.summary
            break
    else:
        pytest.fail("the workflow has no gate")


def test_the_gitlab_script_runs(repository: Path, tmp_path: Path) -> None:
    job = read(SAMPLES / "ci/gitlab.yml")["onnxdup"]
    script = "\n".join(line for line in job["script"] if not line.startswith("pip install"))
    env = {**tools(tmp_path / "tools"), "MODELS": str(repository / "merged.onnx")}
    done = bash(script, tmp_path, env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / job["artifacts"]["reports"]["junit"]).is_file()
    assert all((tmp_path / name).is_file() for name in job["artifacts"]["paths"])


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_dockerfiles_are_plain_and_say_that_they_are_unbuilt(name: str) -> None:
    lines = (SAMPLES / "ci" / name).read_text().splitlines()
    said = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    assert "Not built by the tests of this repository" in said
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert words[0] == "FROM" and "USER" in words and "ENTRYPOINT" in words
    assert set(words) <= {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


def test_the_pre_commit_hook_in_a_scratch_repository(repository: Path, tmp_path: Path) -> None:
    """The real pre-commit with our manifest; `language: system` spares a second environment."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed (it is in the extra test)")
    env = {**tools(tmp_path / "tools"), "PRE_COMMIT_HOME": str(tmp_path / "cache")}
    hooks, work = tmp_path / "hooks", tmp_path / "work"
    for folder in (hooks, work):
        folder.mkdir()
        git(folder, env, "init", "-q")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    commit(hooks, env)
    revision = git(hooks, env, "rev-parse", "HEAD").stdout.strip()
    (work / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hooks}\n  rev: {revision}\n  hooks:\n  - id: onnxdup-check\n    language: system\n"
    )
    shutil.copy(repository / "mlp_digits_padded.onnx", work / "model.onnx")
    git(work, env, "add", ".")
    done = bash("python3 -m pre_commit run", work, env)
    assert done.returncode == 1 and "would remove 160 of 490 filters" in done.stdout, (
        done.stdout + done.stderr
    )
    shutil.copy(repository / "merged.onnx", work / "model.onnx")
    git(work, env, "add", ".")
    done = bash("python3 -m pre_commit run", work, env)
    assert done.returncode == 0 and "Passed" in done.stdout, done.stdout + done.stderr


def git(folder: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
    )


def commit(folder: Path, env: dict[str, str]) -> None:
    git(folder, env, "add", ".")
    git(folder, env, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "files")
