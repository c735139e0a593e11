"""The job behind `doctor`: looks at this environment, changes nothing."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence

from onnxdup import runtime
from onnxdup.errors import CannotVerify
from onnxdup.reporting.environment import SCHEMA_VERSION, Environment, GpuState, LibraryState, Problem
from onnxdup.reporting.runs import TOOL
from onnxdup.runtime import environment as here

PACKAGES = ("onnx", "onnx-graphsurgeon", "numpy", "scipy", "onnx-ir", "torch")
CUDA_COMMAND = 'pip install "onnxdup[cuda]"'


def examine() -> Environment:
    """Versions, providers, libraries, and a run on the GPU where there is one."""
    missing: CannotVerify | None = None
    providers: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    cuda = ""
    try:
        providers, cuda, devices = runtime.available_providers(), here.cuda_version(), here.devices()
    except CannotVerify as error:
        missing = error
    libraries = here.libraries(cuda)
    gpu = _gpu()
    runtimes = runtime.runtime_packages()
    return Environment(
        schema="onnxdup/doctor",
        schema_version=SCHEMA_VERSION,
        tool=TOOL,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages=_versions(),
        runtimes=runtimes,
        providers=providers,
        devices=devices,
        cuda=cuda,
        driver=here.driver(),
        libraries=tuple(LibraryState(x.name, x.loads, x.problem) for x in libraries),
        gpu=gpu,
        auto="GPU" if gpu.works else "CPU",
        problems=problems(runtimes, libraries, here.driver(), missing),
    )


def problems(
    runtimes: Sequence[str],
    libraries: Sequence[here.Library],
    driver: str,
    missing: CannotVerify | None = None,
) -> tuple[Problem, ...]:
    """What is wrong: no onnxruntime, two that overwrite each other, a GPU whose libraries are not there."""
    found = [] if missing is None else [Problem(missing.what, missing.remedy or "pip install onnxdup")]
    if len(runtimes) > 1:
        names = [text.split()[0] for text in runtimes]
        remedy = f"pip uninstall -y {' '.join(names)} && {CUDA_COMMAND}"
        found.append(Problem(f"{' and '.join(runtimes)} are installed and overwrite each other", remedy))
    absent = [x.name for x in libraries if not x.loads and x.name != here.DRIVER]
    if driver and absent:
        found.append(
            Problem(f"there is an NVIDIA driver, but {', '.join(absent)} cannot be loaded", CUDA_COMMAND)
        )
    return tuple(found)


def _gpu() -> GpuState:
    try:
        return GpuState(True, here.probe_gpu(), "", "")
    except CannotVerify as error:
        what = error.what.removeprefix("the GPU is not used: ")
        return GpuState(False, "", what, error.remedy or CUDA_COMMAND)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
