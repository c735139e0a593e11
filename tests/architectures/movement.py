# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Data movement: reshapes, shuffles, pads, slices, resizes, reductions, shape arithmetic."""

from __future__ import annotations

from .base import ANY, COPY, POSITIVE, Catalogue, Plant, floats, free, frozen, ints, scalar

ENTRIES = Catalogue()
W1 = {"w1": (12, 3, 3, 3), "b1": (12,)}
W2 = {"w2": (7, 12, 3, 3), "b2": (7,)}
FIRST, SECOND = free("w1", 12, POSITIVE), free("w2", 7, POSITIVE)
LINEAR = free("w1", 12, ANY)
OUT = frozen("w9", 5, "output of the model")
TAIL = "c=Conv(m,w2,b2) s=Relu(c)"
SHIFTED = {"b1": (1.0, 0.5)}
LOST = Plant("shift", "w1", SHIFTED, drop=0)
KEPT = Plant("shift", "w1", SHIFTED)


def between(name: str, body: str, groups: list, extra: dict, **options: object) -> None:  # type: ignore[type-arg]
    """Conv w1 = a -> body, which defines m -> Conv w2 -> Relu -> head."""
    weights = {**W1, **W2, **extra}
    ENTRIES.image(name, f"a=Conv(x,w1,b1) {body} {TAIL}", ("s", 7), weights, groups, **options)


