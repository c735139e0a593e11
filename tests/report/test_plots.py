"""Plots as files: valid SVG and PNG, the same on every run, with safe names; and the Python functions."""

from __future__ import annotations

import dataclasses
import re
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from report_examples import layer, report

import onnxdup
from onnxdup.errors import InputError, UsageError
from onnxdup.reporting.build import combine
from onnxdup.reporting.formats import from_json, to_json
from onnxdup.reporting.plots import write_files
from onnxdup.reporting.plots.files import safe
from onnxdup.reporting.plots.overview import short
from onnxdup.reporting.plots.png import NEGATIVE, POSITIVE, ZERO, encode, scale, sheet
from onnxdup.reporting.portrait import Tiles, portray

SAMPLES = Path(__file__).parents[2] / "samples"
MODEL = SAMPLES / "mlp_digits.onnx"


def test_svg_files_are_valid_labelled_and_the_same_each_time(tmp_path: Path) -> None:
    found = onnxdup.report(MODEL)
    once = onnxdup.write_plots(found, tmp_path / "a")
    again = onnxdup.write_plots(found, tmp_path / "b")
    assert [p.name for p in once] == [p.name for p in again] and len(once) == len(set(once))
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(once, again, strict=True))
    for path in (p for p in once if p.suffix == ".svg"):
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg") and root.get("role") == "img" and root.get("aria-label")
        assert "var(--" not in path.read_text(encoding="utf-8")
        assert path.stat().st_size < 60_000


def test_png_files_carry_their_words_and_are_grown(tmp_path: Path) -> None:
    paths = onnxdup.write_plots(onnxdup.report(MODEL), tmp_path)
    matrix = Image.open(next(p for p in paths if p.name == "fc2.weight-matrix.png"))
    matrix.load()
    assert matrix.size == (320, 320)
    assert "Similarity matrix of 64 filters" in matrix.text["Description"]  # type: ignore[attr-defined]


def test_names_of_layers_become_safe_and_different_file_names(tmp_path: Path) -> None:
    rows = (
        layer("../../etc/passwd", tensor="../../etc/passwd"),
        layer("a", tensor="A:w"),
        layer("b", tensor="a/w"),
    )
    model = dataclasses.replace(report().models[0], layers=rows)
    paths = write_files([portray(model, None)], tmp_path)
    assert all(p.parent == tmp_path for p in paths)
    assert len({p.name.lower() for p in paths}) == len(paths)
    assert safe("x" * 500) == "x" * 80 and safe("///") == "layer"


def test_scale_has_its_ends_and_its_middle() -> None:
    assert scale(np.array([-1.0, 0.0, 1.0, np.nan, 7.0])).tolist() == [
        list(NEGATIVE), list(ZERO), list(POSITIVE), list(ZERO), list(POSITIVE),
    ]  # fmt: skip


def test_sheet_places_tiles_in_rows_with_gaps() -> None:
    pixels = np.stack([np.full((8, 8), value, np.float32) for value in (-1, 0, 1)])
    made = np.asarray(Image.open(BytesIO(encode(sheet(Tiles(pixels, False, ""), 2)))))
    assert made.shape == (17, 17, 4)
    assert made[3, 3, 0] == 8 and made[3, 12, 0] == 128 and made[12, 3, 0] == 247
    assert made[3, 8, 3] == 0 and made[12, 12, 3] == 0 and made[3, 3, 3] == 255


def test_short_names_stay_different() -> None:
    long = [f"encoder.block{k}.attention.output.dense.weight" for k in (1, 2, 11)]
    assert short(long) == ["block1", "block2", "block11"]
    assert short(["a", "b"]) == ["a", "b"]
    assert all(len(name) <= 22 for name in short(["x" * 90, "y" * 40]))


def test_an_archived_report_finds_its_model_or_does_without(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(MODEL.read_bytes())
    archived = from_json(to_json(combine([onnxdup.report(model)])))
    with_model = onnxdup.write_html(archived, tmp_path / "a.html").read_text(encoding="utf-8")
    assert "data:image/png" in with_model
    model.unlink()
    without = onnxdup.write_html(archived, tmp_path / "b.html").read_text(encoding="utf-8")
    assert "data:image/png" not in without and "was not at hand" in without


def test_a_report_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another model"):
        onnxdup.write_html(onnxdup.report(MODEL), tmp_path / "p.html", model=SAMPLES / "cnn_digits.onnx")


def test_a_merge_without_its_original_asks_for_it(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes((SAMPLES / "mlp_digits_padded.onnx").read_bytes())
    merged = onnxdup.merge(model, provider="cpu")
    model.unlink()
    with pytest.raises(InputError, match="give it as `model`"):
        onnxdup.write_html(merged, tmp_path / "p.html")
    page = onnxdup.write_html(merged, tmp_path / "p.html", model=SAMPLES / "mlp_digits_padded.onnx")
    assert "490 filters became 330" in page.read_text(encoding="utf-8")


def test_the_picture_in_the_readme_is_small_and_has_words() -> None:
    found = re.findall(
        r"!\[([^\]]+)\]\((samples/[^)]+\.png)\)", (SAMPLES.parent / "README.md").read_text("utf-8")
    )
    assert any(name == "samples/report.png" and len(words) > 40 for words, name in found)
    assert (SAMPLES / "report.png").stat().st_size < 150_000


def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        onnxdup.write_html(onnxdup.report(MODEL), tmp_path / "nowhere" / "p.html")
