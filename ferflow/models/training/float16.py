"""Weights in half the bytes: stored as float16, used as float32.

    round_to_float16(model)              # once, so that all runtimes get the same weights
    save_compact(model, Path("resnet-broad.weights.h5"))
    halve_kernels(Path("float32.onnx"), Path("resnet-broad.onnx"))

Shipped networks stay in a package and a repository forever, so their size matters. float16 keeps eleven bits of each
weight, more than int8, and no label depends on the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ferflow.models.keras_network import KerasModel
from ferflow.store.atomic_files import atomic_write

LEAST_SIZE = 1024
"""Smaller constants stay float32: they need little space, and some are counts or lower bounds."""


def round_to_float16(model: KerasModel) -> KerasModel:
    """Round every weight of a network to a float16 value, and return the network."""
    model.set_weights([weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()])
    return model


def save_compact(model: KerasModel, path: Path) -> None:
    """Write Keras weights compressed: half of the bits of rounded weights are zero."""
    import h5py

    part = path.with_name("part-" + path.name)  # Keras requires the file extension
    model.save_weights(part)
    try:
        with h5py.File(part) as source, atomic_write(path) as target, h5py.File(target, "w") as compact:
            source.visititems(lambda name, item: _copy_item(compact, name, item))
    finally:
        part.unlink(missing_ok=True)


def halve_kernels(source: Path, target: Path) -> None:
    """Write an ONNX network with float16 convolution kernels that are cast to float32 when it is loaded."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    for weight in model.graph.initializer:
        if (
            weight.data_type != TensorProto.FLOAT
            or len(weight.dims) != 4
            or np.prod(weight.dims) < LEAST_SIZE
        ):
            continue
        # First in the graph: ONNX requires nodes in the order in which they are computed.
        name, kept = weight.name, f"{weight.name}/half"
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), kept))
        model.graph.node.insert(0, helper.make_node("Cast", [kept], [name], name=name, to=TensorProto.FLOAT))
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(target) as part:
        onnx.save_model(model, str(part))


def _copy_item(compact: Any, name: str, item: Any) -> None:
    """Copy one group or dataset of an HDF5 file, with its attributes."""
    if hasattr(item, "shape"):
        packed = {"compression": "gzip", "shuffle": True} if item.size >= LEAST_SIZE else {}
        copy = compact.create_dataset(name, data=item[...], **packed)
    else:
        copy = compact.require_group(name)
    for key, value in item.attrs.items():
        copy.attrs[key] = value