between(
    "pad_zero", "r=Relu(a) m=Pad(r,p,v)", [FIRST, SECOND],
    {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": scalar(0.0)},
    plants=[Plant("constant before padding", "w1", {"w1": (0, 0), "b1": (0, 0.7)}, drop=0)],
)  # fmt: skip
between(
    "pad_value", "r=Relu(a) m=Pad(r,p,v)", [free("w1", 12, "COPY|POSITIVE"), SECOND],
    {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": scalar(0.5)},
    plants=[Plant("the padding does not scale", "w1", {"w1": (2.0, 0), "b1": (2.0, 0)}, drop=0)],
)  # fmt: skip
between(
    "pad_reflect", 'm=Pad<mode="reflect">(a,p)', [LINEAR, SECOND], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)},
    plants=[KEPT],
)  # fmt: skip
between(
    "pad_edge",
    'm=Pad<mode="edge">(a,p)',
    [LINEAR, SECOND],
    {"p": ints(0, 0, 0, 1, 0, 0, 0, 1)},
    plants=[KEPT],
)
between(
    "pad_default_zero", "m=Pad(a,p)", [LINEAR, SECOND], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, plants=[LOST]
)
between(
    "pad_opset9", 'm=Pad<mode="constant",pads=[0,0,1,1,0,0,1,1],value=0.0>(a)', [LINEAR, SECOND], {},
    opset=9, ir=4, plants=[LOST], reference=False,
)  # fmt: skip
ENTRIES.image(
    "pad_channels",
    "a=Conv(x,w1,b1) r=Relu(a) m=Pad(r,p) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "p": ints(0, 0, 0, 0, 0, 4, 0, 0), "w2": (7, 16, 3, 3), "b2": (7,)},
    None,
)
between(
    "resize_nearest",
    'm=Resize<mode="nearest">(a,,k)',
    [LINEAR, SECOND],
    {"k": floats(1, 1, 2, 2)},
    plants=[KEPT],
)
between(
    "resize_linear",
    'm=Resize<mode="linear">(a,,k)',
    [LINEAR, SECOND],
    {"k": floats(1, 1, 2, 2)},
    plants=[KEPT],
)
between(
    "resize_sizes", 'm=Resize<mode="nearest">(a,,,z)', None, {"z": ints(3, 12, 9, 9)},
)  # fmt: skip
between(
    "upsample_opset9", 'm=Upsample<mode="nearest">(a,k)', [LINEAR, SECOND], {"k": floats(1, 1, 2, 2)},
    opset=9, ir=4, reference=False,
)  # fmt: skip
between(
    "transpose_twice", "t=Transpose<perm=[1,0,3,2]>(a) m=Transpose<perm=[1,0,3,2]>(t)", [LINEAR, SECOND], {}
)
between("squeeze_unsqueeze", "t=Unsqueeze(a,ax) m=Squeeze(t,ax)", [LINEAR, SECOND], {"ax": ints(1)})
between(
    "slice_space", "m=Slice(a,st,en,ax)", [LINEAR, SECOND], {"st": ints(1, 0), "en": ints(6, 5), "ax": ints(2, 3)},
    plants=[KEPT],
)  # fmt: skip
between("identity_chain", "t=Identity(a) m=Identity(t)", [LINEAR, SECOND], {})
ENTRIES.image(
    "slice_channels",
    "a=Conv(x,w1,b1) r=Relu(a) p=Slice(r,s0,s1,ax) q=Slice(r,s1,s2,ax) c=Conv(p,w2,b2) d=Conv(q,w3,b3) "
    "z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {
        **W1,
        "s0": ints(0),
        "s1": ints(8),
        "s2": ints(12),
        "ax": ints(1),
        "w2": (7, 8, 1, 1),
        "b2": (7,),
        "w3": (7, 4, 1, 1),
        "b3": (7,),
    },
    [free("w1", 8, POSITIVE), free("w1", 4, POSITIVE), SECOND],
)
ENTRIES.image(
    "slice_channels_from_end",
    "a=Conv(x,w1,b1) r=Relu(a) p=Slice(r,s0,s1,ax) q=Slice(r,s1,s2,ax) c=Conv(p,w2,b2) d=Conv(q,w3,b3) "
    "z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {
        **W1,
        "s0": ints(-12),
        "s1": ints(-4),
        "s2": ints(9223372036854775807),
        "ax": ints(-3),
        "w2": (7, 8, 1, 1),
        "b2": (7,),
        "w3": (7, 4, 1, 1),
        "b3": (7,),
    },
    None,
)
ENTRIES.image(
    "slice_opset9",
    "a=Conv(x,w1,b1) r=Relu(a) p=Slice<axes=[1],starts=[0],ends=[8]>(r) "
    "q=Slice<axes=[1],starts=[8],ends=[12]>(r) c=Conv(p,w2,b2) d=Conv(q,w3,b3) z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {**W1, "w2": (7, 8, 1, 1), "b2": (7,), "w3": (7, 4, 1, 1), "b3": (7,)},
    None,
    opset=9,
    ir=4,
)
ENTRIES.image(
    "slice_channels_strided",
    "a=Conv(x,w1,b1) r=Relu(a) p=Slice(r,s0,s2,ax,two) q=Slice(r,s1,s2,ax,two) c=Conv(p,w2,b2) d=Conv(q,w3,b3) "
    "z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {
        **W1,
        "s0": ints(0),
        "s1": ints(1),
        "s2": ints(12),
        "ax": ints(1),
        "two": ints(2),
        "w2": (7, 6, 1, 1),
        "b2": (7,),
        "w3": (7, 6, 1, 1),
        "b3": (7,),
    },
    None,
)
ENTRIES.image(
    "gather_channels",
    "a=Conv(x,w1,b1) r=Relu(a) p=Gather<axis=1>(r,even) q=Gather<axis=1>(r,odd) c=Conv(p,w2,b2) d=Conv(q,w3,b3) "
    "z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {
        **W1,
        "even": ints(0, 2, 4, 6, 8, 10),
        "odd": ints(11, 9, 7, 5, 3, 1),
        "w2": (7, 6, 1, 1),
        "b2": (7,),
        "w3": (7, 6, 1, 1),
        "b3": (7,),
    },
    [free("w1", 6, POSITIVE), free("w1", 6, POSITIVE), SECOND],
)
ENTRIES.image(
    "gather_shuffle",
    "a=Conv(x,w1,b1) r=Relu(a) m=Gather<axis=1>(r,order) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2, "order": ints(0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11)},
    [FIRST, SECOND],
)
ENTRIES.image(
    "gather_some_twice",
    "a=Conv(x,w1,b1) r=Relu(a) m=Gather<axis=1>(r,order) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "order": ints(0, 6, 1, 7, 6, 0), "w2": (7, 6, 3, 3), "b2": (7,)},
    None,
)
ENTRIES.vector(
    "gather_one_channel",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) p=Gather<axis=1>(r,one) u=Unsqueeze(p,ax) m=Gemm<transB=1>(r,w9,b9) "
    "y=Add(m,u)",
    {"w1": (16, 20), "b1": (16,), "one": ints(3).reshape(()), "ax": ints(1), "w9": (5, 16), "b9": (5,)},
    None,
)
ENTRIES.image(
    "channel_shuffle",
    "a=Conv(x,w1,b1) r=Relu(a) h=Reshape(r,s1) t=Transpose<perm=[0,2,1,3,4]>(h) k=Reshape(t,s2) "
    "p,q=Split<axis=1>(k,sz) c=Conv(p,w2,b2) s=Relu(c) e=Concat<axis=1>(s,q)",
    ("e", 13),
    {
        "w1": (12, 3, 1, 1),
        "b1": (12,),
        "w2": (7, 6, 1, 1),
        "b2": (7,),
        "s1": ints(0, 2, 6, 8, 8),
        "s2": ints(0, 12, 8, 8),
        "sz": ints(6, 6),
    },
    None,
)
ENTRIES.image(
    "depth_to_space",
    "a=Conv(x,w1,b1) r=Relu(a) m=DepthToSpace<blocksize=2>(r) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 3, 3, 3), "b2": (7,)},
    [free("w1", 3, POSITIVE), SECOND],
)
ENTRIES.image(
    "depth_to_space_crd",
    'a=Conv(x,w1,b1) r=Relu(a) m=DepthToSpace<blocksize=2,mode="CRD">(r) c=Conv(m,w2,b2) s=Relu(c)',
    ("s", 7),
    {**W1, "w2": (7, 3, 3, 3), "b2": (7,)},
    [free("w1", 3, POSITIVE), SECOND],
)
ENTRIES.image(
    "space_to_depth",
    "a=Conv(x,w1,b1) r=Relu(a) m=SpaceToDepth<blocksize=2>(r) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {"w1": (6, 3, 3, 3), "b1": (6,), "w2": (7, 24, 1, 1), "b2": (7,)},
    [free("w1", 6, POSITIVE), SECOND],
)
ENTRIES.image(
    "pixel_shuffle_by_reshape",
    "a=Conv(x,w1,b1) r=Relu(a) h=Reshape(r,s1) t=Transpose<perm=[0,1,4,2,5,3]>(h) m=Reshape(t,s2) "
    "c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "s1": ints(0, 3, 2, 2, 6, 6), "s2": ints(0, 3, 12, 12), "w2": (7, 3, 3, 3), "b2": (7,)},
    [free("w1", 3, POSITIVE), SECOND],
)
HEADS = {"w9": (5, 12), "b9": (5,)}
DENSE = "y=Gemm<transB=1>(f,w9,b9)"


