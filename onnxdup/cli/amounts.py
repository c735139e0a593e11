"""Types of option values that `check` adds: amounts with units, and budgets for some models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from onnxdup.errors import UsageError

if TYPE_CHECKING:  # generic in the stubs of newer versions only
    _Amount = click.ParamType[int]
    _Override = click.ParamType[dict[str, dict[str, Any]]]
else:
    _Amount = _Override = click.ParamType


class Amount(_Amount):
    """1500000, 1.5M, 1.5MB or 2MiB."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The whole number."""
        from onnxdup.gate.budgets import amount

        try:
            return amount(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Override(_Override):
    """GLOB:KEY=VALUE on the command line, {GLOB: {KEY: VALUE}} in a file → the latter."""

    name = "override"
    takes_tables = True

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, dict[str, Any]]:
        """Keys and values are checked later, by `onnxdup.gate.budgets.override`."""
        if isinstance(value, dict):
            flat = [k for k, v in value.items() if not isinstance(v, dict)]
            if flat:
                self.fail(f'{flat[0]!r} is not a table; write [check.override."GLOB"]', param, ctx)
            return value
        glob, colon, setting = str(value).rpartition(":")
        key, equals, content = setting.partition("=")
        if not (colon and equals and glob and key):
            self.fail(f"{value!r} is not GLOB:KEY=VALUE", param, ctx)
        return {glob: {key.strip(): content.strip()}}


AMOUNT = Amount()
OVERRIDE = Override()
