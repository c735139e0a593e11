"""onnxruntime's messages in one plain line: pure functions from its text to ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onnxdup.errors import CannotVerify

CUDA_COMMAND = 'pip install "onnxdup[cuda]"'

_STATUS = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_LOADING = re.compile(r"^Load model from .*? failed: ?", re.S)
_SOURCE = re.compile(r"\S+\.(?:cc|h|cpp):\d+ [^()]*\(.*?\)(?: const)? (?=\S)", re.S)
_LIBRARIES = (
    re.compile(r"([\w.+-]+\.so[\w.]*): cannot open shared object file"),
    re.compile(r'"([\w.+-]+\.dll)" which is missing'),
    re.compile(r"Failed to load (?:\S*[/\\])?([\w.+-]+\.(?:so|dll)[\w.]*): "),
)

_LOAD_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"),
        "onnxruntime {version} reads ONNX IR versions up to {1}, and the model has {0}",
        "install a newer onnxruntime or export the model with an older IR version",
    ),
    (
        re.compile(r"Opset (\d+) is under development.*?domain (\S+?) is (?:till opset )?(\d+)", re.S),
        "onnxruntime {version} runs opsets up to {2} of {1}, and the model has {0}",
        "install a newer onnxruntime or export the model with an older opset",
    ),
    (
        re.compile(r"(\S*?):(\w+)\(-?\d+\) is not a registered function/op"),
        "onnxruntime has no operator {1} of the domain {0}",
        "it is a custom operator: run the model where its library is registered",
    ),
    (
        re.compile(r"No Op registered for (\w+) with domain_version of (\d+)"),
        "onnxruntime has no operator {0} at opset {1}",
        "check the opset that the file imports",
    ),
    (
        re.compile(r"No opset import for domain '?([^'\s]*)'?"),
        "the model uses operators of the domain {0} but imports no opset for it",
        "the file is invalid: export it again",
    ),
    (
        re.compile(r"Missing opset in the model"),
        "the model imports no opset",
        "the file is invalid: export it again",
    ),
    (
        re.compile(
            r"NOT_IMPLEMENTED : Could not find an implementation for (\w+)\((\d+)\) node with name '(.*?)'"
        ),
        "onnxruntime has no kernel for {0} (opset {1}) with the types of node {2!r}",
        "run the model on another provider or in float32",
    ),
)


def load_error(text: str, *, version: str, file: object = None) -> CannotVerify:
    """The error for a model that onnxruntime could not load, from the text of its exception."""
    for pattern, what, remedy in _LOAD_RULES:
        match = pattern.search(text)
        if match:
            groups = match.groups()
            return CannotVerify(what.format(*groups, version=version), file=file, remedy=remedy)
    return CannotVerify(f"onnxruntime cannot load the model: {plain(text)}", file=file)


def run_error(text: str, *, file: object = None) -> CannotVerify:
    """The error for a run that onnxruntime broke off, naming the node where the text does."""
    match = re.search(r"while running (\w+) node\. Name:'(.*?)' Status Message: (.*)", text, re.S)
    if match:
        op_type, node, reason = match.groups()
        return CannotVerify(
            f"onnxruntime stopped in {op_type}: {plain(reason)}", file=file, node=node or None
        )
    return CannotVerify(f"onnxruntime cannot run the model: {plain(text)}", file=file)


def plain(text: str, limit: int = 300) -> str:
    """`text` without status codes, source positions and line breaks, cut to `limit` characters."""
    for pattern in (_STATUS, _LOADING, _SOURCE):
        text = pattern.sub("", text)
    text = " ".join(text.removeprefix("Fatal error: ").split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def missing_libraries(text: str) -> tuple[str, ...]:
    """The shared libraries that a captured loader log says are missing, in order of mention."""
    found = [match for pattern in _LIBRARIES for match in pattern.findall(text)]
    return tuple(dict.fromkeys(name for name in found if "onnxruntime_providers" not in name))


def cuda_problem(log: str, *, packages: Sequence[str], providers: Sequence[str]) -> tuple[str, str]:
    """Why the CUDA provider is not in use, and the remedy, from the captured `log` of the attempt.

    `packages` names the installed distributions (``onnxruntime-gpu 1.31.1``), `providers` those that
    onnxruntime was built with.
    """
    install = f"install the CUDA libraries: {CUDA_COMMAND}"
    if "CUDAExecutionProvider" not in providers and len(packages) > 1:
        return f"{' and '.join(packages)} overwrite each other", f"uninstall both, then {CUDA_COMMAND}"
    if "CUDAExecutionProvider" not in providers:
        return f"{packages[0] if packages else 'this onnxruntime'} has no CUDA provider", install
    libraries = missing_libraries(log)
    if libraries:
        return f"{', '.join(libraries)} cannot be loaded", install
    if re.search(r"CUDA (failure|error) 35\b|driver version is insufficient", log):
        return "the NVIDIA driver is older than the CUDA libraries", "update the driver"
    if re.search(r"no CUDA-capable device|CUDA (failure|error) 100\b|cudaErrorNoDevice", log):
        return "no CUDA device", "run on a machine with an NVIDIA GPU, or use --provider cpu"
    return f"onnxruntime could not start CUDA: {plain(log) or 'it gives no reason'}", install
