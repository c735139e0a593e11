"""The child of `isolation`: `python -m onnxdup.api.isolated FOLDER` does one job and writes its answer."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxdup.api.isolation import REQUEST, RESPONSE
from onnxdup.errors import OnnxdupError


def _measure(arguments: dict[str, Any]) -> Any:
    from onnxdup.api.measuring import Measuring, measure
    from onnxdup.reporting.codec import to_dict

    return to_dict(measure(**{**arguments, "how": Measuring.from_plain(arguments["how"])}))


JOBS: Mapping[str, Callable[[dict[str, Any]], Any]] = {"measure": _measure}
"""What a child can be asked for: name → function from keyword arguments to a JSON value."""


def respond(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a request: a value, or the error that the job raised."""
    try:
        return {"value": JOBS[request["job"]](request["arguments"])}
    except OnnxdupError as error:
        if isinstance(error.__cause__, MemoryError):
            return {"error": {"class": "MemoryError"}}
        facts = {name: getattr(error, name) for name in ("what", "file", "node", "tensor", "remedy")}
        return {"error": {"class": type(error).__name__, **facts}}
    except MemoryError:
        return {"error": {"class": "MemoryError"}}
    except Exception as error:
        return {"error": {"class": "Bug", "what": f"{type(error).__name__}: {error}"}}


def main(folder: Path) -> None:
    """Reads the request, limits this process, answers."""
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    _limit(request["address_space"])
    partial = folder / f"{RESPONSE}.part"
    partial.write_text(json.dumps(respond(request)), encoding="utf-8")
    partial.rename(folder / RESPONSE)


def _limit(address_space: int | None) -> None:
    """No core dumps; and a limit of memory where the parent cannot watch it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
