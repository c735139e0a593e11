"""onnxruntime's texts, as seen with version 1.31, in our words."""

from __future__ import annotations

import pytest

from onnxdup.runtime.messages import cuda_problem, load_error, missing_libraries, plain, run_error

LOADING = "[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:"
SIGNATURE = (
    "/onnxruntime_src/onnxruntime/core/graph/model.cc:256 onnxruntime::Model::Model(onnx::ModelProto&&, "
    "const onnxruntime::PathString&, const onnxruntime::ModelOptions&) "
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"{LOADING}{SIGNATURE}Unsupported model IR version: 14, max supported IR version: 13\n",
            "onnxruntime 9.9 reads ONNX IR versions up to 13, and the model has 14; install a newer",
        ),
        (
            f"{LOADING}{SIGNATURE}ONNX Runtime only *guarantees* support. Opset 99 is under development and "
            "support for this is limited. Current official support for domain ai.onnx is till opset 26.\n",
            "runs opsets up to 26 of ai.onnx, and the model has 99",
        ),
        (
            f"{LOADING}Fatal error: com.microsoft:LegacyPadding(-1) is not a registered function/op",
            "no operator LegacyPadding of the domain com.microsoft; it is a custom operator",
        ),
        (
            '[ONNXRuntimeError] : 10 : INVALID_GRAPH : This is an invalid model. Node ("", Debug, "", -1) '
            ': ("a": tensor(float16),) -> ("b",) , Error No Op registered for Debug with domain_version of 7',
            "no operator Debug at opset 7",
        ),
        (
            "[ONNXRuntimeError] : 10 : INVALID_GRAPH : Error No opset import for domain 'foo.bar'",
            "domain foo.bar but imports no opset",
        ),
        (
            f"{LOADING}{SIGNATURE}Missing opset in the model. All ModelProtos MUST have one.",
            "imports no opset",
        ),
        (
            "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Conv(11) node "
            "with name 'c'",
            "no kernel for Conv (opset 11) with the types of node 'c'",
        ),
        (f"{LOADING}Something new", "cannot load the model: Something new"),
    ],
)
def test_load_errors_become_one_sentence(text: str, words: str) -> None:
    line = str(load_error(text, version="9.9", file="m.onnx"))
    assert line.startswith("m.onnx: ")
    assert words in line
    assert "\n" not in line and "onnxruntime_src" not in line


def test_run_errors_name_the_node() -> None:
    text = (
        "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Non-zero status code returned while running Gather node."
        " Name:'emb' Status Message: indices element out of data bounds, idx=7"
    )
    error = run_error(text, file="m.onnx")
    assert (
        str(error)
        == "m.onnx, node emb: onnxruntime stopped in Gather: indices element out of data bounds, idx=7"
    )


def test_source_positions_are_left_out() -> None:
    text = "/src/reshape_helper.h:91 A::B(const T&, V&, bool) input_size == requested was false. Shapes {1,2}"
    assert plain(text) == "input_size == requested was false. Shapes {1,2}"


LOG = """2026-01-01 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] Failed to load library \
/site/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared \
object file: No such file or directory
Failed to load libcurand.so.10: libcurand.so.10: cannot open shared object file: No such file or directory
"""


def test_missing_libraries_are_found_in_the_log() -> None:
    assert missing_libraries(LOG) == ("libcublasLt.so.13", "libcurand.so.10")


def test_windows_names_the_library_as_well() -> None:
    log = 'loading "C:\\onnxruntime_providers_cuda.dll" which depends on "a64_13.dll" which is missing.'
    assert missing_libraries(log) == ("a64_13.dll",)


@pytest.mark.parametrize(
    ("log", "providers", "what", "remedy"),
    [
        (
            LOG,
            ["CUDAExecutionProvider"],
            "libcublasLt.so.13, libcurand.so.10 cannot be loaded",
            "onnxdup[cuda]",
        ),
        ("", ["CPUExecutionProvider"], "onnxruntime 1 has no CUDA provider", "onnxdup[cuda]"),
        (
            "CUDA failure 100: no CUDA-capable device is detected",
            ["CUDAExecutionProvider"],
            "no CUDA device",
            "cpu",
        ),
        (
            "CUDA failure 35: driver version",
            ["CUDAExecutionProvider"],
            "driver is older",
            "update the driver",
        ),
        ("", ["CUDAExecutionProvider"], "gives no reason", "onnxdup[cuda]"),
    ],
)
def test_why_there_is_no_gpu(log: str, providers: list[str], what: str, remedy: str) -> None:
    said, advised = cuda_problem(log, packages=["onnxruntime 1"], providers=providers)
    assert what in said
    assert remedy in advised


def test_two_packages_in_one_folder_are_the_reason() -> None:
    said, advised = cuda_problem("", packages=["onnxruntime 1", "onnxruntime-gpu 1"], providers=[])
    assert said == "onnxruntime 1 and onnxruntime-gpu 1 overwrite each other"
    assert advised.startswith("uninstall both")
