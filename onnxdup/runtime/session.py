"""onnxruntime sessions: quiet, by path, and with proof of where the nodes run. The only importer of
onnxruntime.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from onnxdup.errors import CannotVerify, InputError, UsageError
from onnxdup.graph import Document, materialised
from onnxdup.runtime.iotypes import IoSpec, parse_shape, parse_type
from onnxdup.runtime.messages import cuda_problem, load_error, run_error
from onnxdup.runtime.ortvalues import from_ort_value, is_numpy_type, to_ort_value
from onnxdup.runtime.placement import CPU, CUDA, Placement, gpu_gap, parse_records, short_name
from onnxdup.runtime.quiet import captured_output

BOUNDED_BYTES = 2 << 30
"""What weights and activations of a bounded session may take together."""

_LOG = logging.getLogger("onnxdup.runtime")


@functools.cache
def _onnxruntime() -> Any:
    """onnxruntime, imported once and quietly."""
    with captured_output() as captured:
        try:
            import onnxruntime
        except ImportError as error:
            raise CannotVerify(
                f"onnxruntime cannot be imported: {error}", remedy="pip install onnxdup"
            ) from error
    _LOG.debug("import onnxruntime: %s", captured.text)
    return onnxruntime


@functools.cache
def _preload() -> str:
    """Load the CUDA libraries of the nvidia packages once, if onnxruntime can; returns what was printed."""
    preload = getattr(_onnxruntime(), "preload_dlls", None)
    if preload is None:
        return ""
    with captured_output() as captured:
        preload()
    return captured.text


def runtime_version() -> str:
    """The version of onnxruntime."""
    return str(_onnxruntime().__version__)


def available_providers() -> tuple[str, ...]:
    """The execution providers that this onnxruntime was built with (not: that can run here)."""
    return tuple(_onnxruntime().get_available_providers())


def runtime_packages() -> tuple[str, ...]:
    """Installed distributions that provide the module: more than one of them overwrite each other."""
    names = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
    return tuple(f"{name} {version}" for name in names if (version := _installed(name)))


class Session:
    """A model loaded by onnxruntime; a context manager, so that temporary copies go when it ends.

    `provider` is the execution provider in use (``CPUExecutionProvider``, ``CUDAExecutionProvider``), `note`
    says what ``auto`` took and why (empty when there is nothing to say), `inputs` and `outputs` are what the
    model declares (initializers that can be overridden are no inputs).
    """

    def __init__(
        self, session: Any, *, file: str, provider: str, note: str, stack: contextlib.ExitStack
    ) -> None:
        self._session, self._stack = session, stack
        self.file, self.provider, self.note = file, provider, note
        self.inputs = tuple(_spec(arg) for arg in session.get_inputs())
        self.outputs = tuple(_spec(arg) for arg in session.get_outputs())
        self._raw = any(_needs_raw(spec) for spec in self.inputs + self.outputs)

    @classmethod
    def open(
        cls,
        model: str | Path | Document,
        *,
        provider: str = "auto",
        optimize: bool = False,
        threads: int | None = None,
        deterministic: bool = True,
        bounded: bool = False,
    ) -> Session:
        """Load `model` and prove where it runs.

        `provider` ``cuda`` demands that every heavy node (`placement.HEAVY`) is on the GPU; ``auto`` takes
        the GPU where that holds, else the CPU. `optimize` False switches graph optimisation off, so that two
        models differ by their graphs alone. `deterministic` True asks for deterministic kernels and a fixed
        choice of convolution algorithm (comparing); False lets CUDA search for the fastest (timing). TF32 is
        always off. `threads` None follows OMP_NUM_THREADS, else onnxruntime decides. `bounded` refuses
        runs on the CPU that allocate more than `BOUNDED_BYTES`.

        Raises `CannotVerify` where onnxruntime cannot load the model, or the GPU was demanded and is not
        used.
        """
        if provider not in ("auto", "cpu", "cuda"):
            raise UsageError(f"unknown provider {provider!r}", remedy="choose auto, cpu or cuda")
        with contextlib.ExitStack() as stack:
            path = stack.enter_context(materialised(model)) if isinstance(model, Document) else Path(model)
            file = str(model.path or "model") if isinstance(model, Document) else str(model)
            if not path.is_file():
                raise InputError("no such file", file=file)
            options = _options(optimize, threads, deterministic, bounded)
            attempt = _Attempt(path, file, options, deterministic)
            session, taken, note = (
                attempt.cpu() if provider == "cpu" else attempt.gpu(demanded=provider == "cuda")
            )
            return cls(session, file=file, provider=taken, note=note, stack=stack.pop_all())

    def run(
        self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None, *, seconds: float | None = None
    ) -> dict[str, Any]:
        """Outputs by name: arrays, and lists or dicts for sequences and maps. Raises `CannotVerify` on
        failure, or where the run takes more than `seconds`.
        """
        names = [spec.name for spec in self.outputs] if outputs is None else list(outputs)
        options = _onnxruntime().RunOptions()
        options.log_severity_level = 4  # the exception says it already
        try:
            with _terminated(options, seconds):
                if self._raw:
                    return self._run_raw(names, feeds, options)
                return dict(zip(names, self._session.run(names, dict(feeds), options), strict=True))
        except Exception as error:
            raise run_error(str(error), file=self.file) from error

    def _run_plainly(self, feeds: dict[str, Any]) -> None:
        self.run(feeds)

    def _run_raw(self, names: list[str], feeds: Mapping[str, Any], options: Any) -> dict[str, Any]:
        make = functools.partial(to_ort_value, _onnxruntime().OrtValue)
        values = self._session.run_with_ort_values(names, {k: make(v) for k, v in feeds.items()}, options)
        return {name: from_ort_value(value) for name, value in zip(names, values, strict=True)}

    def bound(self, feeds: Mapping[str, np.ndarray]) -> Callable[[], None]:
        """A call that runs the model once with inputs and outputs kept on the device: for timing only.

        Sequences and maps cannot be kept there; a model that gives them is run plainly.
        """
        if any(spec.kind != "tensor" for spec in self.outputs):
            return functools.partial(self._run_plainly, dict(feeds))
        device = self.provider_name
        binding = self._session.io_binding()
        make = functools.partial(to_ort_value, _onnxruntime().OrtValue, device=device)
        for name, value in feeds.items():
            binding.bind_ortvalue_input(name, make(value))
        for spec in self.outputs:
            binding.bind_output(spec.name, device)
        binding.synchronize_inputs()

        def once() -> None:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()

        return once

    @property
    def provider_name(self) -> str:
        """The provider in the words of `open`: ``cuda`` or ``cpu``."""
        return "cuda" if self.provider == CUDA else "cpu"

    @property
    def placement(self) -> Placement:
        """Which provider runs which node."""
        return _placement(self._session)

    def assignment(self) -> dict[str, list[str]]:
        """Provider -> its nodes, each as ``Conv /layer1/conv`` (the operator alone where the node has no
        name).
        """
        return {provider: [str(node) for node in nodes] for provider, nodes in self.placement.nodes.items()}

    def close(self) -> None:
        """Free the session and the temporary copy of the model, if there is one."""
        self._session = None
        self._stack.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Attempt:
    """Creating a session for one file: on the CPU, or on the GPU with a reasoned way back."""

    def __init__(self, path: Path, file: str, options: Callable[[], Any], deterministic: bool) -> None:
        self.path, self.file, self.options, self.deterministic = path, file, options, deterministic

    def cpu(self, note: str = "") -> tuple[Any, str, str]:
        session, _ = self._create([CPU])
        return session, CPU, note

    def gpu(self, *, demanded: bool) -> tuple[Any, str, str]:
        log = _preload() if CUDA in available_providers() else ""
        session = None
        if CUDA in available_providers():
            session, text = self._create([(CUDA, _cuda_options(self.deterministic)), CPU])
            log += text
        if session is not None and session.get_providers()[0] == CUDA:
            gap = gpu_gap(_placement(session))
            what, remedy = gap, "see the assignment with -v, or use --provider cpu"
        else:
            what, remedy = cuda_problem(log, packages=runtime_packages(), providers=available_providers())
        if what is None:
            return session, CUDA, _placement(session).summary()
        if demanded:
            raise CannotVerify(f"the GPU is not used: {what}", file=self.file, remedy=remedy)
        return self.cpu(f"auto took {short_name(CPU)}: {what}")

    def _create(self, providers: list[Any]) -> tuple[Any, str]:
        ort = _onnxruntime()
        failure: Exception | None = None
        session = None
        with captured_output() as captured:
            try:
                session = ort.InferenceSession(
                    str(self.path), self.options(), providers=providers, enable_fallback=0
                )
            except Exception as error:
                failure = error
        _LOG.debug("%s with %s: %s", self.file, providers, captured.text)
        if failure is None:
            return session, captured.text
        if providers[0] == CPU:
            raise load_error(str(failure), version=runtime_version(), file=self.file) from failure
        return None, f"{captured.text}\n{failure}"


@contextlib.contextmanager
def _terminated(options: Any, seconds: float | None) -> Iterator[None]:
    """Ends a run after so many seconds, at the next node."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@functools.cache
