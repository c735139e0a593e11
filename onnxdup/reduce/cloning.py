"""Shared weights whose readers disagree: each gets a copy where merging saves more than that.

A weight that is read in two roles, or by layers that keep different channels, can lose an axis for all or for
none of them. With copies every reader loses its own. Whether that makes the model smaller is found by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from onnxdup.channels import Trace
from onnxdup.channels.sharing import is_vector
from onnxdup.channels.tracer import Use
from onnxdup.graph import Document
from onnxdup.merging import Readers
from onnxdup.reduce.reduction import Reduction

Clones = tuple[Readers, ...]
MAX_TRIALS = 16
MAX_READERS = 8


@dataclass(frozen=True)
class Candidate:
    """A shared weight, and the sets of its readers that would get copies; `contested`: it is frozen now."""

    tensor: str
    clones: Clones
    contested: bool


def with_clones(
    plain: Reduction, finish: Callable[[Clones], Reduction], promising: Callable[[Clones, str], bool]
) -> Reduction:
    """`plain`, or the smaller model that copies of shared weights lead to; what does not pay is told.

    `finish` merges with copies; `promising` says whether a group of the shared weight would lose a channel.
    """
    best, refused = plain, dict[str, str]()
    for candidate in candidates(plain.before)[:MAX_TRIALS]:
        copies = (*best.plan.clones, *candidate.clones)
        trial = finish(copies) if promising(copies, candidate.tensor) else None
        saved = 0 if trial is None else stored_bytes(best.document) - stored_bytes(trial.document)
        if trial is not None and saved > 0:
            best = replace(trial, before=plain.before)
            refused |= dict.fromkeys(_held(plain.before, candidate), "")
        elif candidate.contested:
            refused |= _refusals(plain.before, candidate, trial is None, saved)
    return replace(best, declined={**best.declined, **refused})


def stored_bytes(document: Document) -> int:
    """Bytes of all weights."""
    return sum(document.weights.info(name).nbytes for name in document.weights)


def candidates(traced: Trace) -> list[Candidate]:
    """Stored weights with several readers that could each have a copy, those that are frozen first."""
    by_root: dict[str, list[Use]] = {}
    for use in (u for u in traced.tracer.uses if not u.node.inside):
        by_root.setdefault(use.constant.root, []).append(use)
    found = [_candidate(traced, root, uses) for root, uses in by_root.items()]
    return sorted((c for c in found if c is not None), key=lambda c: not c.contested)


def _candidate(traced: Trace, root: str, uses: list[Use]) -> Candidate | None:
    contested = root in traced.tracer.contested
    if any(u.constant.problem or u.constant.quantised for u in uses):
        return None
    if not contested and all(is_vector(u) for u in uses):
        return None
    sets = _alike(uses) if contested else [((u.node.name, u.slot),) for u in uses]
    sets = list(dict.fromkeys(sets))
    keep = 0 if _read_otherwise(traced.document, uses) else 1
    if len(sets) <= keep or len(sets) > MAX_READERS:
        return None
    return Candidate(root, tuple(sets[keep:]), contested)


def _alike(uses: list[Use]) -> list[Readers]:
    """Readers that use the same axes in the same roles."""
    places: dict[tuple[str, int], list[Use]] = {}
    for use in uses:
        places.setdefault((use.node.name, use.slot), []).append(use)
    alike: dict[object, list[tuple[str, int]]] = {}
    for place, own in places.items():
        how = frozenset((u.role, u.axis, u.block, bool((u.ids > 0).all())) for u in own)
        alike.setdefault((own[0].constant.name, how), []).append(place)
    return [tuple(group) for group in alike.values()]


def _read_otherwise(document: Document, uses: list[Use]) -> bool:
    """Does anything else read the weight, or what is made of it on the way: then the original stays."""
    names = {name for u in uses for name in (u.constant.root, *(n.outputs[0] for n in u.constant.chain))}
    inner = {n.index for u in uses for n in u.constant.chain}
    mine = {(u.node.index, u.slot) for u in uses}
    readers = {(n.index, slot) for name in names for n, slot in document.consumers_of(name)}
    others = {place for place in readers - mine if place[0] not in inner or place[1] < 0}
    return bool(others) or not names.isdisjoint(v.name for v in document.outputs)


def _refusals(before: Trace, candidate: Candidate, nothing: bool, saved: int) -> Mapping[str, str]:
    """Why the groups of a shared weight stay frozen: what copies cost, and what they would bring."""
    size = before.document.weights.info(candidate.tensor).nbytes
    cost = size * len(candidate.clones)
    brings = "nothing could be merged then" if nothing else f"merging would save {saved + cost} bytes"
    many = "a copy" if len(candidate.clones) == 1 else f"{len(candidate.clones)} copies"
    reason = f"{many} would add {cost} bytes, {brings}"
    return {name: f"{why}; {reason}" for name, why in _held(before, candidate).items()}


def _held(before: Trace, candidate: Candidate) -> dict[str, str]:
    """The frozen groups of a shared weight, with the reason."""
    return {
        g.name: g.frozen.reason
        for g in before.groups
        if g.frozen is not None
        and any(u.constant.root == candidate.tensor for b in g.bindings for u in b.uses)
    }
