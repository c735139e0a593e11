"""The laws as functions of an architecture's name: each asserts one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from architectures import ARCHITECTURES, Architecture, Group, Plant
from laws import surgeon
from laws.bench import (
    EXACT_64,
    Planted,
    error_32,
    error_64,
    free_groups,
    groups_of,
    merged,
    plant_everywhere,
    random_of,
    wide_model,
)


def describe(group: Any) -> str:
    """One line about a traced group."""
    uses = " ".join(f"{b.role.name[:4]}:{b.tensor}[{b.axis}]x{surgeon.copies(b)}" for b in group.bindings)
    why = f" frozen({group.frozen.reason})" if group.frozen else ""
    return f"{group.size} {group.symmetry.name}{why} {uses}"


def is_row(binding: Any) -> bool:
    """A producer or carrier."""
    return bool(binding.role.name != "CONSUMER")


def check_expectations(name: str) -> None:
    """Every expected group is traced, and no free group beyond them."""
    left, problems = list(groups_of(name)), []
    for want in ARCHITECTURES[name].groups or ():
        found = next((g for g in left if matches(want, g)), None)
        if found is None:
            problems.append(f"missing: {want}")
        else:
            left.remove(found)
    problems += [f"unexpected: {describe(g)}" for g in left if g.frozen is None]
    assert not problems, "\n".join([*problems, "traced:", *map(describe, groups_of(name))])


def matches(want: Group, group: Any) -> bool:
    """Size, producer, symmetry and freeze reason agree."""
    producers = {b.tensor for b in group.bindings if b.role.name == "PRODUCER"}
    if want.tensor not in producers or want.size not in (None, group.size):
        return False
    if want.frozen is not None:
        return group.frozen is not None and want.frozen.lower() in group.frozen.reason.lower()
    allowed = want.symmetry.split("|") if want.symmetry else [group.symmetry.name]
    return group.frozen is None and group.symmetry.name in allowed


def check_bindings(name: str) -> None:
    """No position of an axis belongs to two channels, and every index is inside the tensor."""
    model, seen = ARCHITECTURES[name].model(), set()
    for group in groups_of(name):
        for binding in group.bindings:
            assert len(binding.index) == group.size
            places = np.ravel(binding.index).tolist()
            assert min(places) >= 0
            assert max(places) < surgeon.read(model, binding.tensor).shape[binding.axis]
            keys = [(binding.key, p) for p in places]
            assert len(set(keys)) == len(keys)
            assert not seen.intersection(keys)
            seen.update(keys)


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random cycle through all of 0 … n - 1."""
    cycle, order = rng.permutation(n), np.empty(n, np.int64)
    order[cycle] = np.roll(cycle, 1)
    return order


def check_permutation(name: str) -> None:
    """Law 1: every free group may be permuted."""
    entry, model, errors = ARCHITECTURES[name], ARCHITECTURES[name].model(), {}
    for group in free_groups(name):
        moved = surgeon.permute(model, group, derangement(group.size, random_of(name)))
        assert moved.SerializeToString() != model.SerializeToString()
        errors[describe(group)] = error_32(entry, model, moved)
    assert all(e <= entry.tolerance for e in errors.values()), errors


def check_merge(entry: Architecture, planted: Planted, *, wide: bool) -> None:
    """Law 2: the merge removes exactly what was planted and keeps the function."""
    small = merged(planted.model)
    onnx.checker.check_model(small, full_check=not entry.domains)
    error = (error_64 if wide else error_32)(entry, planted.model, small)
    assert error <= (EXACT_64 if wide else entry.tolerance)
    assert not planted.wrong_axes(small)


def check_planted(name: str, *, scaled: bool, wide: bool = False) -> None:
    """Law 2 for copies or multiples in every free group at once."""
    entry = ARCHITECTURES[name]
    model = wide_model(entry) if wide else entry.model()
    check_merge(entry, plant_everywhere(name, model, scaled=scaled), wide=wide)


def check_relation(name: str, relation: Plant, *, wide: bool = False) -> None:
    """Law 2 for one hand-written relation between channels 0 and 1 of the group that it names."""
    entry = ARCHITECTURES[name]
    model = wide_model(entry) if wide else entry.model()
    groups = [g for g in groups_of(name) if relation.tensor in {b.tensor for b in g.bindings if is_row(b)}]
    assert groups, f"no group is produced by {relation.tensor}"
    planted = Planted(surgeon.plant_rows(model, groups[0], 0, 1, relation.rows, relation.columns))
    planted.charge(groups[0], relation.drop)
    check_merge(entry, planted, wide=wide)


def check_frozen(name: str) -> None:
    """Duplicates planted in frozen groups stay."""
    entry = ARCHITECTURES[name]
    planted = Planted(entry.model())
    for group in groups_of(name):
        rows = [b for b in group.bindings if is_row(b)]
        stored = all(surgeon.is_stored(planted.model, b.tensor) for b in rows)
        if group.frozen is not None and group.size >= 2 and rows and stored:
            planted.model = surgeon.plant(planted.model, group, 0, 1)
            planted.charge(group, 0)
    small = merged(planted.model)
    assert error_32(entry, planted.model, small) <= entry.tolerance
    assert not planted.wrong_axes(small)


def check_near_misses(name: str, *, wide: bool = False) -> None:
    """Copies with one entry moved by 1e-3 (float32) or 1e-7 (float64) do no harm, merged or not."""
    entry = ARCHITECTURES[name]
    model = wide_model(entry) if wide else entry.model()
    bound = EXACT_64 if wide else entry.tolerance
    for group in free_groups(name):
        for binding in filter(is_row, group.bindings):
            near = nudge(surgeon.plant(model, group, 0, 1), binding, 1e-7 if wide else 1e-3)
            error = (error_64 if wide else error_32)(entry, near, merged(near))
            assert error <= bound, f"{binding.tensor}: {error}"


def nudge(model: onnx.ModelProto, binding: Any, step: float) -> onnx.ModelProto:
    """Channel 1 with its first entry moved by a share of its largest one."""
    near = surgeon.copy_of(model)
    name = surgeon.own(near, binding)
    tensor = surgeon.read(near, name).copy()
    rows = surgeon.by_channel(tensor, binding)
    row = rows[binding.index[1].ravel()[0]].reshape(-1)
    if row.dtype.itemsize > 2:
        row[0] += step * np.abs(row).max()
        rows[binding.index[1].ravel()[0]] = row.reshape(rows.shape[1:])
    surgeon.store(near, name, tensor)
    return near
