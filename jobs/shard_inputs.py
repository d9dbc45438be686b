"""Which inputs belong to a shard: a process that analyses a part of a run's inputs, on any machine that shares a disk.

>>> choose_inputs(Shard.parse("3/64"), discover(["/videos"], out=Path("/results"))).inputs
[...]

Every shard lists all inputs and selects its own by their names and sizes, so that shards need not communicate. A shard
writes the tables of its videos and a manifest (`store.shard_manifest`), and `jobs.merge` joins the manifests.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from ferflow.jobs.shard import Shard
from ferflow.media.inputs import DiscoveredInput, size_of
from ferflow.store.object_store import source_text
from ferflow.store.shard_manifest import InputsDigest


@dataclass(frozen=True, slots=True)
class ShardInputs:
    """The inputs of one shard."""

    inputs: list[DiscoveredInput]
    """In the order of all inputs."""
    places: list[int]
    """Place of each among all inputs, from 0."""
    all_inputs: InputsDigest


def choose_inputs(shard: Shard, inputs: Sequence[DiscoveredInput]) -> ShardInputs:
    """Select the inputs of one shard.

    The largest input goes to the shard with the fewest bytes so far, and so on (LPT rule, Graham, 1969): no shard
    has more than 4/3 of the bytes of the best assignment. Inputs of one name and size stay together, since
    the ids of copies depend on one another (`media.inputs.video_id_of`).
    """
    sizes = [_size_of(found) for found in inputs]
    groups: dict[tuple[str, int], list[int]] = {}
    for place, (found, size) in enumerate(zip(inputs, sizes, strict=True)):
        groups.setdefault((found.path.name, size), []).append(place)
    shards = [(0, 0, number) for number in range(1, shard.count + 1)]  # bytes, inputs, number: a heap
    chosen: list[int] = []
    for key in sorted(groups, key=lambda key: (-key[1] * len(groups[key]), key)):
        n_bytes, n_inputs, number = shards[0]
        places = groups[key]
        heapq.heapreplace(shards, (n_bytes + key[1] * len(places), n_inputs + len(places), number))
        chosen += places if number == shard.number else ()
    chosen.sort()
    return ShardInputs([inputs[place] for place in chosen], chosen, _digest_inputs(inputs, sizes))


def _size_of(found: DiscoveredInput) -> int:
    if found.problem is not None:
        return 0
    return size_of(found.path) if found.size is None else found.size


def _digest_inputs(inputs: Sequence[DiscoveredInput], sizes: Sequence[int]) -> InputsDigest:
    digest = hashlib.sha256()
    for found, size in zip(inputs, sizes, strict=True):
        digest.update(f"{source_text(found.path)!r} {size}\n".encode())
    return InputsDigest(n_inputs=len(inputs), sha256=digest.hexdigest())
