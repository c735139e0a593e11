"""Renews README.md: the outputs below every `$` line, and the operator table."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from readme_blocks import BEGIN, END, README, commands, operator_table, run, workshop


def main() -> None:
    """Runs every console block, in order, in one temporary folder."""
    text = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = workshop(folder)

        def renewed(match: re.Match[str]) -> str:
            shown = [
                f"$ {c.line}\n{run(c.line, folder, environment).stdout.rstrip()}\n"
                for c in commands(match[1])
            ]
            return f"```console\n{''.join(shown)}```"

        text = re.sub(r"^```console\n(.*?)^```$", renewed, text, flags=re.MULTILINE | re.DOTALL)
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    README.write_text(f"{head}{BEGIN}\n{operator_table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
