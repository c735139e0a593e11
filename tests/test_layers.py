"""The walls between the layers: who may import what, found in the syntax tree (also inside functions)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "onnxdup"
LAYERS = (
    *("errors", "graph", "runtime", "channels", "similarity", "merging", "surgery", "evaluation"),
    *("reduce", "reporting", "gate", "api", "cli"),
)
TOP = ("__init__", "__main__")
ONNX = {"onnx", "onnx_graphsurgeon", "onnx_ir", "google"}
MAX_LINES = 400

FILES = sorted(PACKAGE.rglob("*.py"))
TRAINING = sorted((ROOT / "training").rglob("*.py"))


def layer_of(path: Path) -> str:
    """The first name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, typing_only: bool = True) -> Iterator[tuple[int, str]]:
    """(line, absolute module or module.name) of every import statement in a file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in walk(ast.parse(path.read_text(encoding="utf-8")), typing_only):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def walk(tree: ast.AST, typing_only: bool) -> Iterator[ast.AST]:
    """All nodes; without the bodies of `if TYPE_CHECKING:` unless asked for."""
    guarded = isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.dump(tree.test)
    yield tree
    for child in [] if guarded and not typing_only else ast.iter_child_nodes(tree):
        yield from walk(child, typing_only)


def dynamic_imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, argument) of importlib.import_module("...") and __import__("...")."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"import_module", "__import__"}:
                yield node.lineno, str(node.args[0].value)


def all_imports(path: Path) -> list[tuple[int, str]]:
    """Static and dynamic imports."""
    return [*imports(path), *dynamic_imports(path)]


def relative(path: Path) -> str:
    """Path below the repository."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_layers_import_only_lower_layers(path: Path) -> None:
    own = layer_of(path)
    assert own in LAYERS + TOP, f"{own} is no layer"
    if own in TOP:
        return
    wrong = [
        f"line {line}: {name}"
        for line, name in all_imports(path)
        if name.split(".")[0] == "onnxdup"
        and len(name.split(".")) > 1
        and name.split(".")[1] in LAYERS
        and LAYERS.index(name.split(".")[1]) > LAYERS.index(own)
    ]
    assert not wrong, f"{relative(path)} reaches up: {wrong}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_packages_stay_in_their_layer(path: Path) -> None:
    own, found = layer_of(path), {name.split(".")[0] for _, name in all_imports(path)}
    assert "torch" not in found
    assert not {"training", "tests"} & found
    assert own == "runtime" or "onnxruntime" not in found
    assert own == "graph" or not ONNX & found


@pytest.mark.parametrize("path", TRAINING, ids=relative)
def test_training_knows_onnxdup_by_its_files_only(path: Path) -> None:
    assert "onnxdup" not in {name.split(".")[0] for _, name in all_imports(path)}


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import onnx.helper", {"onnx.helper"}),
        ("def f():\n    from torch import nn", {"torch.nn"}),
        ("from . import b", {"onnxdup.graph.b"}),
        ("from ..cli import app", {"onnxdup.cli.app"}),
        ("import importlib\nimportlib.import_module('torch.nn')", {"importlib", "torch.nn"}),
        ("if TYPE_CHECKING:\n    import onnx", {"onnx"}),
    ],
)
def test_the_finder_finds(
    source: str, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "onnxdup" / "graph" / "sample.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert {name for _, name in all_imports(path)} == expected
