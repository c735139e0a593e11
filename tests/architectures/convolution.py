# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""Convolutional nets: flatten orders, 1-D and 3-D, depthwise, grouped, transposed, poolings."""

from __future__ import annotations

import numpy as np

from .base import ANY, COPY, POSITIVE, Catalogue, Plant, free, frozen, ints, positive, scalar

ENTRIES = Catalogue()
W1 = {"w1": (12, 3, 3, 3), "b1": (12,)}
PAD = "pads=[1,1,1,1]"
HIDDEN = free("w1", 12, POSITIVE)
OUT = frozen("w9", 5, "output of the model")
CONSTANT = Plant("constant", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)})
EVERYWHERE = {"w1": (1.0, 0.0), "b1": (1.0, 0.5)}

ENTRIES.add(
    "cnn_flatten",
    f"g (float[N,3,8,8] x) => (float[N,5] y) {{ a=Conv<{PAD}>(x,w1,b1) r=Relu(a) "
    "p=MaxPool<kernel_shape=[2,2],strides=[2,2]>(r) f=Flatten(p) y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "w9": (5, 192), "b9": (5,)},
    [HIDDEN, OUT],
    plants=[CONSTANT, Plant("negative scale", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0)],
)
ENTRIES.add(
    "cnn_flatten_nhwc",
    f"g (float[N,3,6,6] x) => (float[N,5] y) {{ a=Conv<{PAD}>(x,w1,b1) r=Relu(a) "
    "t=Transpose<perm=[0,2,3,1]>(r) f=Reshape(t,sh) y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "w9": (5, 432), "b9": (5,), "sh": ints(0, -1)},
    [HIDDEN, OUT],
    plants=[CONSTANT],
)
ENTRIES.add(
    "cnn_reshape_fixed",
    "g (float[N,3,6,6] x) => (float[N,5] y) { a=Conv(x,w1,b1) r=Relu(a) "
    "f=Reshape(r,sh) y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "w9": (5, 192), "b9": (5,), "sh": ints(-1, 192)},
    [HIDDEN, OUT],
)
ENTRIES.add(
    "cnn_flatten_matmul",
    "g (float[N,3,6,6] x) => (float[N,5] y) { a=Conv(x,w1,b1) r=Relu(a) f=Flatten<axis=1>(r) "
    "m=MatMul(f,w9) y=Add(m,b9) }",
    {**W1, "w9": (192, 5), "b9": (5,)},
    [HIDDEN, OUT],
)
ENTRIES.add(
    "conv1d",
    "g (float[N,4,16] x) => (float[N,5] y) { a=Conv<pads=[1,1],strides=[2]>(x,w1,b1) r=Relu(a) "
    "c=Conv<dilations=[2]>(r,w2,b2) s=Relu(c) p=GlobalAveragePool(s) f=Flatten(p) y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (10, 4, 3), "b1": (10,), "w2": (7, 10, 3), "b2": (7,), "w9": (5, 7), "b9": (5,)},
    [free("w1", 10, POSITIVE), free("w2", 7, POSITIVE), OUT],
    plants=[CONSTANT],
)
ENTRIES.add(
    "conv3d",
    "g (float[N,2,5,5,5] x) => (float[N,5] y) { a=Conv<pads=[1,1,1,1,1,1]>(x,w1,b1) r=Relu(a) "
    "m=MaxPool<kernel_shape=[2,2,2],strides=[2,2,2]>(r) c=Conv(m,w2,b2) s=Relu(c) f=Flatten(s) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (8, 2, 3, 3, 3), "b1": (8,), "w2": (6, 8, 2, 2, 2), "b2": (6,), "w9": (5, 6), "b9": (5,)},
    [free("w1", 8, POSITIVE), free("w2", 6, POSITIVE), OUT],
)
ENTRIES.image(
    "conv_auto_pad",
    'a=Conv<auto_pad="SAME_UPPER",strides=[2,2]>(x,w1,b1) r=Relu(a) '
    'c=Conv<auto_pad="SAME_LOWER">(r,w2,b2) s=Relu(c)',
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[Plant("constant before padding", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}, drop=0)],
)
ENTRIES.image(
    "conv_auto_pad_valid",
    'a=Conv<auto_pad="VALID">(x,w1,b1) r=Relu(a) c=Conv<auto_pad="VALID">(r,w2,b2) s=Relu(c)',
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[CONSTANT],
)
ENTRIES.image(
    "conv_asymmetric_pads",
    "a=Conv<pads=[0,1,1,0]>(x,w1,b1) r=Relu(a) c=Conv<pads=[1,0,0,0]>(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[Plant("constant before padding", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}, drop=0)],
)
ENTRIES.image(
    "conv_no_bias",
    "a=Conv(x,w1) r=Relu(a) c=Conv(r,w2) s=Relu(c)",
    ("s", 7),
    {"w1": (12, 3, 3, 3), "w2": (7, 12, 1, 1)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[Plant("dead", "w1", {"w1": (0.0, 0.0)})],
)
ENTRIES.image(
    "depthwise",
    f"a=Conv(x,w1,b1) r=Relu(a) c=Conv<group=12,{PAD}>(r,w2,b2) s=Relu(c) d=Conv(s,w3,b3) u=Relu(d)",
    ("u", 9),
    {"w1": (12, 3, 1, 1), "b1": (12,), "w2": (12, 1, 3, 3), "b2": (12,), "w3": (9, 12, 1, 1), "b3": (9,)},
    [free("w1", 12, "POSITIVE|COPY"), free("w3", 9, POSITIVE)],
    plants=[
        Plant(
            "scaled kernel", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0), "w2": (1.5, 0.0), "b2": (3.0, 0.0)}
        ),
        Plant("kernel differs in sign", "w1", {"w2": (-1.0, 0.0)}, drop=0),
    ],
)
ENTRIES.image(
    "depthwise_linear",
    "a=Conv(x,w1,b1) c=Conv<group=12>(a,w2,b2) d=Conv(c,w3,b3) u=Relu(d)",
    ("u", 9),
    {"w1": (12, 3, 1, 1), "b1": (12,), "w2": (12, 1, 3, 3), "b2": (12,), "w3": (9, 12, 1, 1), "b3": (9,)},
    [free("w1", 12, "ANY|COPY"), free("w3", 9, POSITIVE)],
    plants=[Plant("scaled kernel and shifts", "w1", {"w1": (-2.0, 0.0), "b1": (1.0, 0.3), "w2": (0.5, 0.0)})],
)
ENTRIES.image(
    "depthwise_multiplier",
    f"a=Conv(x,w1,b1) r=Relu(a) c=Conv<group=6,{PAD}>(r,w2,b2) s=Relu(c) d=Conv(s,w3,b3) u=Relu(d)",
    ("u", 9),
    {"w1": (6, 3, 1, 1), "b1": (6,), "w2": (12, 1, 3, 3), "b2": (12,), "w3": (9, 12, 1, 1), "b3": (9,)},
    [free("w1", 6, "POSITIVE|COPY"), free("w3", 9, POSITIVE)],
)
ENTRIES.image(
    "grouped_resnext",
    f"a=Conv(x,w1,b1) r=Relu(a) c=Conv<group=4,{PAD}>(r,w2,b2) s=Relu(c) d=Conv(s,w3,b3) z=Add(d,r)",
    ("z", 12),
    {
        "w1": (12, 3, 1, 1),
        "b1": (12,),
        "w2": (16, 3, 3, 3),
        "b2": (16,),
        "w3": (12, 16, 1, 1),
        "b3": (12,),
    },
    [free("w1", 3, POSITIVE), free("w2", 4, POSITIVE)],
)
ENTRIES.image(
    "conv_transpose",
    "a=Conv(x,w1,b1) r=Relu(a) c=ConvTranspose<strides=[2,2]>(r,w2,b2) s=Relu(c) d=Conv(s,w3,b3) u=Relu(d)",
    ("u", 6),
    {**W1, "w2": (12, 7, 2, 2), "b2": (7,), "w3": (6, 7, 1, 1), "b3": (6,)},
    [HIDDEN, free("w2", 7, POSITIVE), free("w3", 6, POSITIVE)],
)
ENTRIES.image(
    "conv_transpose_overlapping",
    "a=Conv(x,w1,b1) r=Relu(a) c=ConvTranspose<strides=[2,2],pads=[1,1,1,1],output_padding=[1,1]>(r,w2,b2) "
    "s=Tanh(c)",
    ("s", 7),
    {**W1, "w2": (12, 7, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, "SIGN")],
    plants=[Plant("constant meets overlapping taps", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}, drop=0)],
)
ENTRIES.image(
    "conv_transpose_grouped",
    "a=Conv(x,w1,b1) r=Relu(a) c=ConvTranspose<group=3>(r,w2,b2) s=Relu(c)",
    ("s", 6),
    {**W1, "w2": (12, 2, 2, 2), "b2": (6,)},
    [free("w1", 4, POSITIVE), free("w2", 2, POSITIVE)],
    reference=False,  # onnx 1.23 cannot evaluate a grouped ConvTranspose
)
ENTRIES.image(
    "max_pool",
    f"a=Conv(x,w1,b1) p=MaxPool<kernel_shape=[3,3],{PAD}>(a) c=Conv(p,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[
        Plant("a shift survives MaxPool", "w1", {"w1": (1.5, 0.0), "b1": (1.5, 0.4)}),
        Plant("negative scale", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0),
    ],
)
ENTRIES.image(
    "max_pool_padded_consumer",
    f"a=Conv(x,w1,b1) p=MaxPool<kernel_shape=[2,2]>(a) c=Conv<{PAD}>(p,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[Plant("a shift does not survive zero padding", "w1", EVERYWHERE, drop=0)],
)
ENTRIES.image(
    "average_pool_padded_exclusive",
    f"a=Conv(x,w1,b1) p=AveragePool<kernel_shape=[3,3],{PAD}>(a) c=Conv(p,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [free("w1", 12, ANY), free("w2", 7, POSITIVE)],
    plants=[Plant("a shift survives", "w1", {"w1": (-1.5, 0.0), "b1": (-1.5, 0.4)})],
)
ENTRIES.image(
    "average_pool_padded_inclusive",
    f"a=Conv(x,w1,b1) p=AveragePool<kernel_shape=[3,3],{PAD},count_include_pad=1>(a) c=Conv(p,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [free("w1", 12, ANY), free("w2", 7, POSITIVE)],
    plants=[Plant("a shift fades at the border", "w1", EVERYWHERE, drop=0)],
)
ENTRIES.image(
    "average_pool_unpadded_inclusive",
    "a=Conv(x,w1,b1) p=AveragePool<kernel_shape=[2,2],count_include_pad=1>(a) c=Conv(p,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [free("w1", 12, ANY), free("w2", 7, POSITIVE)],
    plants=[Plant("a shift survives", "w1", {"w1": (-1.5, 0.0), "b1": (-1.5, 0.4)})],
)
ENTRIES.add(
    "global_max_pool",
    "g (float[N,3,8,8] x) => (float[N,5] y) { a=Conv(x,w1,b1) p=GlobalMaxPool(a) f=Flatten(p) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {**W1, "w9": (5, 12), "b9": (5,)},
    [HIDDEN, OUT],
    plants=[
        Plant("a shift survives", "w1", {"w1": (1.5, 0.0), "b1": (1.5, 0.4)}),
        Plant("negative scale", "w1", {"w1": (-1.0, 0.0), "b1": (-1.0, 0.0)}, drop=0),
    ],
)
ENTRIES.image(
    "constant_channel_padded",
    f"a=Conv(x,w1,b1) r=Relu(a) c=Conv<{PAD}>(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[
        Plant("constant before padding", "w1", {"w1": (0.0, 0.0), "b1": (0.0, 0.7)}, drop=0),
        Plant("dead", "w1", {"w1": (0.0, 0.0), "b1": (0.0, -0.7)}),
        Plant("dead: nobody reads it", "w1", {"w1": (0.3, 0.0)}, {"w2": 0.0}),
    ],
)
ENTRIES.image(
    "constant_channel_unpadded",
    f"a=Conv<{PAD}>(x,w1,b1) r=Relu(a) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3), "b2": (7,)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[CONSTANT],
)
ENTRIES.image(
    "constant_channel_no_consumer_bias",
    "a=Conv(x,w1,b1) r=Relu(a) c=Conv(r,w2) s=Relu(c)",
    ("s", 7),
    {**W1, "w2": (7, 12, 3, 3)},
    [HIDDEN, free("w2", 7, POSITIVE)],
    plants=[CONSTANT],
)
ENTRIES.image(
    "constant_channel_grouped_consumer",
    "a=Conv(x,w1,b1) r=Relu(a) c=Conv<group=2>(r,w2,b2) s=Relu(c)",
    ("s", 8),
    {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (8, 2, 3, 3), "b2": (8,)},
    None,
    plants=[CONSTANT],
)
ENTRIES.add(
    "lp_pool",
    "g (float[N,3,8,8] x) => (float[N,5] y) { a=Conv(x,w1,b1) p=LpPool<kernel_shape=[2,2],p=2>(a) f=Flatten(p) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (6, 3, 3, 3), "b1": (6,), "w9": (5, 150), "b9": (5,)},
    None,
)
ENTRIES.image(
    "conv_then_scalar_shift",
    "a=Conv(x,w1,b1) t=Add(a,c1) r=Relu(t) c=Conv(r,w2,b2) s=Relu(c)",
    ("s", 7),
    {**W1, "c1": scalar(0.5), "w2": (7, 12, 1, 1), "b2": (7,)},
    [free("w1", 12, "COPY|POSITIVE|ANY"), free("w2", 7, POSITIVE)],
    plants=[
        Plant("scale that meets the shift", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.5)}),
        Plant("scale that ignores the shift", "w1", {"w1": (2.0, 0.0), "b1": (2.0, 0.0)}, drop=0),
    ],
)
ENTRIES.add(
    "prelu",
    "g (float[N,3,8,8] x) => (float[N,5] y) { a=Conv(x,w1,b1) r=PRelu(a,s1) f=Flatten(r) "
    "y=Gemm<transB=1>(f,w9,b9) }",
    {"w1": (6, 3, 3, 3), "b1": (6,), "s1": positive(6, 1, 1), "w9": (5, 216), "b9": (5,)},
    [free("w1", 6, POSITIVE), OUT],
    plants=[Plant("slopes differ", "w1", {"s1": (0.5, 0.0)}, drop=0)],
)
ENTRIES.add(
    "prelu_scalar_slope",
    "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=PRelu(a,s1) y=Gemm<transB=1>(r,w9,b9) }",
    {"w1": (16, 20), "b1": (16,), "s1": positive(1), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, POSITIVE), OUT],
)
ENTRIES.add(
    "prelu_reciprocal_slopes",
    "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) r=PRelu(a,s1) y=Gemm<transB=1>(r,w9,b9) }",
    {"w1": (16, 20), "b1": (16,), "s1": np.full(16, 0.5, np.float32), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, "POSITIVE|ANY"), OUT],
    plants=[
        Plant(
            "slopes 1/2 and 2, opposite sign", "w1", {"w1": (-3.0, 0.0), "b1": (-3.0, 0.0), "s1": (4.0, 0.0)}
        ),
        Plant("equal slopes, opposite sign", "w1", {"w1": (-3.0, 0.0), "b1": (-3.0, 0.0)}, drop=0),
    ],
)
ENTRIES.image(
    "shared_kernel_two_inputs",
    f"a=Conv<{PAD}>(x,w1,b1) r=Relu(a) c=Conv<{PAD}>(r,w2,b2) s=Relu(c) d=Conv<{PAD}>(s,w2,b2) u=Relu(d)",
    ("u", 12),
    {**W1, "w2": (12, 12, 3, 3), "b2": (12,)},
    [free("w1", 12, POSITIVE)],
)
ENTRIES.add(
    "copy_only_cast",
    "g (float[N,20] x) => (float[N,5] y) { a=Gemm<transB=1>(x,w1,b1) h=Cast<to=10>(a) r=Cast<to=1>(h) "
    "y=Gemm<transB=1>(r,w9,b9) }",
    {"w1": (16, 20), "b1": (16,), "w9": (5, 16), "b9": (5,)},
    [free("w1", 16, COPY), OUT],
    tolerance=3e-3,
)
