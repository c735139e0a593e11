# ruff: noqa: E501 - a node per line of ONNX text would hide the graph
"""LSTM, GRU, RNN: hidden units are channels, one set per direction, that read each other one step later."""

from __future__ import annotations

import zlib

import numpy as np

from .base import POSITIVE, Catalogue, Weight, free, frozen, ints

ENTRIES = Catalogue()
OUT = frozen("w9", 5, "output of the model")
HEAD = "g (float[7,3,6] x) => (float[7,3,5] y) "
LAST = "g (float[7,3,6] x) => (float[3,5] y) "
SIGNED, COPIES = "COPY|SIGN", "COPY"


def cell(suffix: str, gates: int, hidden: int, inputs: int, directions: int = 1) -> dict[str, Weight]:
    """w, r, b of a recurrent layer, large enough that gates leave their linear range."""
    rng = np.random.default_rng(zlib.crc32(f"{suffix}{gates}{hidden}{inputs}{directions}".encode()))
    shapes = {
        f"w{suffix}": (directions, gates * hidden, inputs),
        f"r{suffix}": (directions, gates * hidden, hidden),
        f"b{suffix}": (directions, 2 * gates * hidden),
    }
    return {
        n: (rng.normal(size=s) * 1.5 / np.sqrt(s[-1] if len(s) > 2 else 4)).astype(np.float32)
        for n, s in shapes.items()
    }


def last(hidden: int) -> dict[str, Weight]:
    """w9, b9 of the last layer, for MatMul and Add."""
    return {"w9": (hidden, 5), "b9": (5,)}


SEQUENCE = "s=Squeeze(q,one) p=MatMul(s,w9) y=Add(p,b9)"
BOTH = "s=Transpose<perm=[0,2,1,3]>(q) u=Reshape(s,flat) p=MatMul(u,w9) y=Add(p,b9)"
STATE = "s=Squeeze(h,zero) y=Gemm(s,w9,b9)"
ONE, ZERO, FLAT = {"one": ints(1)}, {"zero": ints(0)}, {"flat": ints(0, 0, -1)}

