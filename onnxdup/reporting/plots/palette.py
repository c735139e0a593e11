"""The colours of pages and pictures, by role; light and dark; a test computes contrasts (WCAG 2.2 AA)."""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "panel": "#f4f6f9",
    "ink": "#15181e",
    "quiet": "#535b69",
    "rule": "#d4d9e1",
    "axis": "#737b89",
    "first": "#0a5aa8",
    "second": "#b24a05",
    "third": "#14753f",
    "fourth": "#8a3ab0",
    "wash": "#c9dff4",
    "good": "#14703d",
    "bad": "#b02419",
    "focus": "#9a4d00",
}
DARK: Mapping[str, str] = {
    "paper": "#121519",
    "panel": "#1c2026",
    "ink": "#e9ebef",
    "quiet": "#aab2bf",
    "rule": "#3a404b",
    "axis": "#8b93a1",
    "first": "#71b6ff",
    "second": "#ffa05c",
    "third": "#62d394",
    "fourth": "#d79bf5",
    "wash": "#24476b",
    "good": "#6cd69a",
    "bad": "#ff8f85",
    "focus": "#ffc966",
}
TEXT = ("ink", "quiet", "good", "bad", "first")
"""Roles that colour text: 4.5 : 1 against paper and panel."""
GRAPHIC = ("axis", "first", "second", "third", "fourth", "focus")
"""Roles of lines and areas that carry meaning: 3 : 1."""
SERIES = ("first", "second", "third", "fourth")
DASHES = ((), (5, 2), (1, 1.5), (6, 2, 1, 2))
MARKERS = ("o", "s", "^", "D")


def variables(colours: Mapping[str, str]) -> str:
    """CSS custom properties."""
    return " ".join(f"--{role}: {colour};" for role, colour in colours.items())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
