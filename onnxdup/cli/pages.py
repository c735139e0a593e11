"""The options `--html`, `--plots` and `--details`, and the one place that acts on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxdup.cli import options as opt
from onnxdup.errors import UsageError

if TYPE_CHECKING:
    from onnxdup.cli.console import Console
    from onnxdup.cli.values import Shapes
    from onnxdup.graph import Document
    from onnxdup.reporting.portrait import Portrait
    from onnxdup.reporting.schema import Failure, MergeReport
    from onnxdup.reporting.search_schema import ShrinkReport

DETAILS = 16

options = opt.many(
    opt.option("--html", type=opt.PATH, metavar="FILE", help="Also write a page for a browser."),
    opt.option("--plots", type=opt.PATH, metavar="DIR", help="Also write the pictures, as SVG and PNG."),
    opt.option(
        "--details",
        type=opt.POSITIVE,
        metavar="N",
        default=DETAILS,
        show_default=True,
        help="Layers that are drawn in --html and --plots: those with most to merge.",
    ),
)


@dataclass(frozen=True)
class Pages:
    """What to draw and where; made before the work, so that what cannot succeed fails early."""

    html: Path | None
    plots: Path | None
    details: int

    def __post_init__(self) -> None:
        if not self.wanted:
            return
        from onnxdup.reporting.needs import needs

        needs("--html" if self.html else "--plots", *(["jinja2"] if self.html else []), "matplotlib")
        if self.html is not None and (self.html.is_dir() or not self.html.parent.is_dir()):
            raise UsageError(
                "--html cannot be written there", file=self.html, remedy="name a file in a folder that exists"
            )
        if self.plots is not None and self.plots.exists() and not self.plots.is_dir():
            raise UsageError("--plots is a file", file=self.plots, remedy="name a folder")

    @property
    def wanted(self) -> bool:
        """Is anything to be drawn?"""
        return self.html is not None or self.plots is not None

    def per_model(self, models: int) -> int:
        """Layers drawn of each of several models."""
        return self.details if models == 1 else max(2, self.details // models)

    def draw(
        self,
        console: Console,
        report: MergeReport | ShrinkReport,
        before: Document,
        after: Document | None,
        shapes: Shapes,
    ) -> None:
        """The page and the plots of what was merged, where asked for."""
        if not self.wanted:
            return
        from onnxdup.api.pages import of_result

        with console.advance("drawing") as progress:
            portrait = of_result(
                report, before, after, details=self.details, input_shapes=shapes, progress=progress
            )
        self.write([portrait], (), console.say)

    def write(
        self, portraits: Sequence[Portrait], failures: Sequence[Failure], say: Callable[[str], Any]
    ) -> None:
        """The page and the plots, where asked for."""
        if self.html is not None:
            from onnxdup.reporting.files import write_text
            from onnxdup.reporting.html import render

            write_text(self.html, render(portraits, failures), "the page")
            say(f"wrote {self.html}")
        if self.plots is not None:
            from onnxdup.reporting.plots import write_files

            say(f"wrote {len(write_files(portraits, self.plots))} plots into {self.plots}")
