"""The page: self-contained, accessible by structure, true to the report, safe against hostile names."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
from page_reader import Page
from report_examples import at, layer, merge, report

import onnxdup
from onnxdup.api import OverBudget
from onnxdup.reporting import schema
from onnxdup.reporting.html import render
from onnxdup.reporting.plots.palette import DARK, GRAPHIC, LIGHT, TEXT, contrast
from onnxdup.reporting.portrait import chosen_layers, portray

SAMPLES = Path(__file__).parents[2] / "samples"
URL = re.compile(r"""(?:src|href|action|url)\s*[=(]\s*["']?\s*(?!#|data:)[^"')>\s]+""")


PAGES = ["mlp_digits", "cnn_digits", "archived", "merged", "shrunk", "unreached", "several", "empty"]


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    if request.param == "archived":
        return Page(render([portray(report().models[0], None)], report().failures))
    if request.param == "several":
        return Page(render([portray(report().models[0], None), portray(report().models[0], None)]))
    if request.param == "empty":
        bare = dataclasses.replace(report().models[0], layers=(), groups=(), obstacles=(), totals=_nothing())
        return Page(render([portray(bare, None)]))
    if request.param == "merged":
        merged = onnxdup.merge(SAMPLES / "mlp_digits_padded.onnx", provider="cpu")
        path = onnxdup.write_html(merged, folder / "page.html")
    elif request.param == "shrunk":
        shrunk = onnxdup.shrink(SAMPLES / "mlp_digits.onnx", keep=0.5, provider="cpu")
        path = onnxdup.write_html(shrunk, folder / "page.html")
    elif request.param == "unreached":
        with pytest.raises(OverBudget) as over:
            onnxdup.shrink(SAMPLES / "mlp_digits.onnx", target_params=5, provider="cpu")
        path = onnxdup.write_html(over.value.report, folder / "page.html")
    else:
        model = SAMPLES / f"{request.param}.onnx"
        path = onnxdup.write_html(onnxdup.report(model), folder / "page.html")
    return Page(path.read_text(encoding="utf-8"))


def _nothing() -> schema.Totals:
    return schema.Totals(0, 0, 0, 0, 0, 0, 0, (schema.AtTau(1.0, 0, 0, 1.0, 0.0, 0, 0),))


def test_page_asks_the_network_for_nothing(page: Page) -> None:
    outside = [x for x in URL.findall(page.source) if not x.startswith("url(#")]
    assert not outside
    assert not re.findall(r"https?://", page.source)
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed"} == set()
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")


def test_elements_are_closed_and_ids_are_unique(page: Page) -> None:
    assert not page.wrong and not page.open
    assert len(page.ids) == len(set(page.ids))


def test_references_inside_the_page_lead_somewhere(page: Page) -> None:
    known = set(page.ids)
    wanted = {
        a["href"][1:] for tag, a in page.tags if tag in ("a", "use") and a.get("href", "").startswith("#")
    }
    wanted |= set(re.findall(r"url\(#([^)]+)\)", page.source))
    wanted |= {
        a[name] for _, a in page.tags for name in ("for", "aria-labelledby", "data-table") if name in a
    }
    assert wanted and wanted <= known


def test_pictures_have_words_and_headings_are_in_order(page: Page) -> None:
    assert all(len(img["alt"]) > 20 for img in page.all("img"))
    assert all(svg.get("role") == "img" and len(svg["aria-label"]) > 20 for svg in page.all("svg"))
    levels = page.headings
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_scopes_and_can_be_reached(page: Page) -> None:
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(th.get("scope") in ("col", "row", "colgroup") for th in page.all("th"))
    scrolled = [div for div in page.all("div") if "scroll" in div.get("class", "").split()]
    assert all(div["tabindex"] == "0" and div["aria-label"] for div in scrolled)
    assert len(scrolled) == len(page.all("table"))


def test_language_viewport_and_title_are_given(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert any(m.get("name") == "viewport" for m in page.all("meta"))
    assert "Duplicate filters" in page.text_of("title")[0]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast_meets_wcag_aa(colours: dict[str, str]) -> None:
    grounds = [colours["paper"], colours["panel"]]
    text = {role: min(contrast(colours[role], ground) for ground in grounds) for role in TEXT}
    graphic = {role: contrast(colours[role], colours["paper"]) for role in GRAPHIC}
    assert not {role: ratio for role, ratio in text.items() if ratio < 4.5}
    assert not {role: ratio for role, ratio in graphic.items() if ratio < 3}
    assert contrast(colours["ink"], colours["wash"]) >= 4.5, "numbers stand on bars"


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert set(LIGHT) == set(DARK)


def test_names_from_the_file_stay_text() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>$x^2$'
    rows = (layer(evil, tensor=evil, note=evil), layer("b", schema.Freeze(evil, evil)))
    page = Page(render([portray(report(rows).models[0], None)]))
    assert len(page.all("script")) == 1
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert evil in page.text
    assert not page.wrong and not page.open


def test_page_says_what_the_report_says() -> None:
    found = onnxdup.report(SAMPLES / "mlp_digits.onnx")
    text = Page(render([portray(found, onnxdup.load(SAMPLES / "mlp_digits.onnx"))])).text
    for t in found.totals.taus:
        assert f"{100 * t.duplicate_share:.1f} %" in text
    for x in found.layers:
        assert x.tensor in text
        assert f"kurtosis {x.cosines.kurtosis:.3g}" in text if x.cosines else True
    assert all(o.reason in text for o in found.obstacles)


def test_verdict_of_a_merge_names_both_counts() -> None:
    done = merge()
    text = Page(render([dataclasses.replace(portray(report().models[0], None), merged=done)])).text
    assert "500 filters became 440" in text
    assert all(c.detail in text for c in done.checks)


def test_few_layers_are_all_drawn_and_of_many_those_with_most_to_merge() -> None:
    layers = tuple(layer(f"n{k}", taus=(at(0.9, 500 - k, 500, k),)) for k in range(40))
    assert chosen_layers(layers[:16], 0.9, 16) == layers[:16]
    chosen = chosen_layers(layers, 0.9, 4)
    assert [x.node for x in chosen] == ["n0", "n37", "n38", "n39"]


def test_the_same_report_gives_the_same_page() -> None:
    found = onnxdup.report(SAMPLES / "cnn_digits.onnx")
    document = onnxdup.load(SAMPLES / "cnn_digits.onnx")
    assert render([portray(found, document, details=2)]) == render([portray(found, document, details=2)])


def test_five_hundred_layers_stay_in_one_small_page() -> None:
    layers = tuple(layer(f"/block{k}/dense", tensor=f"block{k}.dense.weight") for k in range(500))
    page = Page(render([portray(report(layers).models[0], None)]))
    assert len(page.source.encode()) < 10_000_000
    assert sum(tag == "details" and a.get("class") == "layer" for tag, a in page.tags) == 16
    assert all(x.tensor in page.text for x in layers)