def reduced(name: str, body: str, group: object, extra: dict | None = None, **options: object) -> None:  # type: ignore[type-arg]
    """Conv w1 = a -> body, which defines the matrix f -> Gemm(w9, b9)."""
    text = f"g (float[N,3,8,8] x) => (float[N,5] y) {{ a=Conv(x,w1,b1) {body} {DENSE} }}"
    ENTRIES.add(name, text, {**W1, **HEADS, **(extra or {})}, [group, OUT], **options)  # type: ignore[list-item]


NEGATIVE = Plant("negative scale", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0)
reduced("reduce_mean_space", "f=ReduceMean<axes=[2,3],keepdims=0>(a)", LINEAR, plants=[KEPT])
reduced("reduce_mean_space_keepdims", "m=ReduceMean<axes=[-1,-2]>(a) f=Flatten(m)", LINEAR, plants=[KEPT])
reduced(
    "reduce_mean_opset18",
    "f=ReduceMean<keepdims=0>(a,ax)",
    LINEAR,
    {"ax": ints(2, 3)},
    opset=18,
    plants=[KEPT],
)
reduced("reduce_sum_space", "f=ReduceSum<keepdims=0>(a,ax)", LINEAR, {"ax": ints(2, 3)}, plants=[KEPT])
reduced("reduce_max_space", "f=ReduceMax<axes=[2,3],keepdims=0>(a)", FIRST, plants=[KEPT, NEGATIVE])
reduced("reduce_l2_space", "f=ReduceL2<axes=[2,3],keepdims=0>(a)", free("w1", 12, "ANY|SIGN|POSITIVE"))
reduced("squeeze_pooled", "p=GlobalAveragePool(a) f=Squeeze(p,ax)", LINEAR, {"ax": ints(2, 3)}, plants=[KEPT])
reduced(
    "squeeze_opset11",
    "p=GlobalAveragePool(a) f=Squeeze<axes=[2,3]>(p)",
    LINEAR,
    opset=11,
    ir=6,
    plants=[KEPT],
)
reduced("reshape_pooled", "p=GlobalAveragePool(a) f=Reshape(p,sh)", LINEAR, {"sh": ints(-1, 12)})
reduced("slice_pooled", "p=GlobalMaxPool(a) t=Squeeze(p,ax) f=Identity(t)", FIRST, {"ax": ints(2, 3)})

