# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Branches that meet: residual, dense concat, split, gates, masks, shared weights."""

from __future__ import annotations

from .base import COPY, POSITIVE, Catalogue, Plant, free, frozen, ints, positive, scalar

ENTRIES = Catalogue()
PAD = "pads=[1,1,1,1]"
OUT = frozen("w9", 5, "output of the model")


def kernel(index: int, out: int, fan_in: int, size: int = 3) -> dict[str, tuple[int, ...]]:
    """w and b of one convolution."""
    return {f"w{index}": (out, fan_in, size, size), f"b{index}": (out,)}


def norm(index: int, width: int) -> dict[str, object]:
    """gamma, beta, mean and variance of one BatchNormalization."""
    vectors = {f"o{index}": (width,), f"m{index}": (width,)}
    return {f"g{index}": positive(width), **vectors, f"v{index}": positive(width)}


def normalised(index: int, value: str, output: str) -> str:
    """The text of one BatchNormalization with the weights of `norm`."""
    return f"{output}=BatchNormalization({value},g{index},o{index},m{index},v{index})"


ENTRIES.image(
    "residual_identity",
    f"a=Conv<{PAD}>(x,w0,b0) r=Relu(a) c=Conv<{PAD}>(r,w1,b1) q=Relu(c) d=Conv<{PAD}>(q,w2,b2) z=Add(d,r) "
    f"u=Relu(z) e=Conv<{PAD}>(u,w3,b3) k=Add(u,e) v=Relu(k)",
    ("v", 12),
    {**kernel(0, 12, 3), **kernel(1, 10, 12), **kernel(2, 12, 10), **kernel(3, 12, 12)},
    [free("w0", 12, POSITIVE), free("w1", 10, POSITIVE)],
    plants=[Plant("branches at different scales", "w0", {"w2": (2.0, 0.0), "b2": (2.0, 0.0)}, drop=0)],
)
ENTRIES.image(
    "residual_batch_norm",
    f"a=Conv<{PAD}>(x,w0) {normalised(0, 'a', 'n')} r=Relu(n) c=Conv<{PAD}>(r,w1) {normalised(1, 'c', 'o')} "
    f"q=Relu(o) d=Conv<{PAD}>(q,w2) {normalised(2, 'd', 'p')} z=Add(p,r) u=Relu(z)",
    ("u", 12),
    {
        "w0": (12, 3, 3, 3), "w1": (10, 12, 3, 3), "w2": (12, 10, 3, 3),
        **norm(0, 12),
        **norm(1, 10),
        **norm(2, 12),
    },
    [free("w0", 12, POSITIVE), free("w1", 10, POSITIVE)],
    plants=[
        Plant(
            "both branches scaled by gamma",
            "w0",
            {"g0": (1.6, 0.0), "o0": (1.6, 0.0), "g2": (1.6, 0.0), "o2": (1.6, 0.0)},
        ),
        Plant("one branch by gamma, one by weight", "w0", {
            "w0": (1.6, 0.0), "m0": (1.6, 0.0), "o0": (1.6, 0.0), "g2": (1.6, 0.0), "o2": (1.6, 0.0)}),
        Plant("one branch only", "w0", {"g0": (1.6, 0.0), "o0": (1.6, 0.0)}, drop=0),
    ],
)  # fmt: skip
ENTRIES.image(
    "residual_projection",
    f"a=Conv<{PAD}>(x,w0,b0) r=Relu(a) c=Conv<{PAD},strides=[2,2]>(r,w1,b1) q=Relu(c) d=Conv<{PAD}>(q,w2,b2) "
    "s=Conv<strides=[2,2]>(r,w3,b3) z=Add(d,s) u=Relu(z)",
    ("u", 9),
    {**kernel(0, 6, 3), **kernel(1, 8, 6), **kernel(2, 9, 8), **kernel(3, 9, 6, 1)},
    [free("w0", 6, POSITIVE), free("w1", 8, POSITIVE), free("w2", 9, POSITIVE)],
    plants=[Plant("shift cancels between the branches", "w2", {"b2": (1.0, 0.5), "b3": (1.0, -0.5)})],
)
ENTRIES.image(
    "residual_pre_activation",
    f"a=Conv<{PAD}>(x,w0,b0) {normalised(1, 'a', 'n')} r=Relu(n) c=Conv<{PAD}>(r,w1,b1) {normalised(2, 'c', 'o')} "
    f"q=Relu(o) d=Conv<{PAD}>(q,w2,b2) z=Add(a,d) {normalised(3, 'z', 'p')} u=Relu(p)",
    ("u", 12),
    {**kernel(0, 12, 3), **kernel(1, 8, 12), **kernel(2, 12, 8), **norm(1, 12), **norm(2, 8), **norm(3, 12)},
    [free("w0", 12, POSITIVE), free("w1", 8, POSITIVE)],
)
ENTRIES.image(
    "residual_from_input",
    f"a=Conv<{PAD}>(x,w0,b0) z=Add(a,x) r=Relu(z) c=Conv<{PAD}>(r,w1,b1) u=Relu(c)",
    ("u", 8),
    {**kernel(0, 3, 3), **kernel(1, 8, 3)},
    [frozen("w0", 3), free("w1", 8, POSITIVE)],
)
ENTRIES.image(
    "residual_subtracted",
    f"a=Conv<{PAD}>(x,w0,b0) c=Conv<{PAD}>(x,w1,b1) z=Sub(a,c) u=Relu(z)",
    ("u", 8),
    {**kernel(0, 8, 3), **kernel(1, 8, 3)},
    [free("w0", 8, POSITIVE)],
)
ENTRIES.image(
    "concat_dense",
    f"a=Conv<{PAD}>(x,w0,b0) r=Relu(a) c=Conv<{PAD}>(r,w1,b1) q=Relu(c) k=Concat<axis=1>(r,q) "
    f"d=Conv<{PAD}>(k,w2,b2) u=Relu(d) l=Concat<axis=1>(k,u)",
    ("l", 24),
    {**kernel(0, 8, 3), **kernel(1, 6, 8), **kernel(2, 10, 14)},
    [free("w0", 8, POSITIVE), free("w1", 6, POSITIVE), free("w2", 10, POSITIVE)],
)
ENTRIES.image(
    "concat_batch_norm_across",
    f"a=Conv<{PAD}>(x,w0,b0) c=Conv(x,w1,b1) k=Concat<axis=-3>(a,c) {normalised(0, 'k', 'n')} r=Relu(n) "
    f"d=Conv<{PAD}>(r,w2,b2) u=Relu(d)",
    ("u", 9),
    {**kernel(0, 8, 3), **kernel(1, 6, 3, 1), **kernel(2, 9, 14), **norm(0, 14)},
    [free("w0", 8, "POSITIVE|COPY"), free("w1", 6, "POSITIVE|COPY"), free("w2", 9, POSITIVE)],
)
ENTRIES.image(
    "concat_with_input",
    f"a=Conv<{PAD}>(x,w0,b0) r=Relu(a) k=Concat<axis=1>(x,r,x) d=Conv<{PAD}>(k,w1,b1) u=Relu(d)",
    ("u", 7),
    {**kernel(0, 8, 3), **kernel(1, 7, 14)},
    [free("w0", 8, POSITIVE), free("w1", 7, POSITIVE)],
)
ENTRIES.image(
    "concat_of_itself",
    "a=Conv(x,w0,b0) r=Relu(a) k=Concat<axis=1>(r,r) d=Conv(k,w1,b1) u=Relu(d)",
    ("u", 7),
    {**kernel(0, 8, 3), **kernel(1, 7, 16)},
    [free("w0", 8, POSITIVE), free("w1", 7, POSITIVE)],
)
ENTRIES.image(
    "concat_relu_crelu",
    "a=Conv(x,w0,b0) n=Neg(a) k=Concat<axis=1>(a,n) r=Relu(k) d=Conv(r,w1,b1) u=Relu(d)",
    ("u", 7),
    {**kernel(0, 8, 3), **kernel(1, 7, 16)},
    [free("w0", 8, POSITIVE), free("w1", 7, POSITIVE)],
)
ENTRIES.image(
    "concat_over_space",
    f"a=Conv<{PAD}>(x,w0,b0) c=Conv<{PAD}>(x,w1,b1) k=Concat<axis=3>(a,c) r=Relu(k) d=Conv<{PAD}>(r,w2,b2) "
    "u=Relu(d)",
    ("u", 7),
    {**kernel(0, 8, 3), **kernel(1, 8, 3), **kernel(2, 7, 8)},
    [free("w0", 8, POSITIVE), free("w2", 7, POSITIVE)],
)
ENTRIES.image(
    "inception",
    f"a=Conv(x,w0,b0) r=Relu(a) c=Conv<{PAD}>(r,w1,b1) q=Relu(c) m=MaxPool<kernel_shape=[3,3],{PAD}>(r) "
    "d=Conv(m,w2,b2) s=Relu(d) k=Concat<axis=1>(q,s,r) e=Conv(k,w3,b3) u=Relu(e)",
    ("u", 7),
    {**kernel(0, 8, 3, 1), **kernel(1, 6, 8), **kernel(2, 4, 8, 1), **kernel(3, 7, 18, 1)},
    [free("w0", 8, POSITIVE), free("w1", 6, POSITIVE), free("w2", 4, POSITIVE), free("w3", 7, POSITIVE)],
)
ENTRIES.image(
    "split_c2f",
    f"a=Conv(x,w0,b0) r=Relu(a) p,q=Split<axis=1>(r,sz) c=Conv<{PAD}>(p,w1,b1) s=Relu(c) z=Add(s,p) "
    "k=Concat<axis=1>(z,q,p) e=Conv(k,w2,b2) u=Relu(e)",
    ("u", 7),
    {**kernel(0, 12, 3, 1), **kernel(1, 6, 6), **kernel(2, 7, 18, 1), "sz": ints(6, 6)},
    [free("w0", 6, POSITIVE), free("w0", 6, POSITIVE), free("w2", 7, POSITIVE)],
)
ENTRIES.image(
    "split_uneven_opset11",
    "a=Conv(x,w0,b0) r=Relu(a) p,q=Split<axis=1,split=[8,4]>(r) c=Conv(p,w1,b1) s=Relu(c) k=Concat<axis=1>(s,q)",
    ("k", 10),
    {**kernel(0, 12, 3), **kernel(1, 6, 8, 1)},
    [free("w0", 8, POSITIVE), free("w0", 4, POSITIVE), free("w1", 6, POSITIVE)],
    opset=11,
    ir=6,
)
ENTRIES.image(
    "split_equal_without_sizes",
    "a=Conv(x,w0,b0) r=Relu(a) p,q=Split<axis=1>(r) c=Conv(p,w1,b1) d=Conv(q,w2,b2) z=Add(c,d)",
    ("z", 7),
    {**kernel(0, 12, 3), **kernel(1, 7, 6, 1), **kernel(2, 7, 6, 1)},
    None,
)
ENTRIES.image(
    "split_num_outputs_opset18",
    "a=Conv(x,w0,b0) r=Relu(a) p,q=Split<axis=1,num_outputs=2>(r) c=Conv(p,w1,b1) d=Conv(q,w2,b2) z=Add(c,d)",
    ("z", 7),
    {**kernel(0, 12, 3), **kernel(1, 7, 6, 1), **kernel(2, 7, 6, 1)},
    None,
    opset=18,
)
ENTRIES.image(
    "squeeze_excite",
    "a=Conv(x,w0,b0) r=Relu(a) p=GlobalAveragePool(r) c=Conv(p,w1,b1) q=Relu(c) d=Conv(q,w2,b2) s=Sigmoid(d) "
    "z=Mul(r,s)",
    ("z", 12),
    {**kernel(0, 12, 3), **kernel(1, 4, 12, 1), **kernel(2, 12, 4, 1)},
    [free("w0", 12, "COPY|POSITIVE|ANY"), free("w1", 4, POSITIVE)],
    plants=[
        Plant("value rows scaled, gate rows equal", "w0", {"w0": (2.5, 0.0), "b0": (2.5, 0.0)}),
        Plant("gate rows scaled", "w0", {"w2": (2.5, 0.0), "b2": (2.5, 0.0)}, drop=0),
        Plant("gate bias differs", "w0", {"b2": (1.0, 0.5)}, drop=0),
    ],
)
ENTRIES.image(
    "squeeze_excite_dense_hard",
    "a=Conv(x,w0,b0) r=Relu(a) p=GlobalAveragePool(r) f=Flatten(p) c=Gemm<transB=1>(f,w1,b1) q=Relu(c) "
    "d=Gemm<transB=1>(q,w2,b2) s=HardSigmoid<alpha=0.2,beta=0.5>(d) e=Unsqueeze(s,ax) z=Mul(e,r)",
    ("z", 12),
    {**kernel(0, 12, 3), "w1": (4, 12), "b1": (4,), "w2": (12, 4), "b2": (12,), "ax": ints(2, 3)},
    [free("w0", 12, "COPY|POSITIVE|ANY"), free("w1", 4, POSITIVE)],
    plants=[Plant("value rows scaled", "w0", {"w0": (2.5, 0.0), "b0": (2.5, 0.0)})],
)
ENTRIES.vector(
    "swiglu",
    "g=Gemm<transB=1>(x,w1) v=Gemm<transB=1>(x,w2) s=Sigmoid(g) t=Mul(g,s) z=Mul(t,v) y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (16, 20), "w2": (16, 20), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, "COPY|POSITIVE|SIGN|ANY")],
    plants=[
        Plant("value row of any scale", "w1", {"w2": (-2.5, 0.0)}),
        Plant("gate row scaled", "w1", {"w1": (2.0, 0.0)}, drop=0),
        Plant("both rows scaled", "w1", {"w1": (2.0, 0.0), "w2": (2.0, 0.0)}, drop=0),
    ],
)
ENTRIES.vector(
    "glu_by_split",
    "a=Gemm<transB=1>(x,w1,b1) v,g=Split<axis=-1>(a,sz) s=Sigmoid(g) z=Mul(v,s) y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (24, 20), "b1": (24,), "sz": ints(12, 12), "w9": (5, 12), "b9": (5,)},
    [free("w1", 12, "COPY|POSITIVE|SIGN|ANY")],
)
ENTRIES.vector(
    "bilinear_gate",
    "g=Gemm<transB=1>(x,w1) v=Gemm<transB=1>(x,w2) z=Mul(g,v) y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (16, 20), "w2": (16, 20), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, "COPY|POSITIVE|SIGN|ANY")],
    plants=[
        Plant("two scales multiply", "w1", {"w1": (-2.0, 0.0), "w2": (0.7, 0.0)}),
        Plant("crossed rows are no multiple", "w1", {"w1": (1.0, 0.1)}, drop=0),
    ],
)
ENTRIES.image(
    "mask_one_channel",
    "a=Conv(x,w0,b0) r=Relu(a) m=Conv(x,w1,b1) s=Sigmoid(m) z=Mul(r,s)",
    ("z", 12),
    {**kernel(0, 12, 3), **kernel(1, 1, 3)},
    [free("w0", 12, "POSITIVE|COPY|ANY")],
)
ENTRIES.image(
    "mask_one_channel_added",
    "a=Conv(x,w0,b0) m=Conv(x,w1,b1) z=Add(m,a) r=Relu(z)",
    ("r", 12),
    {**kernel(0, 12, 3), **kernel(1, 1, 3)},
    [free("w0", 12, "COPY|POSITIVE")],
    plants=[Plant("the added mask does not scale", "w0", {"w0": (2.0, 0.0), "b0": (2.0, 0.0)}, drop=0)],
)
ENTRIES.image(
    "mask_from_input",
    "a=Conv<pads=[1,1,1,1]>(x,w0,b0) m=ReduceMean<axes=[1]>(x) z=Mul(m,a) r=Relu(z)",
    ("r", 12),
    {**kernel(0, 12, 3)},
    [free("w0", 12, "POSITIVE|COPY")],
)
ENTRIES.image(
    "maximum_of_two",
    "a=Conv(x,w0,b0) c=Conv(x,w1,b1) z=Max(a,c)",
    ("z", 12),
    {**kernel(0, 12, 3), **kernel(1, 12, 3)},
    [free("w0", 12, POSITIVE)],
    plants=[
        Plant("equal shift", "w0", {"b0": (1.0, 0.5), "b1": (1.0, 0.5)}),
        Plant("unequal shift", "w0", {"b0": (1.0, 0.5)}, drop=0),
        Plant("opposite sign", "w0", dict.fromkeys(("w0", "b0", "w1", "b1"), (-1.0, 0.0)), drop=0),
    ],
)
ENTRIES.image(
    "minimum_of_two",
    "a=Conv(x,w0,b0) c=Conv(x,w1,b1) z=Min(a,c) r=Relu(z)",
    ("r", 12),
    {**kernel(0, 12, 3), **kernel(1, 12, 3)},
    [free("w0", 12, POSITIVE)],
)
ENTRIES.image(
    "quotient_of_two",
    "a=Conv(x,w0,b0) c=Conv(x,w1,b1) e=Abs(c) f=Add(e,one) z=Div(a,f)",
    ("z", 12),
    {**kernel(0, 12, 3), **kernel(1, 12, 3), "one": scalar(1.0)},
    [free("w0", 12, COPY)],
)
ENTRIES.image(
    "shared_weight",
    "z=Conv(x,w8,b8) a=Conv(z,w0,b0) r=Relu(a) c=Conv(r,w0,b0) q=Relu(c)",
    ("q", 8),
    {**kernel(8, 8, 3, 1), **kernel(0, 8, 8, 1)},
    [free("w8", 8, POSITIVE)],
)
ENTRIES.vector(
    "shared_weight_siamese",
    "t=Neg(x) a=Gemm<transB=1>(x,w1,b1) r=Relu(a) b=Gemm<transB=1>(t,w1,b1) s=Relu(b) z=Sub(r,s) "
    "y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (16, 20), "b1": (16,), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, POSITIVE)],
)
ENTRIES.vector(
    "shared_bias",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm<transB=1>(r,w2,b1) s=Relu(c) y=Gemm<transB=1>(s,w9,b9)",
    {"w1": (16, 20), "b1": (16,), "w2": (16, 16), "w9": (5, 16), "b9": (5,)},
    None,
)
ENTRIES.vector(
    "tied_transpose",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm(r,w1,b2) s=Tanh(c) y=Gemm<transB=1>(s,w9,b9)",
    {"w1": (16, 20), "b1": (16,), "b2": (20,), "w9": (5, 20), "b9": (5,)},
    None,
)
ENTRIES.vector(
    "shared_consumer",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) b=Gemm<transB=1>(x,w2,b2) s=Tanh(b) c=Gemm<transB=1>(r,w9,b9) "
    "d=Gemm<transB=1>(s,w9,b9) y=Add(c,d)",
    {"w1": (16, 20), "b1": (16,), "w2": (16, 20), "b2": (16,), "w9": (5, 16), "b9": (5,)},
    None,
)
