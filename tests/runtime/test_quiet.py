"""Redirection below Python: what C libraries print does not reach the standard streams."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onnxdup.runtime.quiet import captured_output


def test_descriptors_are_captured_and_restored(capfd: pytest.CaptureFixture[str]) -> None:
    with captured_output() as captured:
        os.write(1, b"\x1b[1;31mbanner\x1b[m\n")
        os.write(2, b"warning\n")
    os.write(1, b"after\n")
    assert captured.text == "banner\nwarning\n"
    out, err = capfd.readouterr()
    assert (out, err) == ("after\n", "")


def test_errors_pass_through_and_restore(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), captured_output() as captured:
        os.write(1, b"before the error")
        raise KeyError
    assert captured.text == "before the error"
    os.write(1, b"restored")
    assert capfd.readouterr().out == "restored"


def test_closed_streams_are_no_obstacle() -> None:
    code = (
        "import os; os.close(1); from onnxdup.runtime.quiet import captured_output\n"
        "with captured_output() as c: os.write(2, b'x')\n"
        "assert c.text == 'x'"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
