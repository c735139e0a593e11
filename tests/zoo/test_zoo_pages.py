"""Pages of published files of odd kinds: subgraphs, half precision, quantised, sound, recurrent, damaged."""

from __future__ import annotations

import pytest
from zoo_files import FOLDER

import onnxdup
from onnxdup.reporting.html import render
from onnxdup.reporting.portrait import portray

NAMES = ("oww_melspectrogram", "silero_vad_v5", "squeezenet_dao_fp16", "espcn_bsd300x3_quant", "qlstm_tract")


@pytest.mark.parametrize("name", (*NAMES, "pcb_aoi", "candy_uwp", "light_densenet121"))
def test_page_of_a_published_file(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"no zoo in {FOLDER}: set ONNXDUP_ZOO")
    document = onnxdup.load(path)
    report = onnxdup.report(document)
    page = render([portray(report, document, details=1)])
    assert page.count('<details id="m1-layer') == 1
    assert all(f">{o.groups:,}<" in page for o in report.obstacles)
