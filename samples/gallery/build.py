"""Runs the examples and writes README.md and pictures/: ``python samples/gallery/build.py [NAME…]``.

With names only these run again; what the page shows of the others stays.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE / "README.md"
EXAMPLES = ("report", "merge", "shrink", "gate", "study")
HEAD = """# Gallery

Five short scripts, run by the tests. `python samples/gallery/build.py` runs them and writes this page; they
need the extra `html` (matplotlib), the last one `study` (PyTorch).
"""
_SHOWN = re.compile(r"^## (\w+): .*?^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(name: str, pictures: Path) -> str:
    """What an example prints; its picture goes to the folder. Raises `CalledProcessError` where it fails."""
    command = [sys.executable, str(HERE / f"{name}.py"), str(pictures)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def picture(name: str, pictures: Path = HERE / "pictures") -> Path:
    """The picture of an example."""
    return next(pictures.glob(f"{name}.*"))


def page(outputs: Mapping[str, str]) -> str:
    """The page with these outputs and the scripts as they are."""
    return "\n".join([HEAD, *(_section(name, outputs[name]) for name in EXAMPLES)])


def shown() -> dict[str, str]:
    """The outputs that the page shows."""
    return dict(_SHOWN.findall(PAGE.read_text(encoding="utf-8"))) if PAGE.exists() else {}


def _section(name: str, output: str) -> str:
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    title, _, text = str(ast.get_docstring(ast.parse(source))).partition("\n\n")
    title = title.rstrip(".")
    code = source.split('"""', 2)[2].strip()
    text = " ".join(text.split())
    image = f"![{title}](pictures/{picture(name).name})"
    return f"## {name}: {title}\n\n{text}\n\n```python\n{code}\n```\n\n```text\n{output}```\n\n{image}\n"


def main() -> None:
    """The command line."""
    names = sys.argv[1:] or EXAMPLES
    outputs = {**shown(), **{name: run(name, HERE / "pictures") for name in names}}
    PAGE.write_text(page(outputs), encoding="utf-8")


if __name__ == "__main__":
    main()
