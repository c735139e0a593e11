"""The job behind `check`: measure every model, in a process of its own, and hold it to its budgets."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from onnxdup.api.isolation import Isolation, run_isolated
from onnxdup.api.measuring import Measuring, measure
from onnxdup.errors import OnnxdupError, UsageError
from onnxdup.evaluation import Dataset
from onnxdup.gate import Budgets, Facts, Override, budgets_for, judge, read_archive
from onnxdup.gate.archive import reference_of
from onnxdup.gate.schema import SCHEMA_VERSION, CheckReport, ModelCheck, Outcome
from onnxdup.graph import Document, load, materialised
from onnxdup.reporting import codec
from onnxdup.reporting.runs import TOOL, identity
from onnxdup.reporting.schema import Failure

DEFAULT_NOTE = "No budget was given: held to no filter that an exact merge would remove."


@dataclass(frozen=True)
class Gate:
    """What models are held to, and how they are measured; `isolation` None runs them in this process."""

    budgets: Budgets = field(default_factory=Budgets)
    overrides: Sequence[Override] = ()
    base: Any = None
    data: Any = None
    how: Measuring = field(default_factory=Measuring)
    isolation: Isolation | None = None
    allow_linked_data: bool = False


def check_model(model: Any, gate: Gate) -> tuple[ModelCheck, ...]:
    """A model, or every model of an archived report, against its budgets. Raises where it cannot be."""
    budgets = budgets_for(_name(model), gate.budgets, gate.overrides)
    if _is_archive(model):
        found = tuple(_with_stored_base(f, gate.base) for f in read_archive(model))
        return tuple(_judged(f, budgets_for(f.model.path or "", gate.budgets, gate.overrides)) for f in found)
    demand(budgets, base=gate.base, data=gate.data)
    how = dataclasses.replace(
        gate.how,
        taus=(budgets.tau,),
        run=gate.how.run or budgets.max_macs is not None,
        latency=budgets.max_latency_ratio is not None,
    )
    base = None if _is_archive(gate.base) else gate.base
    facts = _measured(model, base, gate, how)
    return (_judged(_with_stored_base(facts, gate.base), budgets),)


def collect(checks: Sequence[ModelCheck], failures: Sequence[Failure], budgets: Budgets) -> CheckReport:
    """The document of several models."""
    notes = (DEFAULT_NOTE,) if budgets.empty else ()
    found = {c.status for c in checks}
    ranked: tuple[Outcome, ...] = ("failed", "inconclusive")
    status: Outcome = "error" if failures else next((s for s in ranked if s in found), "passed")
    return CheckReport("onnxdup/check", SCHEMA_VERSION, TOOL, status, tuple(checks), tuple(failures), notes)


def demand(budgets: Budgets, *, base: Any, data: Any) -> None:
    """UsageError, before any work, for a budget that cannot be judged with what is given."""
    if budgets.max_drop is not None and data is None:
        raise UsageError("--max-drop needs labelled data", remedy="add --data FILE.npz")
    if budgets.max_drop is not None and base is None and budgets.base_accuracy is None:
        raise UsageError("--max-drop needs something to fall from", remedy="add --base or --base-accuracy")
    if budgets.against and (base is None or _is_archive(base)):
        raise UsageError(f"--{budgets.against[0]} needs a model to compare with", remedy="add --base MODEL")


def _judged(facts: Facts, budgets: Budgets) -> ModelCheck:
    verdict = judge(budgets, facts)
    return ModelCheck(verdict.status, facts, verdict.checks)


def _is_archive(source: Any) -> bool:
    return isinstance(source, str | Path) and PurePath(source).suffix.lower() == ".json"


def _name(model: Any) -> str:
    if isinstance(model, Document):
        return str(model.path or "")
    return str(model) if isinstance(model, str | Path) else ""


def _with_stored_base(facts: Facts, base: Any) -> Facts:
    """Facts with the base that an archived report holds: its only model, or the one of the same file name."""
    if not _is_archive(base):
        return facts
    stored = read_archive(base)
    name = PurePath(facts.model.path or "").name
    same = [f for f in stored if PurePath(f.model.path or "").name == name]
    chosen = stored if len(stored) == 1 else same
    if len(chosen) != 1:
        raise UsageError(f"the report holds {len(stored)} models, and not one named {name}", file=base)
    return dataclasses.replace(facts, base=reference_of(chosen[0]))


def _measured(model: Any, base: Any, gate: Gate, how: Measuring) -> Facts:
    if gate.isolation is None:
        return measure(model, base, gate.data, how=how, allow_linked_data=gate.allow_linked_data)
    with contextlib.ExitStack() as stack:
        files = [None if m is None else _file(m, stack, gate.allow_linked_data) for m in (model, base)]
        arguments = {
            "model": files[0],
            "base": files[1],
            "data": _data_file(gate.data, stack),
            "how": how.as_plain(),
            "allow_linked_data": gate.allow_linked_data or isinstance(model, Document),
        }
        value = run_isolated("measure", arguments, gate.isolation, what=_name(model) or "the model")
        facts = codec.from_dict(Facts, value)
    return dataclasses.replace(
        facts,
        model=_named(facts.model, model),
        base=_base_named(facts, base),
        inputs=_inputs_named(facts, gate.data),
    )


def _file(model: Any, stack: contextlib.ExitStack, allow_linked_data: bool) -> str:
    """A path for the child; models in memory get a temporary file."""
    if isinstance(model, str | Path):
        return str(model)
    document = model if isinstance(model, Document) else load(model, allow_linked_data=allow_linked_data)
    return str(stack.enter_context(materialised(document)))


def _named(found: Any, model: Any) -> Any:
    """The identity as it would be without the temporary file."""
    if isinstance(model, str | Path):
        return found
    return identity(model if isinstance(model, Document) else load(model))


def _base_named(facts: Facts, base: Any) -> Any:
    if facts.base is None:
        return None
    return dataclasses.replace(facts.base, model=_named(facts.base.model, base))


def _inputs_named(facts: Facts, data: Any) -> Any:
    if facts.inputs is None or data is None or isinstance(data, str | Path):
        return facts.inputs
    return dataclasses.replace(facts.inputs, source=getattr(data, "source", "arrays"))


def _data_file(data: Any, stack: contextlib.ExitStack) -> str | None:
    """What `--data` could say: arrays in memory go to a temporary .npz."""
    if data is None or isinstance(data, str | Path):
        return None if data is None else str(data)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="onnxdup-"))
    path = Path(folder) / "data.npz"
    np.savez(path, **_arrays(data))
    return str(path)


def _arrays(data: Any) -> dict[str, Any]:
    if isinstance(data, Dataset):
        return {**data.inputs, **({} if data.labels is None else {"y": data.labels})}
    if isinstance(data, tuple) and len(data) == 2:
        x, y = data
        return {**(dict(x) if isinstance(x, dict) else {"x": x}), **({} if y is None else {"y": y})}
    return dict(data) if isinstance(data, dict) else {"x": np.asarray(data)}


def failure_of(model: str, error: OnnxdupError) -> Failure:
    """A model that could not be judged, as the document says it."""
    return Failure(model, error.exit_code, str(error))
