"""Files that are no models, damaged ones and hostile ones: one line each, and nothing worse."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_models import mlp, random, rich_model, serialized, tensor_model
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto

from onnxdup.errors import InputError
from onnxdup.graph import load, parse, wire
from onnxdup.graph.sources import from_bytes

FILES = {
    "empty": (b"", "is empty"),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "Git LFS pointer.*git lfs pull",
    ),
    "html": (b"\n<!DOCTYPE html><html></html>", "is an HTML page.*download the raw file"),
    "html without doctype": (b"<HTML><body>", "is an HTML page"),
    "zip": (b"PK\x03\x04rest", "is a zip archive.*unpack it"),
    "gzip": (b"\x1f\x8brest", "is a gzip archive"),
    "text": (b"hello, this is not a model", "is not an ONNX model"),
    "noise": (bytes(range(255, 0, -1)) * 4, "is not an ONNX model"),
    "json": (b'{"error": "not found"}', "is not an ONNX model"),
    "other protobuf": (b"\x08\x07\x12\x02pt", "contains no graph"),
    "truncated": (serialized(mlp())[:-100], "is truncated.*9. bytes are missing"),
    "half": (serialized(mlp())[:900], "is truncated"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_what_is_no_model(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="is a directory"):
        load(tmp_path)
    (tmp_path / "broken.onnx").symlink_to("nowhere")
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "broken.onnx")


TENSORS = {
    "short raw data": (
        TensorProto(data_type=1, dims=[4], raw_data=b"123"),
        "needs 16 bytes, the file holds 3",
    ),
    "short large data": (TensorProto(data_type=1, dims=[999], raw_data=bytes(2000)), "needs 3996 bytes"),
    "long raw data": (TensorProto(data_type=1, dims=[1], raw_data=bytes(3000)), "needs 4 bytes"),
    "no data": (TensorProto(data_type=1, dims=[4]), "needs 4 entries, the file holds 0"),
    "short typed data": (TensorProto(data_type=1, dims=[4], float_data=[1.0]), "needs 4 entries"),
    "absurd dimensions": (TensorProto(data_type=1, dims=[2**62, 2**62], raw_data=b"1"), "needs .* bytes"),
    "negative dimension": (TensorProto(data_type=1, dims=[-4, -1], raw_data=bytes(16)), "negative dimension"),
    "too many dimensions": (TensorProto(data_type=1, dims=[1] * 500, raw_data=bytes(4)), "500 dimensions"),
    "no type": (TensorProto(dims=[1], raw_data=b"1"), "element type UNDEFINED"),
    "future type": (TensorProto(data_type=99, dims=[1], raw_data=b"1"), "element type number 99"),
    "segments": (
        TensorProto(data_type=1, dims=[1], raw_data=bytes(4), segment=TensorProto.Segment(begin=0, end=1)),
        "segments",
    ),
}


@pytest.mark.parametrize(("tensor", "message"), TENSORS.values(), ids=TENSORS)
def test_damaged_tensors(tensor: TensorProto, message: str) -> None:
    with pytest.raises(InputError, match=f"tensor W: .*{message}"):
        load(tensor_model(tensor))


def test_a_name_used_twice() -> None:
    model = tensor_model(onnx.numpy_helper.from_array(random(2)))
    model.graph.initializer.append(model.graph.initializer[0])
    with pytest.raises(InputError, match="tensor W: is defined twice"):
        load(model)


def test_invalid_text_is_one_line() -> None:
    with pytest.raises(InputError, match="invalid ONNX text") as caught:
        parse("g (float[1] x => y")
    assert "\n" not in str(caught.value)


def spans(data: bytes) -> dict[str, wire.Span]:
    return wire.skeleton(data).spans


def test_large_tensors_are_left_out() -> None:
    data = serialized(mlp())
    light = wire.skeleton(data)
    assert set(light.spans) == {"W1"}
    assert len(light.data) < len(data) - 2000
    span = light.spans["W1"]
    assert data[span.offset : span.offset + span.length] == mlp().weights.array("W1").tobytes()


def test_an_explicit_default_location_is_plain() -> None:
    tensor = onnx.numpy_helper.from_array(random(400))
    tensor.data_location = TensorProto.DEFAULT
    assert set(spans(tensor_model(tensor).SerializeToString())) == {"W"}


def odd_models() -> dict[str, bytes]:
    """Valid protobuf in an unusual form: it must be parsed as a whole, to the same result."""
    data = serialized(mlp())
    model = ModelProto.FromString(data)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    rest = model.SerializeToString()
    half = ModelProto.FromString(data).graph
    del half.node[:]
    other = ModelProto.FromString(data).graph
    del other.initializer[:]
    twice = wire.header(7, len(half.SerializeToString())) + half.SerializeToString()
    twice += wire.header(7, len(other.SerializeToString())) + other.SerializeToString()
    group = b"\x9b\x06\x9c\x06"  # an empty group, field 99
    return {
        "graph last": rest + wire.header(7, len(graph)) + graph,
        "graph in two parts": rest + twice,
        "with a group": data + group,
    }


@pytest.mark.parametrize("data", odd_models().values(), ids=odd_models())
def test_unusual_encodings(data: bytes) -> None:
    document = from_bytes(data)
    assert (document.weights.array("W1") == mlp().weights.array("W1")).all()
    assert len(document.nodes) == 3


def test_data_given_twice_is_parsed_as_a_whole() -> None:
    tensor = onnx.numpy_helper.from_array(random(400), "W").SerializeToString()
    last = random(400, seed=5).tobytes()
    body = tensor + wire.header(9, len(last)) + last
    graph = wire.header(5, len(body)) + body
    document = from_bytes(b"\x08\x0a" + wire.header(7, len(graph)) + graph)
    assert document.weights.array("W").tobytes() == last


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ENTRIES", 2)
    with pytest.raises(InputError, match="more than 2 nodes and tensors"):
        load(rich_model())


def test_deep_nesting_is_refused() -> None:
    graph = b""
    for _ in range(60):
        branch = wire.header(1, 1) + b"g" + wire.header(6, len(graph)) + graph
        node = wire.header(5, len(branch)) + branch
        graph = wire.header(1, len(node)) + node
    with pytest.raises(InputError, match="is not an ONNX model"):
        from_bytes(wire.header(7, len(graph)) + graph)


@pytest.mark.parametrize("name", [b"W1", b"Gemm", b"transB"])
def test_names_that_are_not_utf8(name: bytes) -> None:
    data = serialized(mlp()).replace(name, b"\xff" + name[1:])
    with pytest.raises(InputError, match="a name that is not UTF-8"):
        from_bytes(data)


def look_at(data: bytes) -> None:
    """Everything a caller may ask; only InputError may come out."""
    try:
        document = from_bytes(data)
        document.shapes()
        for node in document.nodes:
            list(node.attrs.values())
        for name in document.weights:
            if document.weights.info(name).storage != "sparse":
                document.weights.array(name)
    except InputError as error:
        assert "\n" not in str(error)


RICH = rich_model().SerializeToString()


@given(st.integers(0, len(RICH)))
def test_truncation_anywhere(length: int) -> None:
    look_at(RICH[:length])


@given(st.integers(0, len(RICH) - 1), st.binary(min_size=1, max_size=6))
def test_damage_anywhere(at: int, noise: bytes) -> None:
    look_at(RICH[:at] + noise + RICH[at + len(noise) :])


@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    look_at(data)


@given(st.binary(max_size=200))
def test_varints_and_fields_stay_in_bounds(data: bytes) -> None:
    try:
        found = list(wire.fields(data, 0, len(data)))
    except wire.Odd:
        return
    assert all(f.key < f.end <= len(data) for f in found)
    assert b"".join(data[f.key : f.end] for f in found) == data


def test_opening_does_not_read_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "big.onnx"
    tensor = TensorProto(name="W", data_type=1, dims=[25_000_000])
    model = tensor_model(tensor)
    head, tail = _around_data(model, 100_000_000)
    with path.open("wb") as file:  # sparse: 100 MB that take no place on disk
        file.write(head)
        file.seek(100_000_000, 1)
        file.write(tail)
    start = time.perf_counter()
    document = load(path)
    assert document.weights.info("W").nbytes == 100_000_000
    assert time.perf_counter() - start < 0.5  # measured 1 ms
    assert document.weights.array("W")[24_999_999] == 0
    assert np.isclose(document.nbytes, 100_000_000, rtol=1e-5)


def _around_data(model: ModelProto, length: int) -> tuple[bytes, bytes]:
    """What comes before and behind `length` bytes of data of the only tensor."""
    from onnxdup.graph.payloads import Stored
    from onnxdup.graph.serial import parts

    pieces = parts(model, {"W": Stored(b"", 0, length)})
    at = next(i for i, p in enumerate(pieces) if not isinstance(p, bytes))
    before, behind = pieces[:at], pieces[at + 1 :]
    return b"".join(p for p in before if isinstance(p, bytes)), b"".join(
        p for p in behind if isinstance(p, bytes)
    )
