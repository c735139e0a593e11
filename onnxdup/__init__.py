"""onnxdup: find, merge and gate duplicate filters in ONNX models, and prove that the function is preserved.

    import onnxdup

    print(onnxdup.report("model.onnx").totals)
    onnxdup.merge("model.onnx", tau=0.9, data="test.npz").save("small.onnx")

Every function takes a path, an `onnx.ModelProto`, a graphsurgeon graph or an onnx-ir model, prints nothing
and changes neither its argument nor the file. Nothing heavy is imported before the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxdup.api import (
        Isolation,
        Merged,
        OverBudget,
        Rejected,
        Shrunk,
        calibrate,
        check,
        compare,
        evaluate,
        load,
        merge,
        report,
        shrink,
        sweep,
        verify,
        write_html,
        write_plots,
    )

__version__ = "0.1.0"
__all__ = [
    "Isolation",
    "Merged",
    "OverBudget",
    "Rejected",
    "Shrunk",
    "__version__",
    "calibrate",
    "check",
    "compare",
    "evaluate",
    "load",
    "merge",
    "report",
    "shrink",
    "sweep",
    "verify",
    "write_html",
    "write_plots",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from onnxdup import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
