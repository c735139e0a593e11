"""The weights of a model: initializers and the outputs of `Constant` nodes, read one at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from onnxdup.errors import InputError
from onnxdup.graph.external import DataFiles, is_external
from onnxdup.graph.payloads import Fresh, Payload, Stored
from onnxdup.graph.tensors import (
    Array,
    check_size,
    check_stored,
    decode,
    frozen,
    packed_size,
    stored_array,
    type_and_shape,
)

_LARGE = 1 << 20
_VALUES = ("value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What is known about a weight without reading it. `nbytes` is its packed size in storage."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    nbytes: int
    storage: str  # 'raw', 'typed', 'external', 'constant', 'sparse' or 'new'


@dataclass(frozen=True, slots=True)
class _Weight:
    info: TensorInfo
    data_type: int
    tensor: TensorProto | None = None
    payload: Payload | None = None
    value: Array | None = None


class WeightStore:
    """Weights by name. `array` reads one; nothing else touches their data."""

    def __init__(self, model: ModelProto, payloads: Mapping[str, Payload], files: DataFiles) -> None:
        self._payloads, self._files = payloads, files
        self._weights: dict[str, _Weight] = {}
        self._collect(model.graph)

    def __contains__(self, name: object) -> bool:
        return name in self._weights

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def info(self, name: str) -> TensorInfo:
        """Type, shape and storage of a weight. KeyError when there is no such weight."""
        return self._weights[name].info

    def array(self, name: str) -> Array:
        """The weight, read-only: a view of the mapped file where the element type allows it.

        InputError for a sparse tensor. KeyError when there is no such weight.
        """
        weight = self._weights[name]
        if weight.value is not None:
            return weight.value
        if isinstance(weight.payload, Fresh):
            return weight.payload.lazy.evaluate(name)
        if isinstance(weight.payload, Stored) and weight.info.nbytes >= _LARGE:
            return _mapped(weight.payload, weight.data_type, weight.info.shape)
        if weight.payload is not None:
            return decode(weight.payload.read(), weight.data_type, weight.info.shape)
        if weight.tensor is None:
            raise InputError("is sparse, and is carried through unread", tensor=name)
        return stored_array(weight.tensor)

    def payload(self, name: str) -> Payload | None:
        """The data of a weight that is kept outside the skeleton, else None."""
        return self._weights[name].payload

    def _collect(self, graph: GraphProto) -> None:
        for tensor in graph.initializer:
            self._add(self._dense(tensor.name, tensor))
        for sparse in graph.sparse_initializer:
            self._add(_sparse(sparse.values.name, sparse))
        for node in graph.node:
            if is_constant(node):
                self._constant(node)

    def _add(self, weight: _Weight) -> None:
        if weight.info.name in self._weights:
            raise InputError("is defined twice", tensor=weight.info.name, remedy="the file is invalid")
        self._weights[weight.info.name] = weight

    def _dense(self, name: str, tensor: TensorProto, storage: str | None = None) -> _Weight:
        dtype, shape = type_and_shape(tensor)
        payload = self._payloads.get(name)
        if payload is None and is_external(tensor):
            payload = self._files.payload(tensor)
        if payload is None:
            check_stored(tensor)
            nbytes = sum(map(len, tensor.string_data)) or packed_size(tensor.data_type, shape)
            kind = storage or ("raw" if tensor.HasField("raw_data") else "typed")
            return _Weight(TensorInfo(name, dtype, shape, nbytes, kind), tensor.data_type, tensor)
        check_size(name, tensor.data_type, shape, payload.nbytes)
        kind = storage if storage and payload.storage != "new" else payload.storage
        return _Weight(
            TensorInfo(name, dtype, shape, payload.nbytes, kind), tensor.data_type, tensor, payload
        )

    def _constant(self, node: NodeProto) -> None:
        name = node.output[0]
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                continue
            if attribute.name == "value" and attribute.type == AttributeProto.TENSOR:
                self._add(self._dense(name, attribute.t, "constant"))
            elif attribute.name == "sparse_value":
                self._add(_sparse(name, attribute.sparse_tensor))
            elif attribute.name in _VALUES:
                value = _attribute_value(attribute)
                info = TensorInfo(name, value.dtype, value.shape, value.nbytes, "constant")
                self._add(_Weight(info, 0, value=value))


def _mapped(payload: Stored, data_type: int, shape: tuple[int, ...]) -> Array:
    """A large weight; when the last view of it is gone, so are its pages from this process's memory."""
    array = decode(payload.read(), data_type, shape)
    owner = array if array.base is None or not isinstance(array.base, np.ndarray) else array.base
    weakref.finalize(owner, payload.forget).atexit = False
    return array


def is_constant(node: NodeProto) -> bool:
    """Whether a node is the standard `Constant` operator."""
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx") and len(node.output) == 1


def _attribute_value(attribute: AttributeProto) -> Array:
    kind = attribute.name.removeprefix("value_")
    field = {"float": "f", "int": "i", "string": "s"}.get(kind, kind)
    value = getattr(attribute, field)
    dtype = {"f": np.float32, "i": np.int64}.get(field[0], object)
    plain = value if len(field) == 1 else list(value)
    return frozen(np.array(plain, dtype=dtype))


def _sparse(name: str, sparse: SparseTensorProto) -> _Weight:
    dtype, shape = type_and_shape(sparse.values, sparse.dims)
    stored = sum(packed_size(t.data_type, t.dims) for t in (sparse.values, sparse.indices))
    return _Weight(TensorInfo(name, dtype, shape, stored, "sparse"), sparse.values.data_type)
