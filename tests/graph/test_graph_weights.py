"""Reading weights: every storage form, every element type."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from graph_models import mlp, random, tensor_model
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxdup.errors import InputError
from onnxdup.graph import Opaque, load, parse
from onnxdup.graph.tensors import dtype_of, packed_size

TYPES = [v for k, v in TensorProto.DataType.items() if k not in ("UNDEFINED", "STRING")]


def stored(data_type: int, shape: tuple[int, ...]) -> TensorProto:
    """A tensor of arbitrary bits that mean a number in every type."""
    data = np.arange(packed_size(data_type, shape), dtype=np.uint8) % 48
    if data_type == TensorProto.BOOL:
        data %= 2
    return TensorProto(data_type=data_type, dims=shape, raw_data=data.tobytes())


@pytest.mark.parametrize("shape", [(), (0,), (5,), (40, 50)])
@pytest.mark.parametrize("data_type", TYPES, ids=TensorProto.DataType.Name)
def test_raw_data_of_every_type(data_type: int, shape: tuple[int, ...]) -> None:
    tensor = stored(data_type, shape)
    document = load(tensor_model(tensor))
    array, info = document.weights.array("W"), document.weights.info("W")
    expected = numpy_helper.to_array(tensor)
    assert (array.dtype, array.shape) == (dtype_of(data_type), shape) == (info.dtype, info.shape)
    assert array.tobytes() == expected.tobytes()
    assert info.nbytes == len(tensor.raw_data)
    assert not array.flags.writeable


@pytest.mark.parametrize("size", [3, 400])
@pytest.mark.parametrize(
    ("data_type", "field"),
    [
        (TensorProto.FLOAT, "float_data"),
        (TensorProto.DOUBLE, "double_data"),
        (TensorProto.INT64, "int64_data"),
        (TensorProto.INT32, "int32_data"),
        (TensorProto.INT8, "int32_data"),
        (TensorProto.UINT64, "uint64_data"),
    ],
)
def test_typed_fields(data_type: int, field: str, size: int) -> None:
    tensor = TensorProto(data_type=data_type, dims=[size])
    getattr(tensor, field).extend(range(-1 if field[0] != "u" else 0, size - 1 if field[0] != "u" else size))
    if data_type == TensorProto.INT8:
        getattr(tensor, field)[:] = [i % 128 for i in range(size)]
    document = load(tensor_model(tensor))
    assert document.weights.array("W").tolist() == list(getattr(tensor, field))
    assert document.weights.info("W").storage == "typed"


def test_packed_floats_are_left_on_disk() -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[400], float_data=np.arange(400.0))
    document = load(tensor_model(tensor))
    assert not document._model.graph.initializer[0].float_data
    assert document.weights.array("W")[399] == 399


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_in_int32_data(dtype: type) -> None:
    values = np.array([1.5, -2.0, 0.125]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    bits = values.view(np.uint16).astype(np.int32)
    document = load(tensor_model(TensorProto(data_type=kind, dims=[3], int32_data=bits)))
    assert document.weights.array("W").dtype == values.dtype
    assert (document.weights.array("W") == values).all()


def test_complex_and_strings() -> None:
    numbers = TensorProto(data_type=TensorProto.COMPLEX64, dims=[2], float_data=[1, 2, 3, 4])
    assert load(tensor_model(numbers)).weights.array("W").tolist() == [1 + 2j, 3 + 4j]
    text = TensorProto(data_type=TensorProto.STRING, dims=[2], string_data=[b"a", "ß".encode()])
    assert load(tensor_model(text)).weights.array("W").tolist() == ["a", "ß"]
    binary = TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"\xff"])
    assert load(tensor_model(binary)).weights.array("W").tolist() == [b"\xff"]


def test_four_bit_values() -> None:
    values = np.arange(-8, 7).astype(ml_dtypes.int4)
    document = load(tensor_model(numpy_helper.from_array(values)))
    assert document.weights.array("W").astype(int).tolist() == list(range(-8, 7))
    assert document.weights.info("W").nbytes == 8


def test_constant_nodes() -> None:
    document = parse(
        """g () => (float[2] a) {
            a = Constant <value_floats = [1.0, 2.0]> ()
            b = Constant <value_int = 3> ()
            c = Constant <value = float[2,1] {5.0, 6.0}> ()
            d = Constant <value_ints = [7, 8]> ()
            e = Constant <value_float = 0.5> ()
        }"""
    )
    arrays = {name: document.weights.array(name) for name in document.weights}
    assert {name: a.tolist() for name, a in arrays.items()} == {
        "a": [1.0, 2.0],
        "b": 3,
        "c": [[5.0], [6.0]],
        "d": [7, 8],
        "e": 0.5,
    }
    assert [str(a.dtype) for a in arrays.values()] == ["float32", "int64", "float32", "int64", "float32"]
    assert {document.weights.info(name).storage for name in arrays} == {"constant"}


def test_large_constant_node_is_left_on_disk() -> None:
    values = random(30, 40)
    node = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(values, "inner"))
    output = helper.make_tensor_value_info("c", TensorProto.FLOAT, [30, 40])
    model = helper.make_model(helper.make_graph([node], "g", [], [output]), ir_version=10)
    document = load(model)
    assert not document._model.graph.node[0].attribute[0].t.raw_data
    assert (document.weights.array("c") == values).all()
    assert (document.nodes[0].attrs["value"] == values).all()
    assert document.weights.info("c").storage == "constant"


def test_sparse_initializer_is_known_but_not_read() -> None:
    model = ModelProto()
    model.CopyFrom(tensor_model(numpy_helper.from_array(random(2))))
    sparse = model.graph.sparse_initializer.add(dims=[50, 2])
    sparse.values.CopyFrom(numpy_helper.from_array(random(3), "S"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([1, 4, 9]), ""))
    weights = load(model).weights
    assert (weights.info("S").storage, weights.info("S").shape) == ("sparse", (50, 2))
    with pytest.raises(InputError, match="tensor S: is sparse"):
        weights.array("S")


def test_reading_one_weight_maps_the_file(tmp_path) -> None:
    from onnxdup.graph import write

    path = write(mlp(), tmp_path / "m.onnx")[0]
    array = load(path).weights.array("W1")
    assert array.base is not None
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_attributes_and_captures() -> None:
    document = parse(
        """g (float[1] x, bool c) => (float[1] y) {
            y = If (c) <then_branch = t () => (float[1] a) { a = Neg (x) },
                        else_branch = e () => (float[1] b) { b = Add (x, W) }>
        }""",
        W=np.ones(1, np.float32),
    )
    node = document.nodes[0]
    assert node.attrs["then_branch"] == Opaque("GRAPH")
    assert set(node.captured) == {"x", "W"}
    assert document.consumers_of("W") == ((node, -1),)
    assert document.producer_of("y") is node and document.producer_of("x") is None