for kind, reason in (("ReduceMean", ""), ("ReduceSum", ""), ("ReduceMax", "")):
    axes, extra = ("<keepdims=1>(r,ax)", {"ax": ints(1)}) if kind == "ReduceSum" else ("<axes=[1]>(r)", {})
    ENTRIES.image(
        f"{kind.lower()}_over_channels",
        f"a=Conv(x,w1,b1) r=Relu(a) m={kind}{axes} c=Conv(m,w2,b2) s=Relu(c)",
        ("s", 7),
        {**W1, "w2": (7, 1, 3, 3), "b2": (7,), **extra},
        None if kind == "ReduceMax" else [frozen("w1", 12, reason), SECOND],
    )
ENTRIES.image(
    "spatial_attention",
    "a=Conv(x,w1,b1) r=Relu(a) m=ReduceMean<axes=[1]>(r) q=ReduceMax<axes=[1]>(r) k=Concat<axis=1>(m,q) "
    "d=Conv<pads=[1,1,1,1]>(k,w3,b3) t=Sigmoid(d) z=Mul(r,t) c=Conv(z,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2, "w3": (1, 2, 3, 3), "b3": (1,)},
    [frozen("w1", 12), SECOND],
)
ENTRIES.add(
    "dynamic_flatten",
    "g (float[N,3,6,6] x) => (float[N,M] y) { a=Conv(x,w1,b1) r=Relu(a) h=Shape(r) b=Gather<axis=0>(h,zero) "
    "u=Unsqueeze(b,ax) k=Concat<axis=0>(u,minus) f=Reshape(r,k) y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "zero": ints(0).reshape(()), "ax": ints(0), "minus": ints(-1), "w9": (5, 192), "b9": (5,)},
    [FIRST, OUT],
)
ENTRIES.add(
    "dynamic_flatten_computing_channels",
    "g (float[N,3,6,6] x) => (float[N,M] y) { a=Conv(x,w1,b1) r=Relu(a) h=Shape(r) b=Slice(h,zero,one) "
    "d=Slice(h,one,four) e=ReduceProd<axes=[0]>(d) k=Concat<axis=0>(b,e) f=Reshape(r,k) y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "zero": ints(0), "one": ints(1), "four": ints(4), "w9": (5, 192), "b9": (5,)},
    [FIRST, OUT],
    reference=False,  # its shapes are known by running it only, and onnxruntime has no float64 Conv
)
ENTRIES.image(
    "expand_vector_over_space",
    "p=GlobalAveragePool(x) a=Conv(p,w1,b1) r=Relu(a) m=Expand(r,sh) d=Conv<pads=[1,1,1,1]>(x,w3,b3) "
    "k=Concat<axis=1>(m,d) c=Conv(k,w2,b2) s=Relu(c)",
    ("s", 7),
    {
        "w1": (12, 3, 1, 1),
        "b1": (12,),
        "w3": (4, 3, 3, 3),
        "b3": (4,),
        "w2": (7, 16, 3, 3),
        "b2": (7,),
        "sh": ints(1, 12, 8, 8),
    },
    [FIRST, free("w3", 4, ANY), SECOND],
)
ENTRIES.image(
    "tile_over_space",
    "a=Conv(x,w1,b1) r=Relu(a) m=Tile(r,rep) c=Conv(m,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2, "rep": ints(1, 1, 2, 1)},
    None,
)
ENTRIES.add(
    "flatten_axis_two",
    "g (float[2,3,12] x) => (float[16,5] y) { a=Conv(x,w1,b1) r=Relu(a) f=Flatten<axis=2>(r) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (8, 3, 3), "b1": (8,), "w9": (5, 10), "b9": (5,)},
    None,
)
ENTRIES.add(
    "copy_only_pow",
    "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) q=Abs(a) r=Pow(q,e) "
    "y=Gemm<transB=1>(r,w9,b9) }",
    {"w1": (9, 20), "b1": (9,), "e": scalar(1.5), "w9": (5, 9), "b9": (5,)},
    [free("w1", 9, f"{COPY}|POSITIVE|SIGN|ANY"), OUT],
)
