"""The document: schema, formats, table, picture, and the command."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

import onnxdup
from onnxdup.cli import main
from onnxdup.errors import InputError, UsageError
from onnxdup.reporting import needs
from onnxdup.reporting.comparison import formats, plot
from onnxdup.reporting.comparison.schema import ComparisonReport

SAMPLES = Path(__file__).parents[2] / "samples"
MLP, PADDED, CNN = (str(SAMPLES / f"{n}.onnx") for n in ("mlp_digits", "mlp_digits_padded", "cnn_digits"))
DIGITS = str(SAMPLES / "digits_test.npz")


@pytest.fixture(scope="module")
def reports() -> dict[str, ComparisonReport]:
    return {
        "weights": onnxdup.compare(MLP, PADDED),
        "data": onnxdup.compare(MLP, CNN, DIGITS, samples=40),
        "nothing": onnxdup.compare(MLP, CNN, include=["*conv*", "fc1*"]),
    }


KINDS = ("weights", "data", "nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_json_survives_and_fits_the_shipped_schema(kind: str, reports: dict[str, ComparisonReport]) -> None:
    text = formats.to_json(reports[kind])
    assert formats.to_json(formats.from_json(text)) == text
    shipped = json.loads((files("onnxdup.reporting") / "schemas" / "comparison.json").read_text())
    jsonschema.validate(json.loads(text), shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(text), "extra": 1}, shipped)


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": "onnxdup/comparison", "schema_version": "2.0"}'])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        formats.from_json(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_every_format_writes_every_kind(name: str, kind: str, reports: dict[str, ComparisonReport]) -> None:
    shown = formats.FORMATS[name](reports[kind])
    assert shown.endswith("\n") and "mlp_digits.onnx" in shown.replace("\\", "")


def test_the_table_says_what_was_compared(reports: dict[str, ComparisonReport]) -> None:
    shown = formats.FORMATS["text"](reports["weights"])
    row = next(line for line in shown.splitlines() if line.startswith("fc1.weight"))
    assert "256 / 384" in row and "1.000" in row and "100.0%" in row
    assert "fc3.weight = fc.weight" in formats.FORMATS["text"](reports["data"])
    nothing = formats.FORMATS["text"](reports["nothing"])
    assert "No layer of A could be paired" in nothing and "Not paired in A: fc1.weight (no dense" in nothing


def test_a_thousand_is_said_of_one_only() -> None:
    from onnxdup.reporting.comparison.view import _two

    assert [_two(v) for v in (1.0, 1 - 1e-9, 0.99997, 0.9994, 0.5, math.nan)] == [
        *("1.000", "1.000", "0.999", "0.999", "0.500", "-")
    ]


def test_shares_and_counts_belong_together(reports: dict[str, ComparisonReport]) -> None:
    for pair in reports["weights"].pairs:
        found = pair.matching
        assert found is not None and found.pairs == sum(k >= 0 for k in found.partners)
        assert len(found.partners) == len(found.cosines) == pair.a.filters
        assert found.pairs + found.unmatched_a == pair.a.filters
        assert found.pairs + found.unmatched_b == pair.b.filters
        assert len(set(found.partners)) == found.pairs + (found.unmatched_a > 0)
        assert found.chance < found.chance_high < 1


@pytest.mark.parametrize("suffix", [".svg", ".png"])
@pytest.mark.parametrize("kind", KINDS)
def test_pictures(kind: str, suffix: str, reports: dict[str, ComparisonReport], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first, second = (tmp_path / f"{n}{suffix}" for n in ("a", "b"))
    for path in (first, second):
        plot.draw(reports[kind], path)
    assert first.read_bytes() == second.read_bytes() and first.stat().st_size > 1000
    if suffix == ".svg":
        assert ET.parse(first).getroot().tag.endswith("svg")


def test_a_missing_matplotlib_is_one_line_and_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    assert main(["compare", "no.onnx", "no.onnx", "--plot", str(tmp_path / "p.svg")]) == 2
    assert capsys.readouterr().err == "onnxdup: error: a picture needs matplotlib; pip install matplotlib\n"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "r.json"
    assert main(["compare", MLP, PADDED, "--json", "--report", str(saved)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(saved.read_text()) and not shown.err
    assert json.loads(shown.out)["schema"] == "onnxdup/comparison"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((MLP, "no.onnx"), 3, "no.onnx"),
        ((MLP, PADDED, "--layers", "fc1.weight"), 2, "fc1.weight=dense.weight"),
        ((MLP, PADDED, "--layers", "fc1.wieght=fc1.weight"), 2, "did you mean fc1.weight?"),
        ((MLP, PADDED, "--include", "nothing*"), 2, "no layer matches"),
        ((MLP, PADDED, "--tau", "1.5"), 2, "--tau"),
        ((MLP, PADDED, "--energy", "0"), 2, "--energy"),
        ((MLP, PADDED, "--plot", "p.gif"), 2, ".svg or .png"),
        ((MLP, PADDED, "--data", "no.npz"), 3, "no.npz"),
        ((MLP, PADDED, "--format", "junit"), 2, "junit"),
        ((MLP,), 2, "'B'"),
    ],
)
def test_errors_are_one_line(
    arguments: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments]) == code
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.count("\n") == 1 and not shown.out


@pytest.mark.parametrize(("tau", "energy"), [(0.0, 0.9), (1.1, 0.9), (0.9, 0.0), (0.9, 1.1)])
def test_numbers_out_of_range_are_refused_by_the_api_too(tau: float, energy: float) -> None:
    with pytest.raises(UsageError):
        onnxdup.compare(MLP, MLP, tau=tau, energy=energy)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from onnxdup.cli import main; main(['compare', '--help']); "
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'onnx', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_comparing_loads_no_matplotlib_and_without_data_no_runtime() -> None:
    code = (
        f"import sys, onnxdup; onnxdup.compare({MLP!r}, {MLP!r}); "
        "print([m for m in ('matplotlib', 'onnxruntime', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
