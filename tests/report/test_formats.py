"""The writers: honest numbers, narrow terminals, escaping."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import pytest
from report_examples import DOCUMENTS, evaluation, layer, merge, report, verification

from onnxdup.reporting import github, junit, markdown, text
from onnxdup.reporting.cases import cases
from onnxdup.reporting.formats import FORMATS, view
from onnxdup.reporting.schema import Artefact, Change
from onnxdup.reporting.view import count, percent, saved, size

KINDS = [d.schema for d in DOCUMENTS]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_text_keeps_to_the_width_and_has_no_escape_codes(document: Artefact, width: int) -> None:
    shown = text.render(view(document), width=width)
    assert max(map(len, shown.splitlines())) <= width
    assert "\x1b" not in shown and not any(line.endswith(" ") for line in shown.splitlines())


def test_colour_only_adds_escape_codes() -> None:
    assert "\x1b[" in text.render(view(merge()), colour=True)


def test_report_at_80_columns_keeps_names_filters_and_every_tau() -> None:
    taus = tuple(
        dataclasses.replace(report().models[0].totals.taus[1], tau=t) for t in (1, 0.95, 0.9, 0.85, 0.8)
    )
    rows = tuple(
        layer(f"/features/block.{i}/conv/Conv", tensor=f"onnx::Conv_{i}", taus=taus) for i in range(3)
    )
    base = report(rows)
    totals = dataclasses.replace(base.models[0].totals, taus=taus)
    shown = text.render(
        view(dataclasses.replace(base, models=(dataclasses.replace(base.models[0], totals=totals),))),
        width=80,
    )
    assert all(f"{t:g}" in shown.splitlines()[1] for t in (1, 0.95, 0.9, 0.85, 0.8))
    assert "/features/block" in shown and "17.6% -60" in shown
    assert "total" in shown and "1,000" in shown


def test_report_shows_why_not_more_and_frozen_layers() -> None:
    shown = text.render(view(report()), width=160)
    assert (
        "Why not more: graph output (10 filters in 1 group, e.g. fc3); "
        "no rule for LSTM (96 filters in 2 groups, e.g. rnn)." in shown
    )
    assert "(f)" in shown and "not reported: bad.onnx: the file is empty" in shown


def test_merge_shows_before_after_saved_and_accuracy() -> None:
    shown = text.render(view(merge()), width=120)
    assert ["filters", "500", "440", "12.0", "%"] in [line.split() for line in shown.splitlines()]
    assert "Accuracy before: 95.00 % (95 % interval 90.00 to 98.00)" in shown
    assert "Verification passed: wrote dir/we|ird <b>.onnx" in shown
    assert "Removed 3 channels by exact relations and 57 by cluster at tau 0.9" in shown


def test_merge_says_when_accuracy_was_not_checked_or_nothing_was_written() -> None:
    bare = dataclasses.replace(
        merge("failed"), output=None, accuracy_before=None, accuracy_after=None, paired=None
    )
    shown = text.render(view(bare), width=120)
    assert "Accuracy was not checked" in shown and "Verification failed: nothing was written" in shown


def test_evaluation_without_labels_says_so() -> None:
    assert "top-1" in text.render(view(evaluation()))
    assert "Accuracy was not checked" in text.render(view(evaluation(accuracy=False)))


def test_markdown_escapes_names_and_keeps_table_shape() -> None:
    shown = markdown.render(view(report()))
    for block in shown.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        cells = {len(row.replace("\\|", "").split("|")) for row in rows}
        assert len(cells) <= 1, "every row has as many cells as the head"
    assert "<b>" not in shown.replace("\\<", "").replace("<b\\>", "") and "fc\\|3 \\`x\\`" in shown


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_junit_counts_its_cases(document: Artefact) -> None:
    root = ET.fromstring(junit.render(document).encode())
    found = root.findall("./testsuite/testcase")
    bad = root.findall("./testsuite/testcase/failure")
    assert int(root.attrib["tests"]) == len(found) == len(cases(document))
    assert int(root.attrib["failures"]) == len(bad)


def test_junit_failures_are_the_failed_checks() -> None:
    assert ET.fromstring(junit.render(merge("failed")).encode()).attrib["failures"] == "1"
    assert ET.fromstring(junit.render(merge()).encode()).attrib["failures"] == "0"
    assert ET.fromstring(junit.render(verification("inconclusive")).encode()).attrib["failures"] == "1"


def test_junit_survives_control_characters() -> None:
    document = report((layer("a\x00b\x1bc"),))
    names = [c.attrib["name"] for c in ET.fromstring(junit.render(document).encode()).iter("testcase")]
    assert names[0] == "a?b?c"


def test_github_annotations_are_one_line_each_and_escaped() -> None:
    lines = github.render(merge("failed")).splitlines()
    assert [line.split()[0] for line in lines] == ["::notice", "::error"]
    awkward = report((layer("100%,a:b\nc"),))
    line = github.render(awkward).splitlines()[0]
    assert "100%25%2Ca%3Ab%0Ac" in line and len(github.render(awkward).splitlines()) == 2


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_writes_every_document(name: str, document: Artefact) -> None:
    shown = FORMATS[name](document)
    assert shown.endswith("\n") and shown.strip()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (312456, "312.5 kB")],
)
def test_size(value: int, expected: str) -> None:
    assert size(value) == expected


def test_numbers() -> None:
    assert count(1234567) == "1,234,567"
    assert percent(float("nan")) == "-" and percent(0.1234) == "12.3 %"
    assert saved(Change(0, 0)) == "-" and saved(Change(100, 110)) == "-10.0 %"
