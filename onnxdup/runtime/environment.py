"""What a GPU run needs, and what of it is here: shared libraries, the driver, a run that proves it."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxdup.errors import CannotVerify
from onnxdup.graph import parse
from onnxdup.runtime.session import Session, _onnxruntime, _preload

PROBE = "probe (float[2, 4] x) => (float[2, 4] y) { h = MatMul (x, w)  y = Relu (h) }"
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True)
class Library:
    """A shared library that the CUDA provider loads; `problem` is the loader's reason where it cannot."""

    name: str
    loads: bool
    problem: str


def cuda_version() -> str:
    """The CUDA version that onnxruntime was built for; empty for a build without CUDA."""
    return str(getattr(_onnxruntime(), "cuda_version", "") or "")


def devices() -> tuple[str, ...]:
    """Devices that onnxruntime sees, as ``CPU AMD``."""
    listing = getattr(_onnxruntime(), "get_ep_devices", None)
    found = [] if listing is None else listing()
    return tuple(dict.fromkeys(f"{d.device.type.name} {d.device.vendor}".strip() for d in found))


def driver() -> str:
    """The NVIDIA kernel driver, as it names itself; empty where there is none (or no Linux)."""
    try:
        lines = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return lines[0].partition(":")[2].strip() if lines else ""


def libraries(version: str) -> tuple[Library, ...]:
    """The libraries of a CUDA version and whether they load, after those of the nvidia packages were."""
    if not version:
        return ()
    _preload()
    return tuple(map(_loaded, library_names(version)))


def library_names(version: str, platform: str = sys.platform) -> tuple[str, ...]:
    """What the CUDA provider of onnxruntime links against, from the CUDA version it was built for."""
    major = int(version.split(".")[0])
    fft = major - 1
    if platform == "win32":
        named = (
            f"cudart64_{major}",
            f"cublasLt64_{major}",
            f"cublas64_{major}",
            f"cufft64_{fft}",
            "cudnn64_9",
        )
        return ("nvcuda.dll", *(f"{name}.dll" for name in named))
    cuda = (f"cudart.so.{major}", f"cublasLt.so.{major}", f"cublas.so.{major}", f"nvrtc.so.{major}")
    return ("libcuda.so.1", *(f"lib{n}" for n in (*cuda, "curand.so.10", f"cufft.so.{fft}", "cudnn.so.9")))


def _loaded(name: str) -> Library:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return Library(name, False, " ".join(str(error).split()))
    return Library(name, True, "")


def probe_gpu() -> str:
    """Runs a matrix product on the GPU and returns where its nodes ran. `CannotVerify` where that fails."""
    model = parse(PROBE, w=np.eye(4, dtype=np.float32))
    with Session.open(model, provider="cuda") as session:
        x = np.arange(8, dtype=np.float32).reshape(2, 4)
        if not np.array_equal(session.run({"x": x})["y"], x):
            raise CannotVerify("the GPU multiplies wrongly", remedy="check the driver and the device")
        return session.placement.summary()