ENTRIES.add(
    "lstm_sequence",
    HEAD + "{ q=LSTM<hidden_size=8>(x,w1,r1,b1) " + SEQUENCE + " }",
    {**cell("1", 4, 8, 6), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
)
ENTRIES.add(
    "lstm_last_states",
    LAST
    + "{ q,h,c=LSTM<hidden_size=8>(x,w1,r1,b1) k=Concat<axis=2>(h,c) s=Squeeze(k,zero) y=Gemm(s,w9,b9) }",
    {**cell("1", 4, 8, 6), **ZERO, **last(16)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_reverse_with_peepholes_and_states",
    HEAD + '{ q=LSTM<hidden_size=8, direction="reverse">(x,w1,r1,b1,,h0,c0,p1) ' + SEQUENCE + " }",
    {**cell("1", 4, 8, 6), "p1": (1, 24), "h0": (1, 3, 8), "c0": (1, 3, 8), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_without_bias_clipped",
    HEAD + "{ q=LSTM<hidden_size=8, clip=1.5>(x,w1,r1) " + SEQUENCE + " }",
    {**{k: v for k, v in cell("1", 4, 8, 6).items() if k != "b1"}, **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_bidirectional",
    HEAD + '{ q=LSTM<hidden_size=8, direction="bidirectional">(x,w1,r1,b1,,h0) ' + BOTH + " }",
    {**cell("1", 4, 8, 6, 2), "h0": (2, 3, 8), **FLAT, **last(16)},
    [free("w1", 8, SIGNED), free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_stacked",
    HEAD
    + "{ q=LSTM<hidden_size=8>(x,w1,r1,b1) s1=Squeeze(q,one) q2=LSTM<hidden_size=6>(s1,w2,r2,b2) s=Squeeze(q2,one) p=MatMul(s,w9) y=Add(p,b9) }",
    {**cell("1", 4, 8, 6), **cell("2", 4, 6, 8), **ONE, **last(6)},
    [free("w1", 8, SIGNED), free("w2", 6, SIGNED), OUT],
)
ENTRIES.add(
    "lstm_stacked_bidirectional",
    HEAD
    + '{ q1=LSTM<hidden_size=6, direction="bidirectional">(x,w1,r1,b1) s1=Transpose<perm=[0,2,1,3]>(q1) u1=Reshape(s1,flat) '
    + 'q=LSTM<hidden_size=8, direction="bidirectional">(u1,w2,r2,b2) '
    + BOTH
    + " }",
    {**cell("1", 4, 6, 6, 2), **cell("2", 4, 8, 12, 2), **FLAT, **last(16)},
    [free("w1", 6, SIGNED), free("w1", 6, SIGNED), free("w2", 8, SIGNED), free("w2", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_final_states_of_both_directions",
    LAST
    + '{ q,h=LSTM<hidden_size=8, direction="bidirectional">(x,w1,r1,b1) f=Gather(h,zero) g=Gather(h,one) k=Concat<axis=2>(f,g) s=Squeeze(k,zero) y=Gemm(s,w9,b9) }',
    {**cell("1", 4, 8, 6, 2), **ZERO, **ONE, **last(16)},
    [free("w1", 8, SIGNED), free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_sum_of_directions",
    HEAD
    + '{ q=LSTM<hidden_size=8, direction="bidirectional">(x,w1,r1,b1) f,g=Split<axis=1>(q,halves) a=Add(f,g) s=Squeeze(a,one) p=MatMul(s,w9) y=Add(p,b9) }',
    {**cell("1", 4, 8, 6, 2), "halves": ints(1, 1), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_encoder_decoder",
    HEAD
    + "{ e,h,c=LSTM<hidden_size=8>(x,w1,r1,b1) q=LSTM<hidden_size=8>(x,w2,r2,b2,,h,c) "
    + SEQUENCE
    + " }",
    {**cell("1", 4, 8, 6), **cell("2", 4, 8, 6), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_zero_state_from_the_batch_size",
    "g (float[7,N,6] x) => (float[7,N,5] y) { a=Shape<start=1,end=2>(x) z=Concat<axis=0>(one,a,width) o=ConstantOfShape(z) i=Identity(o) q=LSTM<hidden_size=8>(x,w1,r1,b1,,o,i) "
    + SEQUENCE
    + " }",
    {**cell("1", 4, 8, 6), "width": ints(8), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_sequence_lengths",
    HEAD + "{ q=LSTM<hidden_size=8>(x,w1,r1,b1,lens) " + SEQUENCE + " }",
    {**cell("1", 4, 8, 6), "lens": np.array([7, 4, 1], np.int32), **ONE, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_twice_with_the_same_weights",
    HEAD
    + "{ n=Neg(x) q1=LSTM<hidden_size=8>(x,w1,r1,b1) q2=LSTM<hidden_size=8>(n,w1,r1,b1) c=Concat<axis=3>(q1,q2) s=Squeeze(c,one) p=MatMul(s,w9) y=Add(p,b9) }",
    {**cell("1", 4, 8, 6), **ONE, **last(16)},
    [free("w1", 8, SIGNED), OUT],
)
ENTRIES.add(
    "lstm_that_reads_itself_with_the_same_weights",
    HEAD
    + "{ q1=LSTM<hidden_size=6>(x,w1,r1,b1) s1=Squeeze(q1,one) q=LSTM<hidden_size=6>(s1,w1,r1,b1) "
    + SEQUENCE
    + " }",
    {**cell("1", 4, 6, 6), **ONE, **last(6)},
    [frozen("w1", 6, "also read"), OUT],
)
ENTRIES.add(
    "lstm_state_is_an_input",
    "g (float[7,3,6] x, float[1,3,8] h0) => (float[7,3,5] y) { q=LSTM<hidden_size=8>(x,w1,r1,b1,,h0) "
    + SEQUENCE
    + " }",
    {**cell("1", 4, 8, 6), **ONE, **last(8)},
    [frozen("w1", 8, "outside"), OUT],
)
ENTRIES.add(
    "lstm_output_is_an_output",
    "g (float[7,3,6] x) => (float[7,3,5] y, float[7,1,3,8] q) { q=LSTM<hidden_size=8>(x,w1,r1,b1) "
    + SEQUENCE
    + " }",
    {**cell("1", 4, 8, 6), **ONE, **last(8)},
    [frozen("w1", 8, "output of the model"), OUT],
)
ENTRIES.add(
    "lstm_one_direction_is_an_output",
    "g (float[7,3,6] x) => (float[7,3,5] y, float[7,1,3,8] f) "
    + '{ q=LSTM<hidden_size=8, direction="bidirectional">(x,w1,r1,b1) f,g=Split<axis=1>(q,halves) s=Squeeze(g,one) p=MatMul(s,w9) y=Add(p,b9) }',
    {**cell("1", 4, 8, 6, 2), "halves": ints(1, 1), **ONE, **last(8)},
    [frozen("w1", 8, "output of the model"), frozen("w1", 8, "both directions"), OUT],
    reference=False,
)
ENTRIES.add(
    "dense_lstm_dense",
    HEAD
    + "{ d=MatMul(x,w0) e=Add(d,b0) f=Relu(e) q=LSTM<hidden_size=8>(f,w1,r1,b1) s=Squeeze(q,one) p1=MatMul(s,w2) p2=Add(p1,b2) p3=Relu(p2) p=MatMul(p3,w9) y=Add(p,b9) }",
    {"w0": (6, 9), "b0": (9,), **cell("1", 4, 8, 9), "w2": (8, 10), "b2": (10,), **ONE, **last(10)},
    [free("w0", 9), free("w1", 8, SIGNED), free("w2", 10), OUT],
)
for reset in (0, 1):
    ENTRIES.add(
        f"gru_linear_before_reset_{reset}",
        HEAD + f"{{ q=GRU<hidden_size=8, linear_before_reset={reset}>(x,w1,r1,b1) " + SEQUENCE + " }",
        {**cell("1", 3, 8, 6), **ONE, **last(8)},
        [free("w1", 8, SIGNED), OUT],
    )
    ENTRIES.add(
        f"gru_bidirectional_{reset}",
        HEAD
        + f'{{ q=GRU<hidden_size=8, direction="bidirectional", linear_before_reset={reset}>(x,w1,r1,b1,,h0) '
        + BOTH
        + " }",
        {**cell("1", 3, 8, 6, 2), "h0": (2, 3, 8), **FLAT, **last(16)},
        [free("w1", 8, SIGNED), free("w1", 8, SIGNED), OUT],
        reference=False,
    )
ENTRIES.add(
    "gru_last_state_reverse",
    LAST + '{ q,h=GRU<hidden_size=8, direction="reverse">(x,w1,r1,b1) ' + STATE + " }",
    {**cell("1", 3, 8, 6), **ZERO, **last(8)},
    [free("w1", 8, SIGNED), OUT],
    reference=False,
)
for name, activation, symmetry in (
    ("tanh", "Tanh", SIGNED),
    ("relu", "Relu", POSITIVE),
    ("sigmoid", "Sigmoid", COPIES),
):
    ENTRIES.add(
        f"rnn_{name}",
        HEAD + f'{{ q=RNN<hidden_size=8, activations=["{activation}"]>(x,w1,r1,b1) ' + SEQUENCE + " }",
        {**cell("1", 1, 8, 6), **ONE, **last(8)},
        [free("w1", 8, symmetry), OUT],
        reference=False,
    )
ENTRIES.add(
    "rnn_bidirectional_mixed",
    HEAD
    + '{ q=RNN<hidden_size=8, direction="bidirectional", activations=["Tanh","Relu"]>(x,w1,r1,b1) '
    + BOTH
    + " }",
    {**cell("1", 1, 8, 6, 2), **FLAT, **last(16)},
    [free("w1", 8, SIGNED), free("w1", 8, POSITIVE), OUT],
    reference=False,
)
ENTRIES.add(
    "lstm_units_as_heads",
    HEAD
    + "{ q=LSTM<hidden_size=8>(x,w1,r1,b1) t=Reshape(q,heads) e=Exp(t) k=Reshape(e,flat) p=MatMul(k,w9) y=Add(p,b9) }",
    {**cell("1", 4, 8, 6), "heads": ints(7, 3, 2, 4), **FLAT, **last(8)},
    [frozen("w1", None, "tuples"), OUT],
)
