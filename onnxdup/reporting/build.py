"""`build_report`: from a document to a `ModelReport`, one layer in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Protocol

import numpy as np

from onnxdup.channels import ChannelGroup, Layer, Trace, constants, trace
from onnxdup.errors import UsageError
from onnxdup.graph import Document, blamed
from onnxdup.reduce import fixed_inputs
from onnxdup.reporting import schema
from onnxdup.reporting.measure import Measured, at_tau, measure
from onnxdup.reporting.removable import removable
from onnxdup.reporting.runs import TOOL, identity

_NO_PARAMETERS = frozenset({"int64", "int32", "bool"})
Shapes = Mapping[str, tuple[int, ...]]


class Advance(Protocol):
    """Progress callback: `done` of `total` steps, the present one called `what`."""

    def __call__(self, done: int, total: int, what: str) -> None: ...


def build_report(
    document: Document,
    taus: Sequence[float],
    *,
    spectra: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    input_shapes: Shapes | None = None,
    constant_inputs: bool = False,
    progress: Advance | None = None,
) -> schema.ModelReport:
    """Duplicates of every layer at each of `taus`, and the reasons of frozen groups.

    `include` and `exclude` are globs on node and tensor names; `constant_inputs` counts what could be merged
    if callers could override no weight. Holds one layer's filters in memory at a time.
    """
    with blamed(document):
        return _built(document, taus, spectra, include, exclude, input_shapes, constant_inputs, progress)


def _built(
    document: Document,
    taus: Sequence[float],
    spectra: bool,
    include: Sequence[str],
    exclude: Sequence[str],
    input_shapes: Shapes | None,
    constant_inputs: bool,
    progress: Advance | None,
) -> schema.ModelReport:
    start = document.with_constant_inputs() if constant_inputs else document
    traced = trace(start, input_shapes=input_shapes)
    chosen = [x for x in traced.layers if wanted((x.node, x.tensor), include, exclude)]
    if not chosen and (include or exclude):
        raise UsageError("no layer matches --include and --exclude", file=document.path)
    say = progress or (lambda done, total, what: None)
    measured, surveys = {}, []
    for done, layer in enumerate(chosen):
        say(done, len(chosen), layer.node)
        blocks = layer.block_ids() if layer.blocks > 1 else None
        surveys.append(measure(layer.rows(), taus, blocks=blocks, spectra=spectra))
        measured[layer.tensor] = surveys[-1]
    groups = _group_facts(traced, chosen, taus, measured)
    layers = [
        _layer(x, survey, [groups[n] for n in x.groups], taus)
        for x, survey in zip(chosen, surveys, strict=True)
    ]
    say(len(chosen), len(chosen), "")
    return schema.ModelReport(
        model=identity(document),
        totals=_totals(document, traced.groups, layers, taus),
        layers=tuple(layers),
        groups=tuple(map(_group, traced.groups)),
        obstacles=obstacles(traced),
        notes=fixed_inputs(document, constant_inputs),
    )


def combine(models: Sequence[schema.ModelReport], failures: Sequence[schema.Failure] = ()) -> schema.Report:
    """The document of `onnxdup report` for several models."""
    return schema.Report("onnxdup/report", schema.SCHEMA_VERSION, TOOL, tuple(models), tuple(failures))


def wanted(names: Sequence[str], include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether globs choose something with these names: any include (if given) and no exclude."""

    def matches(globs: Sequence[str]) -> bool:
        return any(fnmatchcase(name, glob) for name in names for glob in globs)

    return (not include or matches(include)) and not matches(exclude)


def obstacles(traced: Trace, declined: Mapping[str, str] | None = None) -> tuple[schema.Obstacle, ...]:
    """Reasons that hold groups back, with how many groups and channels each holds, largest first.

    Layers whose filters make no channels that could be followed count as a group each. `declined` are groups
    that could not be cut although nothing freezes them, with the reason, or frozen ones about which more is
    known ('': they were cut after all).
    """
    found: dict[str, schema.Obstacle] = {}
    held = [(*_reason(g, declined or {}), g.size) for g in traced.groups]
    held += [(x.reason or "", x.node, x.filters) for x in traced.layers if not x.groups]
    for reason, node, size in held:
        if reason:
            old = found.get(reason, schema.Obstacle(reason, 0, 0, node))
            found[reason] = replace(old, groups=old.groups + 1, filters=old.filters + size)
    return tuple(sorted(found.values(), key=lambda o: (-o.filters, o.reason)))


def _reason(group: ChannelGroup, declined: Mapping[str, str]) -> tuple[str, str]:
    if group.frozen:
        return declined.get(group.name, group.frozen.reason), group.frozen.node
    return declined.get(group.name, ""), group.bindings[0].node if group.bindings else ""


