# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Look-alikes: constants that vary over space, channels on odd axes, equal sizes on all axes, old broadcasting."""

from __future__ import annotations

from .base import ANY, COPY, POSITIVE, Catalogue, Plant, free, ints, positive, scalar

ENTRIES = Catalogue()
PAD = "pads=[1,1,1,1]"
SCALED = Plant("scaled", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)})
UNSCALED = Plant("scaled", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)}, drop=0)
SHIFTED = Plant("shifted", "w1", {"b1": (1.0, 0.5)}, drop=0)
CUBE = {"w1": (8, 3, 3, 3), "b1": (8,)}
W2 = {"w2": (7, 8, 3, 3), "b2": (7,)}
SECOND = free("w2", 7, POSITIVE)


def cube(name: str, body: str, groups: list | None, extra: dict, **options: object) -> None:  # type: ignore[type-arg]
    """Conv w1 with 8 channels on an 8 x 8 map = a -> body, which defines m -> Conv w2 -> Relu -> head."""
    text = f"a=Conv<{PAD}>(x,w1,b1) {body} c=Conv(m,w2,b2) s=Relu(c)"
    ENTRIES.image(name, text, ("s", 7), {**CUBE, **W2, **extra}, groups, **options)


cube(
    "add_over_width",
    "m=Add(a,e)",
    [free("w1", 8, "COPY|ANY"), SECOND],
    {"e": (8,)},
    plants=[UNSCALED, Plant("shifted", "w1", {"b1": (1.0, 0.5)})],
)
cube("add_over_height", "m=Add(e,a)", [free("w1", 8, "COPY|ANY"), SECOND], {"e": (8, 1)}, plants=[UNSCALED])
cube(
    "mul_over_width", "m=Mul(a,e)", [free("w1", 8, "ANY|COPY"), SECOND], {"e": (8,)}, plants=[SCALED, SHIFTED]
)
cube("mul_map_per_channel", "m=Mul(a,e)", [free("w1", 8, "ANY|COPY"), SECOND], {"e": (1, 8, 8, 8)})
cube(
    "add_map_per_channel", "t=Add(a,e) m=Relu(t)", [free("w1", 8, "POSITIVE|COPY"), SECOND], {"e": (8, 8, 8)}
)
cube("add_over_channels", "t=Add(a,e) m=Relu(t)", [free("w1", 8, POSITIVE), SECOND], {"e": (8, 1, 1)})
cube("add_unit_map", "t=Add(a,e) m=Relu(t)", None, {"e": (1, 1, 1, 1)})
cube("prelu_over_width", "m=PRelu(a,e)", None, {"e": positive(8)}, plants=[SCALED])
cube("max_with_width", "m=Max(a,e)", None, {"e": (8,)})
cube("transposed_conv", "t=Transpose<perm=[0,3,2,1]>(a) m=Relu(t)", None, {})
cube(
    "transposed_softmax",
    "t=Transpose<perm=[0,2,3,1]>(a) q=Softmax(t) m=Transpose<perm=[0,3,1,2]>(q)",
    None,
    {},
)
cube("pool_over_channels", "t=Transpose<perm=[0,2,1,3]>(a) q=MaxPool<kernel_shape=[3,1],pads=[1,0,1,0]>(t) m=Transpose<perm=[0,2,1,3]>(q)", None, {}, reference=False)  # fmt: skip
cube("channels_into_batch", "t=Reshape(a,s1) q=Conv<pads=[1,1,1,1]>(t,w3,b3) m=Reshape(q,s2)", None, {
    "s1": ints(-1, 1, 8, 8), "s2": ints(-1, 8, 8, 8), "w3": (1, 1, 3, 3), "b3": (1,)})  # fmt: skip
cube(
    "twice_the_same",
    "t=Add(a,a) q=Relu(t) v=Sub(q,t) m=Max(v,q)",
    [free("w1", 8, "POSITIVE|COPY|ANY"), SECOND],
    {},
    plants=[SCALED],
)
cube(
    "difference_to_itself", "t=Sub(a,a) m=Add(t,a)", [free("w1", 8, "ANY|COPY"), SECOND], {}, plants=[SCALED]
)
cube(
    "quotient_of_itself",
    "t=Abs(a) q=Add(t,one) m=Div(a,q)",
    [free("w1", 8, "COPY|SIGN"), SECOND],
    {"one": scalar(1.0)},
    plants=[UNSCALED],
)
cube(
    "slice_reversed",
    "t=Slice(a,st,en,ax,mi) m=Relu(t)",
    None,
    {"st": ints(-1), "en": ints(-9223372036854775807), "ax": ints(1), "mi": ints(-1)},
)
cube("split_in_three_read_crosswise", "p,q,r0=Split<axis=1>(a,sz) k=Concat<axis=1>(r0,p,q) m=Relu(k)", [
    free("w1", None, POSITIVE), free("w1", None, POSITIVE), free("w1", None, POSITIVE), SECOND], {"sz": ints(2, 3, 3)})  # fmt: skip
