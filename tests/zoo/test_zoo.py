"""The two laws and plain use on every published file of the zoo (skipped where it is absent)."""

from __future__ import annotations

import pytest
from zoo_files import FOLDER, Entry, entries
from zoo_laws import Specimen, excess, specimen, unexpected

import onnxdup
from onnxdup.channels import trace
from onnxdup.errors import CannotVerify, InputError
from onnxdup.graph import check, load
from onnxdup.reduce import merge


def cases(*kinds: bool) -> list[object]:
    """Files that run (True) or do not (False) as parameters."""
    found = [e for e in entries() if e.runs in kinds]
    if not found:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no zoo in {FOLDER}: set ONNXDUP_ZOO"))]
    return [pytest.param(e, id=e.name) for e in found]


each = pytest.mark.parametrize("entry", cases(True, False))
running = pytest.mark.parametrize("entry", cases(True))
refused = pytest.mark.parametrize("entry", cases(False))


@each
def test_report_or_one_sentence(entry: Entry) -> None:
    """A report, or one line that says why not."""
    try:
        report = onnxdup.report(entry.path, taus=(1.0, 0.99))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert report.layers is not None


@each
def test_frozen_groups_name_node_and_reason(entry: Entry) -> None:
    document = load(entry.path)
    nodes = {node.name for node in document.nodes}
    for group in trace(document).groups:
        if group.frozen is not None:
            assert group.frozen.reason
            assert group.frozen.node in nodes, (group.name, group.frozen.reason)


@each
def test_merging_the_file_is_valid_and_settles(entry: Entry) -> None:
    """The exact pass gives a valid file (if it was one), and a second pass finds nothing."""
    found = specimen(entry)
    if not found.reduction.changed:
        assert found.reduction.document is found.document
        return
    assert not merge(load(found.base), 1.0, input_shapes=found.shapes).changed
    if is_valid(found):
        check(found.reduction.document)


@running
def test_permutation_changes_nothing(entry: Entry) -> None:
    """Law 1, all free groups at once."""
    found = specimen(entry)
    if not found.free:
        pytest.skip("no group is free")
    assert not excess(found.compare(load(found.base), load(found.permuted())))


@running
@pytest.mark.parametrize("scaled", [False, True], ids=["copies", "multiples"])
def test_planted_duplicates_are_recovered(entry: Entry, scaled: bool) -> None:
    """Law 2, all free groups at once: exactly what was planted goes, and the outputs stay.

    Linear groups may lose more: where layers before them get narrower, they become wider than their rank.
    """
    found = specimen(entry)
    if not found.free:
        pytest.skip("no group is free")
    model, counts = found.planted(scaled=scaled)
    planted = load(model)
    reduction = merge(planted, 1.0, input_shapes=found.shapes)
    assert not unexpected(found, counts, reduction), dict(reduction.declined)
    assert not excess(found.compare(planted, reduction.document))


@running
def test_exact_merging_keeps_the_outputs(entry: Entry) -> None:
    """What the exact pass finds in the file itself."""
    found = specimen(entry)
    if found.reduction.changed:
        comparison = found.compare(found.document, found.reduction.document)
        assert not comparison.beyond_exact
        assert not excess(comparison)


@running
def test_near_duplicates_leave_a_model_that_runs(entry: Entry) -> None:
    """At tau .99 outputs may move, but stay finite where they were."""
    found = specimen(entry)
    reduction = merge(found.document, 0.99, input_shapes=found.shapes)
    if reduction.changed:
        comparison = found.compare(found.document, reduction.document)
        before = found.compare(found.document, found.document)
        assert comparison.finite or not before.finite


@refused
def test_files_that_do_not_run_are_refused_in_one_line(entry: Entry) -> None:
    found = specimen(entry)
    with pytest.raises((CannotVerify, InputError)) as caught:
        found.compare(found.document, found.document)
    assert "\n" not in str(caught.value)


def is_valid(found: Specimen) -> bool:
    """Does the checker accept the file as it came?"""
    try:
        check(found.document)
    except InputError:
        return False
    return True
