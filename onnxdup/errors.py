"""The errors a user can meet, one class per exit code (README, "Exit codes").

Each message is one line: what happened, where (file, node, tensor), and what to do about it.
"""

from __future__ import annotations

_LONGEST = 1000
"""Characters of a message; names in hostile files can be megabytes long."""


class OnnxdupError(Exception):
    """Base of all errors that onnxdup raises on purpose.

    `str(error)` is the whole line shown to the user: ``where: what; remedy``.
    """

    exit_code = 5

    def __init__(
        self,
        what: str,
        *,
        file: object = None,
        node: str | None = None,
        tensor: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.node, self.tensor, self.remedy = what, node, tensor, remedy
        self.file = None if file is None else str(file)
        super().__init__(self._line())

    def _line(self) -> str:
        places = [
            self.file,
            f"node {self.node}" if self.node else None,
            f"tensor {self.tensor}" if self.tensor else None,
        ]
        where = ", ".join(p for p in places if p)
        text = f"{where}: {self.what}" if where else self.what
        text = f"{text}; {self.remedy}" if self.remedy else text
        line = " ".join(text.split())
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


class GateFailed(OnnxdupError):
    """A gate or a verification ran and said no."""

    exit_code = 1


class UsageError(OnnxdupError):
    """The command line, the configuration or an argument is wrong."""

    exit_code = 2


class InputError(OnnxdupError):
    """A model or data file cannot be read, or what it says is invalid."""

    exit_code = 3


class CannotVerify(OnnxdupError):
    """A demanded verification could not be done: no GPU, or onnxruntime cannot run the model."""

    exit_code = 4


class Bug(OnnxdupError):
    """onnxdup contradicts itself; please report it."""

    exit_code = 5
