"""The page in a real browser: it opens, asks for nothing, sorts, filters, changes its colours, and prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, executable
from report_examples import at, layer, report

import onnxdup
from onnxdup.reporting.html import render
from onnxdup.reporting.portrait import portray

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium here (apt-get install chromium)")

SAMPLES = Path(__file__).parents[2] / "samples"
COLUMN = """[...document.querySelectorAll('#m1-table tbody tr')].filter(r => !r.hidden)
            .map(r => r.cells[{0}].textContent.trim())"""
HEAD = "document.querySelectorAll('#m1-table thead th[scope=col] button')[{0}]"
WIDTHS = (320, 390, 768, 1280)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    return onnxdup.write_html(onnxdup.report(SAMPLES / "mlp_digits.onnx"), path)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 60 layers; one has no kurtosis."""
    rows = tuple(
        layer(f"block{k}", tensor=f"block{k}.weight", filters=500 + k, taus=(at(0.9, 500 - k, 500, k),))
        for k in range(60)
    )
    path = tmp_path_factory.mktemp("many") / "page.html"
    path.write_text(render([portray(report(rows).models[0], None)]), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_opens_without_errors_or_requests_and_fits(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.open(page, width=width, dark=dark)
    assert browser.requests == [page.resolve().as_uri()]
    assert browser.errors == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_colours_follow_the_system_and_the_button(browser: Browser, page: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(page, dark=False)
    light = browser.run(ground)
    pressed = "document.getElementById('theme').getAttribute('aria-pressed')"
    assert browser.run(pressed) == "false"
    browser.run("document.getElementById('theme').click()")
    dark = browser.run(ground)
    assert dark != light and browser.run(pressed) == "true"
    browser.run("document.getElementById('theme').click()")
    browser.run("localStorage.clear()")
    browser.open(page, dark=True)
    assert browser.run(ground) == dark
    browser.run("document.getElementById('theme').click()")
    assert browser.run(ground) == light
    browser.run("localStorage.clear()")


def test_text_has_contrast_as_rendered(browser: Browser, page: Path) -> None:
    """Every text node against the nearest opaque ground behind it, as the browser computed both."""
    script = """(() => {
      const rgb = c => c.match(/[\\d.]+/g).map(Number);
      const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const lum = c => { const [r, g, b] = rgb(c).map(v => linear(v / 255));
        return .2126*r + .7152*g + .0722*b; };
      const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (rgb(c).length < 4 || rgb(c)[3] > 0) return c; } return 'rgb(255,255,255)'; };
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); const bad = [];
      while (walk.nextNode()) { const e = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
        const style = getComputedStyle(e), ink = e.closest('svg') ? style.fill : style.color;
        const [a, b] = [lum(ink), lum(ground(e))].sort((x, y) => y - x);
        if ((a + .05) / (b + .05) < 4.5) bad.push([e.tagName, e.textContent.slice(0, 40)]); }
      return bad; })()"""
    for dark in (False, True):
        browser.open(page, dark=dark)
        assert browser.run(script) == []


def test_click_sorts_and_says_so(browser: Browser, many: Path) -> None:
    browser.open(many)
    before = browser.run(COLUMN.format(2))
    browser.run(HEAD.format(2) + ".click()")
    assert browser.run(COLUMN.format(2)) == before[::-1]
    state = HEAD.format(2) + ".closest('th').getAttribute('aria-sort')"
    assert browser.run(state) == "descending"
    browser.run(HEAD.format(2) + ".click()")
    assert browser.run(COLUMN.format(2)) == before and browser.run(state) == "ascending"
    assert browser.run("document.querySelectorAll('#m1-table th[aria-sort]').length") == 1


def test_names_sort_by_their_numbers(browser: Browser, many: Path) -> None:
    browser.open(many)
    browser.run(HEAD.format(2) + ".click()")
    browser.run(HEAD.format(1) + ".click()")
    assert browser.run(COLUMN.format(1)) == [f"block{k}.weight" for k in range(60)]


@pytest.mark.parametrize("key", ["Enter", " "])
def test_keyboard_sorts(browser: Browser, many: Path, key: str) -> None:
    browser.open(many)
    before = browser.run(COLUMN.format(2))
    browser.run(HEAD.format(2) + ".focus()")
    browser.press(key)
    assert browser.run(COLUMN.format(2)) == before[::-1]
    assert browser.run("document.activeElement.textContent") == "filters"


def test_everything_is_reached_by_tab_and_focus_is_seen(browser: Browser, page: Path) -> None:
    browser.open(page)
    seen = []
    for _ in range(40):
        browser.press("Tab")
        seen.append(browser.run("document.activeElement.tagName + ' ' + document.activeElement.className"))
        style = browser.run("getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", seen[-1]
    assert seen[0] == "A skip"
    assert {"BUTTON tool noprint", "INPUT ", "DIV scroll", "SUMMARY "} <= set(seen)


def test_find_hides_other_rows_and_counts(browser: Browser, many: Path) -> None:
    browser.open(many)
    browser.run("(() => { const i = document.querySelector('input'); i.value = 'block5'; "
                "i.dispatchEvent(new Event('input')); })()")  # fmt: skip
    assert browser.run(COLUMN.format(1)) == [f"block{k}.weight" for k in (5, *range(50, 60))]
    assert browser.run("document.querySelector('.find [role=status]').textContent") == "11 of 60"


def test_link_from_the_table_opens_the_layer(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("[...document.querySelectorAll('details.layer')].map(d => d.open)") == [
        True,
        False,
        False,
    ]
    browser.run("document.querySelectorAll('#m1-table a')[1].click()")
    browser.run("new Promise(r => setTimeout(r, 100))")
    assert browser.run("document.getElementById('m1-layer2').open")
    browser.run("document.querySelector('[data-open]').click()")
    assert browser.run("[...document.querySelectorAll('#m1-details details')].every(d => d.open)")
    browser.run("document.querySelector('[data-close]').click()")
    assert browser.run("[...document.querySelectorAll('#m1-details details')].every(d => !d.open)")


def test_charts_have_words_for_assistive_technology(browser: Browser, page: Path) -> None:
    browser.open(page)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    pictures = [n for n in nodes if n.get("role", {}).get("value") in ("image", "img") and not n["ignored"]]
    assert len(pictures) > 10
    assert all(len(n["name"]["value"]) > 20 for n in pictures)


def test_print_is_light_opens_the_layers_and_hides_the_tools(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    browser.open(page, dark=True)
    browser.pdf(tmp_path / "page.pdf")
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 3
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.getElementById('theme')).display") == "none"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("[...document.querySelectorAll('details.layer')].every(d => d.open)")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert not browser.run("document.getElementById('m1-layer2').open")
    browser.call("Emulation.setEmulatedMedia", media="")
