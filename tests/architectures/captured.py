# ruff: noqa: E501 - a graph per line
"""Subgraphs that read weights and values of the main graph: merged where every reader inside agrees."""

from __future__ import annotations

import numpy as np

from .base import COPY, POSITIVE, Catalogue, Weight, dense, free, frozen, ints, positive

ENTRIES = Catalogue()
HEAD = "g (float[N,20] x, bool k) => (float[N,5] y)"
WEIGHTS: dict[str, Weight] = {**dense(16, 20), "w2": (5, 16), "w5": (5, 20)}
LAYER = "a=Gemm<transB=1>(x,w1,b1) r=Relu(a)"
PLAIN = "p=Gemm<transB=1>(x,w5)"


def branches(then: str, otherwise: str = PLAIN) -> str:
    """An If on k; its branches define o and p."""
    return f"i=If(k)<then_branch = t () => (float[N,5] o) {{ {then} }}, else_branch = e () => (float[N,5] p) {{ {otherwise} }}>"


def case(name: str, body: str, weights: dict[str, Weight], groups: list | None) -> None:
    """A graph with x and k, and y of width 5."""
    used = {n: w for n, w in weights.items() if f"{n})" in body or f"{n}," in body}
    ENTRIES.add(name, f"{HEAD} {{ {body} }}", used, groups)


INSIDE = f"{LAYER} o=Gemm<transB=1>(r,w9,b9)"
case(
    "body_layer",
    f"{branches(INSIDE)} y=Identity(i)",
    WEIGHTS,
    [free("w1", 16, POSITIVE), frozen("w9"), frozen("w5")],
)
case(
    "body_both_branches",
    f"{branches(INSIDE, LAYER.replace('Relu', 'Tanh') + ' p=Gemm<transB=1>(r,w9)')} y=Identity(i)",
    WEIGHTS,
    [free("w1", 16, COPY), frozen("w9")],
)
case(
    "body_and_outside",
    f"h=Gemm<transB=1>(x,w1,b1) g=Relu(h) z=Gemm<transB=1>(g,w9,b9) {branches(INSIDE)} y=Add(z,i)",
    WEIGHTS,
    [free("w1", 16, POSITIVE), frozen("w9"), frozen("w5")],
)
case(
    "body_reads_value",
    f"{LAYER} {branches('o=Gemm<transB=1>(r,w9,b9)')} y=Identity(i)",
    WEIGHTS,
    [free("w1", 16, POSITIVE), frozen("w9"), frozen("w5")],
)
case(
    "body_reads_value_through",
    f"{LAYER} {branches('t0=Sigmoid(r) m=Mul(t0,s1) o=Gemm<transB=1>(m,w9)', 'n=Neg(r) p=Gemm<transB=1>(n,w2)')} y=Identity(i)",
    {**WEIGHTS, "s1": positive(16)},
    [free("w1", 16, COPY), frozen("w9")],
)
case(
    "body_residual",
    f"{LAYER} {branches('q=Gemm<transB=1>(r,w3) u=Add(q,r) o=Gemm<transB=1>(u,w9)')} y=Identity(i)",
    {**WEIGHTS, "w3": (16, 16)},
    [free("w1", 16, POSITIVE), frozen("w9"), frozen("w5")],
)
case(
    "body_returns_rows",
    f"{LAYER} {branches('o=Gemm<transB=1>(r,w9)', 'p=Gemm<transB=1>(x,w5)').replace('o=Gemm<transB=1>(r,w9)', 'o=Identity(z0)')} y=Identity(i)".replace(
        "i=If", "z0=Gemm<transB=1>(r,w9) i=If"
    ),
    WEIGHTS,
    [free("w1", 16, POSITIVE), frozen("w9", 5, "handed back")],
)
case(
    "body_reshapes",
    f"{LAYER} {branches('t0=Reshape(r,sh) o=Gemm<transB=1>(t0,w9)')} y=Identity(i)",
    {**WEIGHTS, "sh": ints(-1, 16)},
    [frozen("w1", 16, "edited"), frozen("w9"), frozen("w5")],
)
case(
    "body_counts",
    f"{LAYER} z=Gemm<transB=1>(r,w9,b9) {branches('s0=Shape(r) c0=Gather(s0,one) f0=Cast<to=1>(c0) q=Gemm<transB=1>(x,w5) o=Mul(q,f0)')} y=Add(z,i)",
    {**WEIGHTS, "one": ints(1)},
    [frozen("w1", 16, "count"), frozen("w9"), frozen("w5")],
)
case(
    "body_twice",
    f"{branches(INSIDE)} j=If(k)<then_branch = t3 () => (float[N,5] o3) {{ a3=Gemm<transB=1>(x,w1,b1) r3=Elu(a3) o3=Gemm<transB=1>(r3,w2) }}, else_branch = e3 () => (float[N,5] p3) {{ p3=Gemm<transB=1>(x,w5) }}> y=Sub(i,j)",
    WEIGHTS,
    [free("w1", 16, COPY), frozen("w9")],
)
ENTRIES.add(
    "body_of_a_loop",
    "g (float[N,20] x) => (float[N,5] y) { s0=Gemm<transB=1>(x,w5) y=Loop(three,again,s0)<body = b (int64 n, bool c, float[N,5] s) => (bool d, float[N,5] q) "
    f"{{ d=Identity(c) {LAYER} o=Gemm<transB=1>(r,w9,b9) q=Add(s,o) }}> }}",
    {**{n: w for n, w in WEIGHTS.items() if n != "w2"}, "three": np.array(3), "again": np.array(True)},
    [free("w1", 16, POSITIVE), frozen("w9"), frozen("w5")],
)
