"""The command line: one small file per command, and the only place that prints.

stdout carries the requested artefact and nothing else; progress, warnings and errors go to stderr. Exit codes
are those of `onnxdup.errors`: 0 fine, 1 a verification said no, 2 usage, 3 input, 4 cannot verify, 5 a bug.
"""

from __future__ import annotations

from onnxdup.cli.app import main

__all__ = ["main"]
