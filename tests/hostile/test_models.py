"""Networks from anywhere: what contradicts its card is refused when it is loaded, and no video ends with NaN."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from ferflow.errors import ModelError
from ferflow.models.classifier import OnnxClassifier
from ferflow.models.registry import resolve
from tests.conftest import LABELS, face_frames, write_video

SIDE = 48


def network(*, n: int = 7, side: int = SIDE, scale: float = 1.0, shift: float = 0.0, output: str = "logits",
            batch: object = "n", kind: int = TensorProto.FLOAT) -> onnx.ModelProto:  # fmt: skip
    """Logits are the mean brightness of the crop times a weight per label."""
    weights = numpy_helper.from_array(np.linspace([0.0], [scale], n, axis=1).astype(np.float32), "weights")
    offset = numpy_helper.from_array(np.float32(shift), "offset")
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["mean", "offset"], ["moved"]),
        helper.make_node("Log", ["moved"], ["log"]),
        helper.make_node("Unsqueeze", ["log", "axis"], ["column"]),
        helper.make_node("Mul", ["column", "weights"], ["product"]),
        helper.make_node("Cast", ["product"], [output], to=kind),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    graph = helper.make_graph(
        nodes, "mean", [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, side, side, 1])],
        [helper.make_tensor_value_info(output, kind, [batch, n])], [weights, offset, axis],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def card_of(folder: Path, model: onnx.ModelProto | bytes, **changes: object) -> Path:
    """A folder with a network and the card that belongs to it."""
    folder.mkdir(exist_ok=True)
    content = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "a.onnx").write_bytes(content)
    card = {
        "format": 3, "name": "a", "recipe": "mini", "labels": LABELS, "input_size": SIDE,
        "files": {"onnx": {"file": "a.onnx", "sha256": hashlib.sha256(content).hexdigest()}}, **changes,
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def with_external_weights(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The same network, with its weights in another file."""
    tensor = model.graph.initializer[0]
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(tensor.raw_data)
    external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.ClearField("raw_data")
    return model


def hidden(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The same in an attribute of a node in the subgraph of another."""
    tensor = with_external_weights(model, folder).graph.initializer[0]
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [],
                              [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1, 7])])  # fmt: skip
    other = network()
    truth = numpy_helper.from_array(np.array(True), "truth")
    other.graph.initializer.append(truth)
    other.graph.node.append(helper.make_node("If", ["truth"], ["d"], then_branch=inner, else_branch=inner))
    return other


def test_the_network_of_these_tests_is_served(tmp_path):
    card = resolve(card_of(tmp_path / "a", network()))
    images = np.full((3, SIDE, SIDE, 1), 100, np.uint8)
    powers = 100.0 ** np.linspace(0, 1, 7)
    assert OnnxClassifier(card)(images) == pytest.approx(np.tile(powers / powers.sum(), (3, 1)), rel=1e-4)


@pytest.mark.parametrize("make", [with_external_weights, hidden])
def test_weights_in_another_file_are_refused(tmp_path, make):
    folder = card_of(tmp_path / "a", make(network(), tmp_path / "a"))
    with pytest.raises(ModelError, match="weights in other files"):
        OnnxClassifier(resolve(folder))


def with_endless_loop() -> onnx.ModelProto:
    """A network with a loop in a branch, which repeats for as long as its condition stays true."""
    true = helper.make_tensor_value_info("go_on", TensorProto.BOOL, [])
    body = helper.make_graph(
        [helper.make_node("Identity", ["before"], ["go_on"])], "body",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []),
         helper.make_tensor_value_info("before", TensorProto.BOOL, [])], [true],
    )  # fmt: skip
    branch = helper.make_graph(
        [helper.make_node("Loop", ["", "truth"], [], body=body), helper.make_node("Identity", ["truth"], ["done"])],
        "branch", [], [helper.make_tensor_value_info("done", TensorProto.BOOL, [])],
    )  # fmt: skip
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "truth"))
    model.graph.node.append(helper.make_node("If", ["truth"], ["d"], then_branch=branch, else_branch=branch))
    return model


def test_a_network_with_a_loop_at_any_depth_is_refused_before_it_runs(tmp_path):
    folder = card_of(tmp_path / "a", with_endless_loop())
    with pytest.raises(ModelError, match="has a loop, which might never end"):
        OnnxClassifier(resolve(folder))


CONTRADICTIONS = {
    "fewer labels": network(n=5),
    "more labels": network(n=9),
    "another size": network(side=64),
    "another output": network(output="probs"),
    "one image at a time": network(batch=1),
    "numbers of another kind": network(kind=TensorProto.DOUBLE),
    "NaN for every image": network(shift=300.0),
    "infinity for every image": network(scale=3e38),
    "no ONNX": b"Dear diary",
    "empty": b"",
    "half of it": network().SerializeToString()[:150],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_network_that_contradicts_its_card_ends_the_command_with_code_4(ferflow, tmp_path, name):
    video = write_video(tmp_path / "a.mp4", face_frames(3, size=(128, 96)))
    folder = card_of(tmp_path / "model", CONTRADICTIONS[name])
    # With a worker process, too; one case of that, since each takes seconds.
    for extra in (("--workers", "0"), *([()] if name == "fewer labels" else [])):
        done = ferflow("analyze", video, "-o", tmp_path / "out", "--model", folder, *extra)
        assert done.code == 4, done.text
        assert "a.onnx: " in done.text
        assert "unexpected" not in done.text
        assert not list((tmp_path / "out" / "faces").glob("*.parquet"))
    with pytest.raises(ModelError, match=r"a\.onnx: .*\.$"):
        OnnxClassifier(resolve(folder))


def test_a_network_of_nan_ends_its_video_and_no_other(ferflow, tmp_path):
    """The logarithm of brightness less 20: NaN for a face in the dark only."""
    folder = card_of(tmp_path / "model", network(shift=60.0))
    frames = face_frames(4, size=(128, 96))
    write_video(tmp_path / "light.mp4", frames)
    write_video(tmp_path / "dark.mp4", [(frame * 0.35).astype(np.uint8) for frame in frames])
    done = ferflow("analyze", tmp_path / "light.mp4", tmp_path / "dark.mp4", "-o", tmp_path / "out", "--model", folder,
                   "--workers", "0", "--no-report")  # fmt: skip
    assert done.code == 10, done.text
    assert len([line for line in done.text.splitlines() if "not finite" in line]) == 1
    assert [path.stem.split("-")[0] for path in (tmp_path / "out" / "faces").glob("*.parquet")] == ["light"]
