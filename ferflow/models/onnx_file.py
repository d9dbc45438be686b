"""An ONNX file as it may come from anywhere: its content, if that is all of it, and its answer to one picture.

>>> session = start_checked(card, card.path("onnx"), threads=1, providers=(CPU,))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.errors import ModelError
from ferflow.models.cards import ModelCard
from ferflow.models.heads import OCCLUSION_HEAD
from ferflow.system.runtime import Provider, start_session

_TENSOR, _NODE = "onnx.TensorProto", "onnx.NodeProto"
_LOOPS = {"Loop", "Scan"}
"""Operators that may repeat for ever; no network for pictures of one size needs them."""
_GRAY = 128
_N_IMAGES = 2
"""More than one, so that a network with a fixed batch is found."""


def read_network(path: Path) -> bytes:
    """The content of an ONNX file without external data, which no digest in a card covers.

    Raises:
        ModelError: it cannot be read, is not ONNX, has weights in other files, or a loop.
    """
    import onnx

    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf has no public base class for its errors in all versions
        raise ModelError(
            f"{path.name}: not a network ONNX Runtime can load ({type(error).__name__})."
        ) from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _find(_TENSOR, model)):
        raise ModelError(
            f"{path.name}: has weights in other files, which the digest in its card does not cover. Save the network "
            "as one file."
        )
    if any(node.op_type in _LOOPS for node in _find(_NODE, model)):
        raise ModelError(f"{path.name}: has a loop, which might never end. Export the network without loops.")
    return content


def _find(kind: str, message: Any) -> Iterator[Any]:
    """All messages of a kind in a message of protobuf, at any depth: also in subgraphs, functions and attributes."""
    if message.DESCRIPTOR.full_name == kind:
        yield message
    if message.DESCRIPTOR.full_name == _TENSOR:  # nothing but numbers
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "append") else [value]:
                yield from _find(kind, part)


def start_checked(card: ModelCard, path: Path, *, threads: int, providers: tuple[Provider, ...]) -> Any:
    """Start a session of a card's network, and see that it answers as the card says.

    Raises:
        ModelError: ONNX Runtime cannot load or run it, or its outputs are not those of the card.
    """
    network = read_network(path)
    try:
        # The content that was checked, and not the path: the file could be exchanged in between.
        session = start_session(network, threads=threads, providers=providers)
    except Exception as error:  # ONNX Runtime has no public base class for its errors
        raise ModelError(
            f"{path.name}: not a network ONNX Runtime can load ({type(error).__name__})."
        ) from error
    there = {output.name for output in session.get_outputs()}
    if not there >= set(card.outputs) or len(session.get_inputs()) != 1:
        raise _mismatch(path, f"has the outputs {', '.join(sorted(there))} and {len(session.get_inputs())} inputs",
                        f"{', '.join(card.outputs)} and one input")  # fmt: skip
    _check_answer(card, path, session)
    return session


def _check_answer(card: ModelCard, path: Path, session: Any) -> None:
    images = np.full((_N_IMAGES, card.input_size, card.input_size, card.channels), _GRAY, np.uint8)
    try:
        answers = session.run(list(card.outputs), {session.get_inputs()[0].name: images})
    except Exception as error:
        size = f"{card.input_size}x{card.input_size}x{card.channels}"
        raise _mismatch(
            path, f"does not take images of {size} ({type(error).__name__})", "that size"
        ) from error
    for head, answer in zip(card.outputs, answers, strict=True):
        wanted = (_N_IMAGES, 1 if head == OCCLUSION_HEAD else len(card.labels))
        if np.shape(answer) != wanted or np.asarray(answer).dtype != np.float32:
            raise _mismatch(
                path, f"{head} is {np.asarray(answer).dtype} {np.shape(answer)}", f"float32 {wanted}"
            )
        if not np.isfinite(answer).all():
            raise ModelError(f"{path.name}: its answer to a gray image is not finite. Restore the file.")


def _mismatch(path: Path, found: str, wanted: str) -> ModelError:
    return ModelError(
        f"{path.name}: {found}, but its card wants {wanted}. Restore the card that belongs to it."
    )
