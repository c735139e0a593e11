# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Normalisations: BatchNormalization before and after the activation, per-channel and mixing ones."""

from __future__ import annotations

from .base import ANY, COPY, POSITIVE, SIGN, Catalogue, Plant, free, frozen, ints, positive, scalar

ENTRIES = Catalogue()
W1 = {"w1": (12, 3, 3, 3), "b1": (12,)}
BN1 = {"g1": positive(12), "o1": (12,), "m1": (12,), "v1": positive(12)}
W2 = {"w2": (7, 12, 3, 3), "b2": (7,)}
PAD = "pads=[1,1,1,1]"
HIDDEN = free("w1", 12, POSITIVE)
SECOND = free("w2", 7, POSITIVE)
TAIL = f"c=Conv<{PAD}>(r,w2,b2) s=Relu(c)"
OUT = frozen("w9", 5, "output of the model")
SCALED_BY_GAMMA = Plant("scaled by gamma and beta", "w1", {"g1": (1.8, 0.0), "o1": (1.8, 0.0)})
ERASED = {"g1": (0.0, 0.0)}

ENTRIES.image(
    "bn_before_activation",
    f"a=Conv<{PAD}>(x,w1,b1) n=BatchNormalization(a,g1,o1,m1,v1) r=Relu(n) {TAIL}",
    ("s", 7),
    {**W1, **BN1, **W2},
    [HIDDEN, SECOND],
    plants=[
        SCALED_BY_GAMMA,
        Plant("sign in both", "w1", {"w1": (-1, 0), "b1": (-1, 0), "m1": (-1, 0), "g1": (-1, 0)}),
        Plant("beta differs", "w1", {"o1": (1.0, 0.3)}, drop=0),
        Plant("mean differs", "w1", {"m1": (1.0, 0.3)}, drop=0),
        Plant("bias and mean move together", "w1", {"b1": (1.0, 0.5), "m1": (1.0, 0.5)}),
        Plant("negative gamma", "w1", {"g1": (-1.0, 0.0), "o1": (-1.0, 0.0)}, drop=0),
        Plant("dead by gamma", "w1", {**ERASED, "o1": (0.0, -0.4)}),
        Plant("constant by gamma, padded consumer", "w1", {**ERASED, "o1": (0.0, 0.4)}, drop=0),
    ],
)
ENTRIES.image(
    "bn_after_activation",
    f"a=Conv<{PAD}>(x,w1,b1) q=Relu(a) r=BatchNormalization(q,g1,o1,m1,v1) {TAIL}",
    ("s", 7),
    {**W1, **BN1, **W2},
    [free("w1", 12, "POSITIVE|COPY"), SECOND],
    plants=[
        Plant("negative gamma after the activation", "w1", {"g1": (-1.7, 0.0), "o1": (-1.7, 0.0)}),
        Plant("shift before zero padding", "w1", {"o1": (1.0, 0.3)}, drop=0),
    ],
)
ENTRIES.image(
    "bn_after_activation_unpadded",
    "a=Conv(x,w1,b1) q=Relu(a) r=BatchNormalization(q,g1,o1,m1,v1) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **BN1, **W2},
    [free("w1", 12, "POSITIVE|COPY"), SECOND],
    plants=[
        Plant("shift by beta", "w1", {"o1": (1.0, 0.3)}),
        Plant("any gamma and beta", "w1", {"g1": (-0.6, 0.0), "o1": (0.2, 0.1)}),
        Plant("constant by gamma", "w1", {**ERASED, "o1": (0.0, 0.4)}),
    ],
)
ENTRIES.image(
    "bn_linear",
    "a=Conv(x,w1) r=BatchNormalization<epsilon=0.001>(a,g1,o1,m1,v1) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {"w1": (12, 3, 3, 3), **BN1, **W2},
    [free("w1", 12, ANY), SECOND],
    plants=[Plant("everything free", "w1", {"w1": (-0.6, 0.0), "o1": (0.2, 0.1), "v1": (1.0, 0.5)})],
)
ENTRIES.image(
    "bn_opset9",
    f"a=Conv<{PAD}>(x,w1,b1) n=BatchNormalization(a,g1,o1,m1,v1) r=Relu(n) {TAIL}",
    ("s", 7),
    {**W1, **BN1, **W2},
    [HIDDEN, SECOND],
    opset=9,
    ir=4,
    plants=[SCALED_BY_GAMMA],
    reference=False,  # onnx 1.23 evaluates BatchNormalization 9 in training mode
)
ENTRIES.vector(
    "bn_of_vectors",
    "a=Gemm<transB=1>(x,w1,b1) n=BatchNormalization(a,g1,o1,m1,v1) r=Relu(n) y=Gemm<transB=1>(r,w9,b9)",
    {"w1": (12, 20), "b1": (12,), **BN1, "w9": (5, 12), "b9": (5,)},
    [HIDDEN],
    plants=[SCALED_BY_GAMMA, Plant("constant by gamma", "w1", {**ERASED, "o1": (0.0, 0.4)})],
)
ENTRIES.image(
    "bn_shared_by_two_convs",
    "a=Conv(x,w1,b1) n=BatchNormalization(a,g1,o1,m1,v1) r=Relu(n) b=Conv(x,w3,b3) "
    "k=BatchNormalization(b,g1,o1,m1,v1) q=Relu(k) c=Conv(r,w2,b2) d=Conv(q,w4,b2) z=Add(c,d) s=Relu(z)",
    ("s", 7),
    {**W1, **BN1, **W2, "w3": (12, 3, 3, 3), "b3": (12,), "w4": (7, 12, 3, 3)},
    [HIDDEN, free("w3", 12, POSITIVE), SECOND],
)
ENTRIES.image(
    "bn_of_the_input",
    "n=BatchNormalization(x,g0,o0,m0,v0) a=Conv(n,w1,b1) r=Relu(a)",
    ("r", 12),
    {**W1, "g0": positive(3), "o0": (3,), "m0": (3,), "v0": positive(3)},
    [HIDDEN],
)
ENTRIES.image(
    "instance_norm",
    "a=Conv(x,w1,b1) n=InstanceNormalization(a,g1,o1) r=Tanh(n) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "g1": positive(12), "o1": (12,), **W2},
    [free("w1", 12, SIGN), SECOND],
    plants=[
        Plant("the shift is erased", "w1", {"w1": (1.0, 0.0), "b1": (1.0, 3.0)}),
        Plant("epsilon breaks other scales", "w1", {"w1": (0.01, 0.0), "b1": (0.01, 0.0)}, drop=0),
    ],
)
ENTRIES.image(
    "instance_norm_linear",
    "a=Conv(x,w1) n=InstanceNormalization(a,g1,o1) c=Conv(n,w2,b2) s=Relu(c)",
    ("s", 7),
    {"w1": (12, 3, 3, 3), "g1": positive(12), "o1": (12,), **W2},
    [free("w1", 12, SIGN), SECOND],
    plants=[Plant("any gamma and beta", "w1", {"w1": (-1.0, 0.0), "g1": (2.0, 0.0), "o1": (1.0, 0.5)})],
)
ENTRIES.image(
    "group_norm_by_instance_norm",
    "a=Conv(x,w1,b1) h=Reshape(a,sh) n=InstanceNormalization(h,g1,o1) k=Reshape(n,si) "
    "m=Mul(k,gg) r=Add(m,oo) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {
        **W1,
        **W2,
        "sh": ints(0, 3, -1),
        "si": ints(-1, 12, 6, 6),
        "g1": positive(3),
        "o1": (3,),
        "gg": positive(12, 1, 1),
        "oo": (12, 1, 1),
    },
    [free("w1", 3, "COPY|SIGN"), SECOND],
)
ENTRIES.image(
    "group_normalization",
    "a=Conv(x,w1,b1) n=GroupNormalization<num_groups=3>(a,g1,o1) r=Relu(n) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2, "g1": positive(12), "o1": (12,)},
    [frozen("w1", 12, "over channels"), SECOND],
    opset=21,
    ir=10,
    reference=False,  # its shapes are known by running it only, and onnxruntime has no float64 Conv
)
ENTRIES.add(
    "layer_norm",
    "g (float[N,7,20] x) => (float[N,7,5] y) { a=MatMul(x,w1) n=LayerNormalization<axis=-1>(a,g1,o1) "
    "b=MatMul(n,w2) r=Relu(b) y=MatMul(r,w9) }",
    {"w1": (20, 12), "g1": positive(12), "o1": (12,), "w2": (12, 8), "w9": (8, 5)},
    [frozen("w1", 12, "over channels"), free("w2", 8, POSITIVE), OUT],
)
ENTRIES.add(
    "layer_norm_decomposed",
    "g (float[N,7,20] x) => (float[N,7,5] y) { a=MatMul(x,w1) m=ReduceMean<axes=[-1]>(a) d=Sub(a,m) "
    "q=Pow(d,two) v=ReduceMean<axes=[-1]>(q) e=Add(v,eps) t=Sqrt(e) n=Div(d,t) k=Mul(n,g1) h=Add(k,o1) "
    "b=MatMul(h,w2) r=Relu(b) y=MatMul(r,w9) }",
    {
        "w1": (20, 12),
        "two": scalar(2.0),
        "eps": scalar(1e-5),
        "g1": positive(12),
        "o1": (12,),
        "w2": (12, 8),
        "w9": (8, 5),
    },
    [frozen("w1", 12), free("w2", 8, POSITIVE), OUT],
)
ENTRIES.add(
    "rms_norm_decomposed",
    "g (float[N,7,20] x) => (float[N,7,5] y) { a=MatMul(x,w1) q=Mul(a,a) v=ReduceMean<axes=[2]>(q) e=Add(v,eps) "
    "t=Sqrt(e) i=Reciprocal(t) n=Mul(a,i) k=Mul(n,g1) b=MatMul(k,w2) r=Relu(b) y=MatMul(r,w9) }",
    {"w1": (20, 12), "eps": scalar(1e-5), "g1": positive(12), "w2": (12, 8), "w9": (8, 5)},
    [frozen("w1", 12), free("w2", 8, POSITIVE), OUT],
)
ENTRIES.image(
    "local_response_norm",
    "a=Conv(x,w1,b1) n=LRN<size=5>(a) c=Conv(n,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2},
    [frozen("w1", 12, "over channels"), SECOND],
    reference=False,  # onnx 1.23 and onnxruntime differ in the window
)
ENTRIES.image(
    "lp_normalization",
    "a=Conv(x,w1,b1) n=LpNormalization<axis=1>(a) c=Conv(n,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2},
    [frozen("w1", 12), SECOND],
)
ENTRIES.image(
    "mean_variance_normalization",
    "a=Conv(x,w1,b1) n=MeanVarianceNormalization<axes=[0,2,3]>(a) c=Conv(n,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2},
    None,
    reference=False,  # a function with float32 constants inside
)
ENTRIES.image(
    "softmax_over_channels",
    "a=Conv(x,w1,b1) n=Softmax<axis=1>(a) c=Conv(n,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, **W2},
    [frozen("w1", 12, "over channels"), SECOND],
)
ENTRIES.add(
    "softmax_over_space",
    "g (float[N,3,12] x) => (float[N,5] y) { a=Conv(x,w1,b1) n=Softmax<axis=2>(a) f=Flatten(n) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (8, 3, 3), "b1": (8,), "w9": (5, 80), "b9": (5,)},
    [free("w1", 8, COPY), OUT],
    plants=[
        Plant("shift invariance", "w1", {"b1": (1.0, 3.0)}),
        Plant("scale", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)}, drop=0),
    ],
)
ENTRIES.add(
    "softmax_opset11_from_axis_2",
    "g (float[N,3,12] x) => (float[N,5] y) { a=Conv(x,w1,b1) n=Softmax<axis=2>(a) f=Flatten(n) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (8, 3, 3), "b1": (8,), "w9": (5, 80), "b9": (5,)},
    [free("w1", 8, COPY), OUT],
    opset=11,
    ir=6,
)
ENTRIES.add(
    "softmax_opset11_default_axis",
    "g (float[N,3,12] x) => (float[N,5] y) { a=Conv(x,w1,b1) n=Softmax(a) f=Flatten(n) y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (8, 3, 3), "b1": (8,), "w9": (5, 80), "b9": (5,)},
    [frozen("w1", 8), OUT],
    opset=11,
    ir=6,
    reference=False,  # onnx 1.23 evaluates every Softmax as opset 13
)