cube(
    "mean_over_batch",
    "t=ReduceMean<axes=[0]>(a) q=Sub(a,t) m=Relu(q)",
    [free("w1", 8, "POSITIVE|COPY"), SECOND],
    {},
)
cube("centred_over_space", "t=GlobalAveragePool(a) q=Sub(a,t) m=Relu(q)", [free("w1", 8, "POSITIVE|COPY"), SECOND], {}, plants=[
    SCALED, Plant("the mean takes the shift away", "w1", {"b1": (1.0, 0.5)})])  # fmt: skip
cube("relu_concat_tanh", "p=Relu(a) q=Tanh(a) k=Concat<axis=1>(p,q) z=Slice(k,st,en,ax) v=Slice(k,en,fi,ax) m=Add(z,v)", None, {
    "st": ints(0), "en": ints(8), "fi": ints(16), "ax": ints(1)})  # fmt: skip
cube(
    "efficient_channel_attention",
    "p=GlobalAveragePool(a) t=Reshape(p,s1) q=Conv<pads=[1,1]>(t,w3) v=Sigmoid(q) u=Reshape(v,s2) m=Mul(a,u)",
    None,
    {"s1": ints(0, 1, -1), "s2": ints(0, 8, 1, 1), "w3": (1, 1, 3)},
)
ENTRIES.add(
    "token_mixing",
    "g (float[N,6,20] x) => (float[N,6,5] y) { a=MatMul(x,w1) r=Relu(a) t=MatMul(w2,r) s=Relu(t) k=MatMul(w3,s) z=Add(r,k) y=MatMul(z,w9) }",
    {"w1": (20, 6), "w2": (6, 6), "w3": (6, 6), "w9": (6, 5)},
    None,
)
ENTRIES.add(
    "token_mixing_transposed",
    "g (float[N,6,20] x) => (float[N,6,5] y) { a=MatMul(x,w1) t=Transpose<perm=[0,2,1]>(a) u=MatMul(t,w2) v=Add(u,b2) s=Relu(v) k=MatMul(s,w3) z=Transpose<perm=[0,2,1]>(k) q=Add(a,z) y=MatMul(q,w9) }",
    {"w1": (20, 6), "w2": (6, 9), "b2": (9,), "w3": (9, 6), "w9": (6, 5)},
    None,
)
ENTRIES.add(
    "all_sizes_equal",
    "g (float[N,4,4] x) => (float[N,4,4] y) { a=MatMul(x,w1) b=Add(a,b1) r=Relu(b) t=Transpose<perm=[0,2,1]>(r) u=MatMul(t,x) y=MatMul(u,w9) }",
    {"w1": (4, 4), "b1": (4,), "w9": (4, 4)},
    None,
)
ENTRIES.add(
    "gram_of_features",
    "g (float[N,3,8,8] x) => (float[N,5] y) { a=Conv(x,w1,b1) h=Reshape(a,s1) t=Transpose<perm=[0,2,1]>(h) m=MatMul(h,t) f=Flatten(m) y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (6, 3, 3, 3), "b1": (6,), "s1": ints(0, 6, -1), "w9": (5, 36), "b9": (5,)},
    None,
)
ENTRIES.add(
    "linear_attention",
    "g (float[N,7,16] x) => (float[N,7,5] y) { q=MatMul(x,wq) k=MatMul(x,wk) v=MatMul(x,wv) t=Transpose<perm=[0,2,1]>(k) s=MatMul(t,v) o=MatMul(q,s) y=MatMul(o,w9) }",
    {"wq": (16, 6), "wk": (16, 6), "wv": (16, 8), "w9": (8, 5)},
    None,
)
ENTRIES.vector(
    "one_bias_for_two_readers",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm<transB=1>(r,w2,b2) d=Gemm<transB=1>(r,w3,b2) s=Relu(c) t=Tanh(d) z=Concat<axis=1>(s,t) y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (12, 20), "b1": (12,), "w2": (9, 12), "w3": (9, 12), "b2": (9,), "w9": (5, 18), "b9": (5,)},
    None,
    plants=[Plant("constant", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)})],
)
ENTRIES.vector(
    "one_weight_read_at_two_gains",
    "a=Gemm<transB=1>(x,w1,b1) r=Relu(a) c=Gemm<transB=1,alpha=2.0>(r,w2,b2) d=Gemm<transB=1,beta=0.5>(r,w2,b2) z=Sub(c,d) y=Gemm<transB=1>(z,w9,b9)",
    {"w1": (12, 20), "b1": (12,), "w2": (9, 12), "b2": (9,), "w9": (5, 9), "b9": (5,)},
    [free("w1", 12, POSITIVE), free("w2", 9, ANY)],
)
ENTRIES.vector(
    "scaled_then_saturated",
    "a=Gemm<transB=1>(x,w1,b1) p=Relu(a) q=Clip(p,,hi) r=Mul(q,c) y=Gemm<transB=1>(r,w9,b9)",
    {"w1": (12, 20), "b1": (12,), "hi": scalar(0.5), "c": positive(12), "w9": (5, 12), "b9": (5,)},
    [free("w1", 12, COPY)],
    plants=[UNSCALED, Plant("factor only", "w1", {"c": (3.0, 0.0)})],
)
