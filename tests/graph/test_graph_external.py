"""External data: reading it wherever it may lie, and nowhere else; writing it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_models import external_model, mlp, narrowed, proto, random, run
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from onnxdup.errors import InputError, UsageError
from onnxdup.graph import check, load, materialised, write


def saved(folder: Path, **options: object) -> Path:
    """The MLP as onnx itself writes it with external data."""
    path = folder / "model.onnx"
    settings = {"save_as_external_data": True, "size_threshold": 0, "location": "model.bin", **options}
    onnx.save(proto(mlp()), path, **settings)  # type: ignore[arg-type]
    return path


def locations(path: Path) -> dict[str, dict[str, str]]:
    model = onnx.load(path, load_external_data=False)
    return {t.name: {e.key: e.value for e in t.external_data} for t in model.graph.initializer}


# -- reading


def test_offset_and_length(tmp_path: Path) -> None:
    values = random(16, 32)
    entries = {"offset": "128", "length": "2048"}
    path, _ = external_model(tmp_path, entries, data=b"\0" * 128 + values.tobytes() + b"rest")
    document = load(path)
    assert (document.weights.array("W") == values).all()
    assert document.weights.info("W").storage == "external"
    assert document.nbytes == path.stat().st_size + 128 + 2048 + 4


def test_the_hash_covers_the_data(tmp_path: Path) -> None:
    path, _ = external_model(tmp_path)
    before = load(path).sha256()
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:-1] + b"\x7f")
    assert load(path).sha256() != before


BAD_ENTRIES = {
    "length too long": ({"length": "2052"}, "needs 2048 bytes of external data, its length is 2052"),
    "length too short": ({"length": "4"}, "needs 2048 bytes of external data, its length is 4"),
    "offset behind the end": ({"offset": "4096"}, "is 4096 bytes too short"),
    "negative offset": ({"offset": "-1"}, "offset is '-1', not a number"),
    "offset in words": ({"offset": "1e3"}, "offset is '1e3', not a number"),
    "enormous offset": ({"offset": "9" * 30}, "not a number"),
    "missing file": ({"location": "nowhere.bin"}, "external data nowhere.bin is missing"),
    "parent": ({"location": "../weights.bin"}, "leaves the model's directory"),
    "hidden parent": ({"location": "a/../../weights.bin"}, "leaves the model's directory"),
    "absolute": ({"location": "/etc/passwd"}, "leaves the model's directory"),
    "windows parent": ({"location": "..\\weights.bin"}, "leaves the model's directory"),
    "windows drive": ({"location": "C:\\weights.bin"}, "leaves the model's directory"),
    "windows share": ({"location": "\\\\host\\share\\w"}, "leaves the model's directory"),
    "no location": ({"location": ""}, "leaves the model's directory"),
    "zero byte": ({"location": "weights.bin\0.txt"}, "leaves the model's directory"),
    "directory": ({"location": "."}, "leaves the model's directory"),
}


@pytest.mark.parametrize(("entries", "message"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_bad_entries_are_refused(entries: dict[str, str], message: str, tmp_path: Path) -> None:
    path, _ = external_model(tmp_path, entries)
    for allowed in (False, True):
        with pytest.raises(InputError) as caught:
            load(path, allow_linked_data=allowed)
        assert message in str(caught.value) and "tensor W" in str(caught.value)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_data_that_is_too_short(tmp_path: Path) -> None:
    path, _ = external_model(tmp_path, data=b"1234")
    with pytest.raises(InputError, match=r"external data weights\.bin is 2044 bytes too short"):
        load(path)


def test_a_key_given_twice(tmp_path: Path) -> None:
    path, _ = external_model(tmp_path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data.add(key="location", value="other.bin")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="key twice"):
        load(path)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    path, _ = external_model(tmp_path)
    (tmp_path / "weights.bin").unlink()
    os.mkfifo(tmp_path / "weights.bin")
    with pytest.raises(InputError, match="is not a regular file"):
        load(path)


def test_a_model_in_memory_has_no_directory(tmp_path: Path) -> None:
    path, _ = external_model(tmp_path)
    with pytest.raises(InputError, match="no directory; load it by its path"):
        load(onnx.load(path, load_external_data=False))


def test_an_ir_model_knows_its_directory(tmp_path: Path) -> None:
    import onnx_ir

    path, values = external_model(tmp_path)
    assert (load(onnx_ir.load(path)).weights.array("W") == values).all()


# -- links


def outside(folder: Path) -> tuple[Path, Path]:
    """A model whose data file was moved out of its directory."""
    home, other = folder / "home", folder / "other"
    home.mkdir()
    other.mkdir()
    path, _ = external_model(home)
    target = other / "secret"
    (home / "weights.bin").rename(target)
    return path, target


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["symlink", "hardlink"])
def test_links_to_elsewhere_need_permission(link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    path, target = outside(tmp_path)
    link(path.parent / "weights.bin", target)
    with pytest.raises(InputError, match="allow it with --allow-linked-data"):
        load(path)
    assert (load(path, allow_linked_data=True).weights.array("W") == random(16, 32)).all()


def test_linked_directory(tmp_path: Path) -> None:
    path, target = outside(tmp_path)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "sub/secret"
    path.write_bytes(model.SerializeToString())
    (path.parent / "sub").symlink_to(target.parent)
    with pytest.raises(InputError, match="is a link that leaves"):
        load(path)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to], ids=["symlink", "hardlink"])
def test_links_within_the_directory_are_fine(link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    path, values = external_model(tmp_path)
    (tmp_path / "weights.bin").rename(tmp_path / "real.bin")
    link(tmp_path / "weights.bin", tmp_path / "real.bin")
    assert (load(path).weights.array("W") == values).all()


def test_a_cache_that_links_model_and_data_into_blobs(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    path, values = external_model(blobs)
    path.rename(blobs / "1111")
    (blobs / "weights.bin").rename(blobs / "2222")
    (snapshot / "model.onnx").symlink_to("../../blobs/1111")
    (snapshot / "weights.bin").symlink_to("../../blobs/2222")
    assert (load(snapshot / "model.onnx").weights.array("W") == values).all()


# -- writing


def test_one_file_becomes_one_file_named_after_the_output(tmp_path: Path) -> None:
    document = load(saved(tmp_path))
    written = write(narrowed(document, list(range(50))), tmp_path / "small.onnx")
    assert written == (tmp_path / "small.onnx", tmp_path / "small.onnx.data")
    found = locations(written[0])
    assert {e["location"] for e in found.values() if e} == {"small.onnx.data"}
    assert all(int(e["offset"]) % 64 == 0 for e in found.values() if e)
    assert load(written[0]).weights.info("W1").storage == "external"
    onnx.checker.check_model(str(written[0]), full_check=True)
    x = {"x": random(2, 8)}
    assert np.array_equal(run(onnx.load(written[0]), x)[0], run(narrowed(mlp(), list(range(50))), x)[0])


def test_large_tensors_are_aligned_to_pages(tmp_path: Path) -> None:
    arrays = {"a": random(3, 100), "b": random(512, 513, seed=1), "c": random(300, seed=2)}
    tensors = [numpy_helper.from_array(v, k) for k, v in arrays.items()]
    graph = helper.make_graph([], "g", [], [], tensors)
    path = write(load(helper.make_model(graph)), tmp_path / "m.onnx", external="always")[0]
    assert [int(e["offset"]) % 4096 for e in locations(path).values()][1] == 0
    assert all((load(path).weights.array(k) == v).all() for k, v in arrays.items())


def test_one_file_per_tensor_stays_so(tmp_path: Path) -> None:
    document = load(saved(tmp_path, all_tensors_to_one_file=False))
    before = locations(tmp_path / "model.onnx")
    assert {e["location"] for e in before.values()} == {"W1", "b1", "W2"}
    editor = document.edit()
    editor.set_tensor("W1", document.weights.array("W1") * 2)
    written = write(editor.finish(), tmp_path / "o.onnx")
    assert {p.name for p in written} == {"o.onnx", "o.onnx.W1", "o.onnx.b1", "o.onnx.W2"}
    assert (load(written[0]).weights.array("W1") == 2 * document.weights.array("W1")).all()
    assert (load(written[0]).weights.array("W2") == document.weights.array("W2")).all()


def test_unedited_elsewhere_is_a_copy_byte_for_byte(tmp_path: Path) -> None:
    source = saved(tmp_path)
    (tmp_path / "out").mkdir()
    written = write(load(source), tmp_path / "out" / "copy.onnx")
    assert [p.name for p in written] == ["copy.onnx", "model.bin"]
    assert [p.read_bytes() for p in written] == [source.read_bytes(), (tmp_path / "model.bin").read_bytes()]
    assert write(load(source), tmp_path / "out" / "copy.onnx") == written


def test_unedited_beside_the_source_differs_in_location_only(tmp_path: Path) -> None:
    source = saved(tmp_path)
    written = write(load(source), tmp_path / "copy.onnx")
    assert written[1].read_bytes() == (tmp_path / "model.bin").read_bytes()
    expected = onnx.load(source, load_external_data=False)
    for tensor in expected.graph.initializer:
        tensor.external_data[0].value = "copy.onnx.data"
    assert written[0].read_bytes() == expected.SerializeToString(deterministic=True)


def test_a_foreign_data_file_is_not_overwritten(tmp_path: Path) -> None:
    source = saved(tmp_path)
    other = tmp_path / "out"
    other.mkdir()
    (other / "model.bin").write_bytes(b"of another model")
    written = write(load(source), other / "copy.onnx")
    assert written[1].name == "copy.onnx.data"
    assert (other / "model.bin").read_bytes() == b"of another model"


def test_conversion_between_layouts(tmp_path: Path) -> None:
    document = mlp()
    outside = write(document, tmp_path / "e.onnx", external="always")
    assert len(outside) == 2
    assert locations(outside[0])["b1"] == {}
    inside = write(load(outside[0]), tmp_path / "i.onnx", external="never")
    assert len(inside) == 1
    assert proto(load(inside[0])) == proto(document)
    assert write(load(outside[0]), tmp_path / "e2.onnx", external="always")[1].name == "e2.onnx.data"


def test_shared_content_stays_shared(tmp_path: Path) -> None:
    path, values = external_model(tmp_path)
    model = onnx.load(path, load_external_data=False)
    twin = model.graph.initializer.add()
    twin.CopyFrom(model.graph.initializer[0])
    twin.name = "V"
    path.write_bytes(model.SerializeToString())
    editor = load(path).edit()
    editor.set_metadata({"touched": "yes"})
    written = write(editor.finish(), tmp_path / "o.onnx")
    assert written[1].stat().st_size == values.nbytes
    assert (load(written[0]).weights.array("V") == values).all()


def test_external_data_in_subgraphs(tmp_path: Path) -> None:
    values = random(400)
    tensor = numpy_helper.from_array(values, "inner")
    branch = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["o"])],
        "b",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [400])],
        [tensor],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [400])],
        [numpy_helper.from_array(random(300, seed=1), "unused")],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    path = tmp_path / "model.onnx"
    for body in (a.g for a in model.graph.node[0].attribute):
        external_data_helper.set_external_data(body.initializer[0], "model.bin", 0, values.nbytes)
        body.initializer[0].ClearField("raw_data")
        body.initializer[0].data_location = TensorProto.EXTERNAL
    (tmp_path / "model.bin").write_bytes(values.tobytes())
    path.write_bytes(model.SerializeToString())
    document = load(path)
    check(document)
    editor = document.edit()
    editor.set_metadata({"touched": "yes"})
    edited = editor.finish()
    assert (run(edited, {"c": np.array(True)})[0] == values).all()
    for mode in ("auto", "never", "always"):
        written = write(edited, tmp_path / f"{mode}.onnx", external=mode)  # type: ignore[arg-type]
        assert len(written) == (1 if mode == "never" else 2)
        assert (run(onnx.load(written[0]), {"c": np.array(True)})[0] == values).all()


def test_in_place_keeps_the_layout(tmp_path: Path) -> None:
    source = saved(tmp_path)
    document = load(source)
    small = narrowed(document, list(range(40)))
    with pytest.raises(UsageError, match=r"is the input itself.*--in-place"):
        write(small, source)
    for in_place in (False, True):
        with pytest.raises(UsageError, match="is external data of the input"):
            write(small, tmp_path / "model.bin", in_place=in_place)
    assert write(small, source, in_place=True) == (source, tmp_path / "model.1.bin")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.1.bin", "model.onnx"]
    assert load(source).weights.info("W1").shape == (40, 8)
    assert (document.weights.array("W1") == mlp().weights.array("W1")).all()  # still mapped


def test_in_place_conversion(tmp_path: Path) -> None:
    source = saved(tmp_path, location="model.onnx.data")
    assert write(load(source), source, in_place=True, external="never") == (source,)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert load(source).weights.info("W1").storage == "raw"


def test_the_data_of_the_input_is_not_overwritten(tmp_path: Path) -> None:
    source = saved(tmp_path, location="o.onnx.data")
    written = write(narrowed(load(source), list(range(60))), tmp_path / "o.onnx")
    assert [p.name for p in written] == ["o.onnx", "o.onnx.1.data"]
    assert load(source).weights.info("W1").shape == (64, 8)
    assert (load(source).weights.array("W1") == mlp().weights.array("W1")).all()


def test_own_data_file_goes_when_no_longer_used(tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    for name in ("m.onnx.data", "m.onnx.1.data", "m.onnx.data"):
        write(mlp(), target, external="always")
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["m.onnx", name])
    write(mlp(), target)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_an_unrelated_data_file_stays(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"somebody's")
    write(mlp(), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx.data").read_bytes() == b"somebody's"


def test_materialised_opens_by_path(tmp_path: Path) -> None:
    source = saved(tmp_path)
    with materialised(load(source)) as path:
        assert path == source
    with materialised(narrowed(load(source), list(range(60)))) as path:
        assert sorted(p.name for p in path.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
        onnx.checker.check_model(str(path), full_check=True)
    assert not path.parent.exists()
