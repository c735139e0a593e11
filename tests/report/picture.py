"""Renews samples/report.png, the picture of a page in README.md; needs Chromium."""

from __future__ import annotations

import os
import tempfile
from io import BytesIO
from pathlib import Path

from browser import Browser
from PIL import Image

import onnxdup

SAMPLES = Path(__file__).parents[2] / "samples"
WIDTH, SHOWN, COLOURS = 1280, 830, 128
TOP = "document.querySelector('#m1-taus').getBoundingClientRect().top"
DETAIL = "document.querySelector('#m1-layer1{0}').getBoundingClientRect().top"


def main() -> None:
    """Summary and first layer of a sample, one below the other."""
    os.chdir(SAMPLES.parent)
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        page = onnxdup.write_html(onnxdup.report("samples/mlp_digits.onnx"), Path(folder) / "page.html")
        browser.open(page, width=WIDTH)
        browser.screenshot(Path(folder) / "page.png")
        cuts = [
            (0, browser.run(TOP)),
            (browser.run(DETAIL.format("")), browser.run(DETAIL.format(" .filters"))),
        ]
        whole = Image.open(BytesIO((Path(folder) / "page.png").read_bytes())).convert("RGB")
    parts = [whole.crop((0, round(top), WIDTH, round(bottom))) for top, bottom in cuts]
    sheet = Image.new("RGB", (WIDTH, sum(p.height for p in parts)), "white")
    sheet.paste(parts[0], (0, 0))
    sheet.paste(parts[1], (0, parts[0].height))
    small = sheet.resize((SHOWN, sheet.height * SHOWN // WIDTH), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        SAMPLES / "report.png", optimize=True
    )


if __name__ == "__main__":
    main()