def _bounded_allocator() -> None:
    """Register the allocator that sessions with `bounded` share."""
    ort = _onnxruntime()
    info = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": BOUNDED_BYTES}))


def _options(optimize: bool, threads: int | None, deterministic: bool, bounded: bool) -> Callable[[], Any]:
    def make() -> Any:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 3
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
        options.use_deterministic_compute = deterministic
        options.intra_op_num_threads = threads or _threads_from_environment()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if deterministic:  # weights stay in the mapped file: repacked copies of them would fill the memory
            options.add_session_config_entry("session.disable_prepacking", "1")
        if bounded:
            _bounded_allocator()
            options.add_session_config_entry("session.use_env_allocators", "1")
        return options

    return make


def _cuda_options(deterministic: bool) -> dict[str, str]:
    return {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC" if deterministic else "EXHAUSTIVE"}


def _threads_from_environment() -> int:
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else 0


def _placement(session: Any) -> Placement:
    read = getattr(session, "get_provider_graph_assignment_info", None)
    return parse_records(read()) if read is not None else Placement({})


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _spec(arg: Any) -> IoSpec:
    kind, dtype = parse_type(arg.type)
    return IoSpec(arg.name, dtype, parse_shape(arg.shape) if kind == "tensor" else None, kind)


def _needs_raw(spec: IoSpec) -> bool:
    return spec.dtype is not None and not is_numpy_type(spec.dtype)
