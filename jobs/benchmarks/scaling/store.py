"""A store of videos whose bandwidth machines share, as a resource of SimPy, which has none with shared rates.

Every machine that reads gets the same rate: an equal part of the store's bandwidth, and at most that of its own
network. Workers of one machine read one after the other, so that at most one transfer per machine is active and all
active ones have the same rate. Then one clock of bytes, "served to each active transfer so far", tells when each ends,
and a change of the rate moves no transfer: a million of them cost the logarithm of the active ones each.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import simpy

_EPSILON_S = 1e-6
"""Transfers that end within this time of a timer end with it: what rounding leaves of them never would."""


@dataclass(slots=True, eq=False)
class Transfer:
    """Bytes on their way to a machine."""

    node: int
    n_bytes: float
    done: simpy.Event
    ends_at: float = 0.0
    """On the clock of bytes; once it is active."""
    is_cancelled: bool = False


@dataclass(slots=True)
class _Node:
    active: Transfer | None = None
    waiting: deque[Transfer] = field(default_factory=deque)


class SharedStore:
    """Bandwidth, shared equally by the machines that read."""

    def __init__(
        self, env: simpy.Environment, *, store_bytes_per_s: float, node_bytes_per_s: float, n_nodes: int
    ) -> None:
        self._env = env
        self._store_bytes_per_s, self._node_bytes_per_s = store_bytes_per_s, node_bytes_per_s
        self._nodes = [_Node() for _ in range(n_nodes)]
        self._n_active = 0
        self._served, self._since_s = 0.0, 0.0
        self._heap: list[tuple[float, int, Transfer]] = []
        self._n_begun = 0
        self._timer_at_s = float("inf")

    def read(self, node: int, n_bytes: float) -> Transfer:
        """Begin a transfer, or queue it behind those of its machine; its event `done` says when it has ended."""
        transfer = Transfer(node, n_bytes, self._env.event())
        self._nodes[node].waiting.append(transfer)
        self._begin_next(node)
        self._set_timer()
        return transfer

    def cancel(self, transfer: Transfer) -> None:
        """Give a transfer up; what it has read is lost, and the next of its machine begins."""
        if transfer.done.triggered:
            return
        node = self._nodes[transfer.node]
        transfer.is_cancelled = True
        if node.active is transfer:
            self._end(transfer)
            self._set_timer()
        else:
            node.waiting.remove(transfer)

    def _begin_next(self, number: int) -> None:
        node = self._nodes[number]
        if node.active is None and node.waiting:
            self._advance()
            transfer = node.active = node.waiting.popleft()
            self._n_active += 1
            self._n_begun += 1
            transfer.ends_at = self._served + transfer.n_bytes
            heapq.heappush(self._heap, (transfer.ends_at, self._n_begun, transfer))

    def _end(self, transfer: Transfer) -> None:
        self._advance()
        self._nodes[transfer.node].active = None
        self._n_active -= 1
        self._begin_next(transfer.node)

    def _rate(self) -> float:
        """Bytes per second of each active transfer."""
        return min(self._node_bytes_per_s, self._store_bytes_per_s / max(self._n_active, 1))

    def _advance(self) -> None:
        """Bring the clock of bytes to now; before the number of active transfers changes."""
        now_s = self._env.now
        self._served += self._rate() * (now_s - self._since_s)
        self._since_s = now_s

    def _set_timer(self) -> None:
        """Wake up when the first transfer ends; an earlier timer that is set will set the next one."""
        while self._heap and self._heap[0][2].is_cancelled:
            heapq.heappop(self._heap)
        if self._heap:
            self._advance()
            wait_s = max(0.0, (self._heap[0][0] - self._served) / self._rate())
            if self._env.now + wait_s < self._timer_at_s:
                self._timer_at_s = self._env.now + wait_s
                timer = self._env.timeout(wait_s)
                timer.callbacks.append(self._on_timer)

    def _on_timer(self, _: simpy.Event) -> None:
        if self._env.now < self._timer_at_s:
            return  # a later one was replaced by one that is set for an earlier time
        self._timer_at_s = float("inf")
        self._advance()
        while self._heap and (
            self._heap[0][2].is_cancelled or self._heap[0][0] <= self._served + self._rate() * _EPSILON_S
        ):
            transfer = heapq.heappop(self._heap)[2]
            if not transfer.is_cancelled:
                self._end(transfer)
                transfer.done.succeed()
        self._set_timer()
