"""What is not edited comes back byte for byte: the onnx wheel, its backend tests, a zoo."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from graph_models import mlp, rich_model, serialized

from onnxdup.errors import OnnxdupError
from onnxdup.graph import Document, load, write

WHEEL = sorted(Path(onnx.__file__).parent.rglob("*.onnx"))
ZOO = sorted(Path(os.environ.get("ONNXDUP_ZOO", "no-zoo")).glob("*.onnx"))


def no_op_through_graphsurgeon(document: Document) -> Document:
    editor = document.edit()
    assert len(editor.graph.nodes) == len(document.nodes)
    return editor.finish()


def check_file(source: Path, folder: Path) -> None:
    document = load(source)
    copy, spliced = folder / source.name, folder / f"spliced-{source.name}"
    write(document, copy)
    assert copy.read_bytes() == source.read_bytes()
    if not document._files.paths:
        write(no_op_through_graphsurgeon(document), spliced)
        expected = onnx.load(source, load_external_data=False).SerializeToString(deterministic=True)
        assert spliced.read_bytes() == expected


def test_files_of_the_onnx_wheel(tmp_path: Path) -> None:
    assert WHEEL
    for source in WHEEL:
        check_file(source, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the generators
def test_models_of_the_backend_tests() -> None:
    from onnx.backend.test.case.node import collect_testcases

    cases = [case.model for case in collect_testcases(None) if case.model is not None]
    assert len(cases) > 1000
    for model in cases:
        expected = model.SerializeToString(deterministic=True)
        document = load(model)
        assert serialized(no_op_through_graphsurgeon(document)) == expected
        document.shapes()
        for node in document.nodes:
            assert len([node.attrs[key] for key in node.attrs]) == len(node.attrs)


@pytest.mark.skipif(not ZOO, reason="no zoo: set ONNXDUP_ZOO to a folder of .onnx files")
@pytest.mark.parametrize("source", ZOO, ids=lambda path: path.stem)
def test_files_of_a_zoo(source: Path, tmp_path: Path) -> None:
    check_file(source, tmp_path)
    document = load(source)
    for name in document.weights:
        if document.weights.info(name).storage != "sparse":
            assert document.weights.array(name).shape == document.weights.info(name).shape
    assert set(document.weights) <= set(document.shapes())


def test_in_memory_model_and_its_file_are_the_same(tmp_path: Path) -> None:
    model = rich_model()
    before = model.SerializeToString(deterministic=True)
    path = tmp_path / "m.onnx"
    path.write_bytes(before)
    assert load(model).sha256() == load(path).sha256()
    assert load(model).nbytes == path.stat().st_size
    no_op_through_graphsurgeon(load(model))
    assert model.SerializeToString(deterministic=True) == before


def test_nothing_edited_gives_the_same_document() -> None:
    document = mlp()
    assert document.edit().finish() is document


def test_size_and_hash_of_an_edited_document_are_those_of_its_file(tmp_path: Path) -> None:
    document = mlp()
    editor = document.edit()
    editor.set_tensor("W1", document.weights.array("W1") * 2)
    edited = editor.finish()
    path, *rest = write(edited, tmp_path / "m.onnx")
    assert rest == []
    assert (edited.nbytes, edited.sha256()) == (path.stat().st_size, load(path).sha256())


def test_graphsurgeon_and_ir_sources() -> None:
    import onnx_graphsurgeon as gs
    import onnx_ir

    graph = gs.import_onnx(onnx.ModelProto.FromString(serialized(mlp())))
    domains = list(graph.import_domains)
    for source in (graph, onnx_ir.from_proto(onnx.ModelProto.FromString(serialized(mlp())))):
        document = load(source)
        assert [node.op_type for node in document.nodes] == ["Gemm", "Relu", "MatMul"]
        assert (document.weights.array("W1") == mlp().weights.array("W1")).all()
    assert list(graph.import_domains) == domains


def test_a_graph_built_in_graphsurgeon_gets_an_ir_version_that_runtimes_read() -> None:
    import numpy as np
    import onnx_graphsurgeon as gs

    x, y = gs.Variable("x", np.float32, (1, 2)), gs.Variable("y", np.float32, (1, 2))
    graph = gs.Graph([gs.Node("Relu", inputs=[x], outputs=[y])], [x], [y], opset=17)
    assert load(graph).ir_version == 10


def test_other_sources_are_refused() -> None:
    with pytest.raises(OnnxdupError, match="cannot load a model from int"):
        load(3)
