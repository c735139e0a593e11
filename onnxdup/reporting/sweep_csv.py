"""A sweep as CSV: one row per model, the original first."""

from __future__ import annotations

import csv
from io import StringIO

from onnxdup.reporting.search_schema import SweepPoint, SweepReport

COLUMNS = (
    *("method", "tau", "keep", "filters", "parameters", "macs", "bytes", "accuracy", "accuracy_low"),
    *("accuracy_high", "drop", "p_value", "error", "agreement"),
)


def render(report: SweepReport) -> str:
    """The table with a header; unknown cells are empty, shares are fractions."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(p) for p in (report.base, *report.points))
    return out.getvalue()


def _row(point: SweepPoint) -> list[object]:
    found, pair = point.accuracy, point.paired
    interval = None if found is None else found.top1_interval
    cells = [
        *(point.method, point.tau, point.keep, point.filters, point.parameters, point.macs, point.bytes),
        None if found is None else found.top1,
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        None if pair is None else pair.drop,
        None if pair is None else pair.p_value,
        *(point.error, point.agreement),
    ]
    return ["" if c is None else c for c in cells]
