"""The gallery: every script runs, prints what its page shows, and draws a small picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
from readme.readme_blocks import masked

FOLDER = Path(__file__).parents[2] / "samples" / "gallery"
NEEDS = {"study": ("torch", "matplotlib")}
LARGEST = 60_000


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery_build", FOLDER / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _load()


@pytest.mark.parametrize("name", build.EXAMPLES)
def test_the_example_runs_and_shows_what_the_page_shows(name: str, tmp_path: Path) -> None:
    for package in NEEDS.get(name, ("matplotlib",)):
        pytest.importorskip(package)
    printed = build.run(name, tmp_path)
    assert list(masked(printed)) == list(masked(build.shown()[name])), f"run samples/gallery/build.py {name}"
    drawn = build.picture(name, tmp_path)
    assert drawn.name == build.picture(name).name and drawn.stat().st_size < LARGEST
    if drawn.suffix == ".svg":
        assert ET.parse(drawn).getroot().tag.endswith("svg")


def test_the_page_holds_the_scripts_as_they_are() -> None:
    assert set(build.shown()) == set(build.EXAMPLES)
    assert build.PAGE.read_text(encoding="utf-8") == build.page(build.shown()), "run samples/gallery/build.py"


def test_nothing_is_left_over_and_the_pictures_are_small() -> None:
    scripts = {p.stem for p in FOLDER.glob("*.py")} - {"build"}
    pictures = list((FOLDER / "pictures").iterdir())
    assert scripts == {p.stem for p in pictures} == set(build.EXAMPLES)
    assert all(p.stat().st_size < LARGEST for p in pictures)
