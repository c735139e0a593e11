"""The page that one looks at: a portrait laid out by a template."""

from __future__ import annotations

from onnxdup.reporting.html.page import render

__all__ = ["render"]
