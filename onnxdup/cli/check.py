"""`onnxdup check MODEL…`: the gate of a pipeline. Writes nothing but its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from onnxdup.cli import options as opt
from onnxdup.cli import values
from onnxdup.cli.amounts import AMOUNT, OVERRIDE
from onnxdup.errors import OnnxdupError

if TYPE_CHECKING:
    from onnxdup.api.checking import Gate
    from onnxdup.gate import Budgets, CheckReport

PERCENT = click.FloatRange(0, 100)
BUDGETS = (
    *("tau", "max_duplicates", "max_removable", "max_bytes", "max_macs", "max_parameters", "max_drop"),
    *("confidence", "base_accuracy", "min_agreement", "max_latency_ratio"),
)

_budgets = opt.many(
    opt.option(
        "--tau", type=values.TAU, default=1.0, show_default=True, help="Similarity threshold of duplicates."
    ),
    opt.option(
        "--max-duplicates", type=PERCENT, metavar="P", help="Percent of filters that duplicate others."
    ),
    opt.option(
        "--max-removable", type=PERCENT, metavar="P", help="Percent of filters that merge would remove."
    ),
    opt.option("--max-bytes", type=AMOUNT, metavar="N", help="Size with external data, as 1500000 or 1.5MB."),
    opt.option("--max-macs", type=AMOUNT, metavar="N", help="Multiply-accumulates of one sample, as 1.2G."),
    opt.option("--max-parameters", type=AMOUNT, metavar="N", help="Number of weights."),
    opt.option(
        "--max-drop",
        type=PERCENT,
        metavar="P",
        help="Percentage points that accuracy may fall below the base; must be shown at --confidence.",
    ),
    opt.option(
        "--confidence",
        type=click.FloatRange(0.5, 1, max_open=True),
        default=0.95,
        show_default=True,
        help="One-sided confidence of --max-drop.",
    ),
    opt.option("--base-accuracy", type=PERCENT, metavar="P", help="Accuracy to fall from, without a base."),
    opt.option(
        "--min-agreement", type=PERCENT, metavar="P", help="Percent of top-1 answers equal to the base's."
    ),
    opt.option(
        "--max-latency-ratio", type=opt.NOT_NEGATIVE, metavar="R", help="Time of a batch against the base's."
    ),
    opt.option(
        "--override",
        type=OVERRIDE,
        multiple=True,
        metavar="GLOB:KEY=VALUE",
        help="Other budgets for matching models, as 'big*.onnx:max-bytes=2MB' (repeatable).",
    ),
    opt.option(
        "--inconclusive",
        type=click.Choice(("pass", "fail")),
        default="fail",
        show_default=True,
        help="What a budget that needs more data counts as.",
    ),
)
_isolation = opt.many(
    opt.option(
        "--isolate/--no-isolate",
        default=True,
        show_default=True,
        help="Run models in a process of their own.",
    ),
    opt.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        default=1800.0,
        show_default=True,
        metavar="SECONDS",
        help="Time that process may take for a model.",
    ),
    opt.option(
        "--memory-limit",
        type=AMOUNT,
        metavar="N",
        help="Memory that process may take, as 4GiB (default: three quarters of what there is).",
    ),
)


@click.command("check")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@opt.option("--base", metavar="MODEL", help="Reference: a model, or the .json report of one.")
@opt.data
@_budgets
@opt.many(_isolation, opt.include, opt.exclude, opt.running, opt.common_in(*opt.FORMATS, "sarif"))
@click.pass_context
def command(context: click.Context, /, *, models: tuple[str, ...], inconclusive: str, **choices: Any) -> int:
    """Hold models to budgets; exits 1 where one is missed.

    MODEL is an ONNX file, a glob, or the .json report of any command, which is judged without the model.
    Without a budget: no filter that an exact merge would remove. Budgets usually stand in pyproject.toml,
    under [tool.onnxdup.check], as max-bytes = "2MB".
    """
    files = values.models(models)
    console = opt.console_of(context)
    gate = _gate(choices)
    from onnxdup.api.checking import check_model, collect, failure_of
    from onnxdup.gate import ModelCheck
    from onnxdup.gate.formats import FORMATS, of_suffix
    from onnxdup.gate.view import of_check
    from onnxdup.reporting.schema import Failure

    checks: list[ModelCheck] = []
    failures: list[Failure] = []
    for file in files:
        try:
            with console.working(file):
                found = check_model(file, gate)
            checks += found
            console.took(next((c.facts.provider_note for c in found), ""))
        except OnnxdupError as error:
            if error.exit_code in (2, 5):
                raise
            failures.append(failure_of(file, error))
            console.error(str(error))
    report = collect(checks, failures, gate.budgets)
    console.emit(report, FORMATS, of_check, of_suffix)
    return _exit_code(report, allow=inconclusive == "pass")


def _exit_code(report: CheckReport, *, allow: bool) -> int:
    """1 where a budget is missed (or undecided, unless allowed), and that of a failure before it."""
    missed = {"failed"} if allow else {"failed", "inconclusive"}
    gate = int(any(m.status in missed for m in report.models))
    return max([gate, *(f.exit_code for f in report.failures)])


def _gate(choices: dict[str, Any]) -> Gate:
    from onnxdup.api.checking import Gate
    from onnxdup.api.isolation import Isolation, default_memory
    from onnxdup.api.measuring import Measuring
    from onnxdup.gate.budgets import override

    budgets = _budgets_of({name: choices[name] for name in BUDGETS})
    memory = choices["memory_limit"] if choices["memory_limit"] is not None else default_memory()
    how = Measuring(
        samples=choices["samples"],
        seed=choices["seed"],
        provider=choices["provider"],
        input_shapes=choices["input_shapes"],
        include=tuple(choices["include"]),
        exclude=tuple(choices["exclude"]),
    )
    return Gate(
        budgets,
        [override(glob, wanted) for table in choices["override"] for glob, wanted in table.items()],
        base=choices["base"],
        data=choices["data"],
        how=how,
        isolation=Isolation(choices["time_limit"], memory) if choices["isolate"] else None,
        allow_linked_data=choices["allow_linked_data"],
    )


def _budgets_of(values_: Mapping[str, Any]) -> Budgets:
    from onnxdup.gate import Budgets

    return Budgets(**values_)