@dataclass(frozen=True)
class _Facts:
    """A group with its constant channels and those that `merge` would remove at each tau."""

    group: ChannelGroup
    constant: int
    removable: tuple[int, ...]

    def copies(self, layer: Layer) -> int:
        """Filters of a layer per channel."""
        return max((b.index.shape[1] for b in self.group.producers if b.tensor == layer.tensor), default=1)


def _group_facts(
    traced: Trace, layers: Sequence[Layer], taus: Sequence[float], measured: Mapping[str, Measured]
) -> dict[str, _Facts]:
    needed = {name for layer in layers for name in layer.groups}
    chosen = [g for g in traced.groups if g.name in needed]
    gone = {g.name: removable(traced, g, taus, measured) for g in chosen}

    def least(group: ChannelGroup) -> tuple[int, ...]:
        """Peers lose equally many."""
        both = [gone[name] for name in (group.name, *group.peers)]
        return tuple(min(counts) for counts in zip(*both, strict=True))

    return {g.name: _Facts(g, _constant(traced, g), least(g)) for g in chosen}


def _layer(
    layer: Layer, found: Measured, facts: Sequence[_Facts], taus: Sequence[float]
) -> schema.LayerReport:
    gone = [sum(f.removable[k] * f.copies(layer) for f in facts) for k in range(len(taus))]
    counts = zip(taus, found.components, found.clusters, gone, strict=True)
    groups = [f.group for f in facts]
    return schema.LayerReport(
        node=layer.node,
        op=layer.op_type,
        tensor=layer.tensor,
        shape=tuple(layer.shape),
        filters=layer.filters,
        fan_in=layer.fan_in,
        dead=found.dead,
        constant=sum(f.constant * f.copies(layer) for f in facts),
        groups=layer.groups,
        symmetry=", ".join(dict.fromkeys(g.symmetry.label for g in groups)),
        frozen=_frozen(layer, groups),
        norms=found.norms,
        cosines=found.cosines,
        spectrum=found.spectrum,
        note=found.note,
        taus=tuple(at_tau(tau, layer.filters, *three) for tau, *three in counts),
    )


def _frozen(layer: Layer, groups: Sequence[ChannelGroup]) -> schema.Freeze | None:
    """Why none of a layer's filters can be merged; None where some can."""
    if not groups:
        reason = layer.reason or "its filters make no channels that could be followed"
        return schema.Freeze(reason, layer.node if layer.reason else "")
    reasons = [g.frozen for g in groups]
    first = reasons[0]
    return schema.Freeze(first.reason, first.node) if first and all(reasons) else None


def _constant(traced: Trace, group: ChannelGroup) -> int:
    """Channels of a group whose value depends on no input, at every reader; 0 where it is frozen."""
    if group.frozen or not group.sinks:
        return 0
    values = np.stack(constants(traced.reader(group)))
    return int((~np.isnan(values)).all(axis=0).sum())


def _group(group: ChannelGroup) -> schema.GroupReport:
    return schema.GroupReport(
        name=group.name,
        channels=group.size,
        symmetry=group.symmetry.label,
        producers=tuple(b.key for b in group.producers),
        consumers=tuple(b.key for b in group.consumers),
        frozen=schema.Freeze(group.frozen.reason, group.frozen.node) if group.frozen else None,
    )


def _totals(
    document: Document,
    groups: Sequence[ChannelGroup],
    layers: Sequence[schema.LayerReport],
    taus: Sequence[float],
) -> schema.Totals:
    return schema.Totals(
        layers=len(layers),
        filters=sum(x.filters for x in layers),
        dead=sum(x.dead for x in layers),
        constant=sum(x.constant for x in layers),
        parameters=parameters(document),
        groups=len(groups),
        frozen_groups=sum(g.frozen is not None for g in groups),
        taus=tuple(_sum([x.taus[k] for x in layers], tau) for k, tau in enumerate(taus)),
    )


def parameters(document: Document) -> int:
    """Elements of all stored weights, each counted once; indices, sizes and flags are no parameters."""
    infos = [document.weights.info(name) for name in document.weights]
    own = {body.full_name(name): body.weights.info(name) for body in document.bodies for name in body.weights}
    infos += own.values()
    return sum(
        math.prod(i.shape) for i in infos if i.dtype.name not in _NO_PARAMETERS and i.dtype.kind not in "OSU"
    )


def _sum(parts: Sequence[schema.AtTau], tau: float) -> schema.AtTau:
    filters = sum(p.filters for p in parts)
    return at_tau(
        tau,
        filters,
        sum(p.components for p in parts),
        sum(p.clusters for p in parts),
        sum(p.removable for p in parts),
    )
