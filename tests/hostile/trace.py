"""Which addresses a command and its children try to reach, seen from outside: by strace, where there is one."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture import cage

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(STRACE is None, reason="strace is not installed")

_CALLS = "connect,sendto,sendmsg,sendmmsg"
_ADDRESS = re.compile(r'sa_family=AF_INET6?,.*?htons\((\d+)\).*?"([0-9a-fA-F:.]+)"')


@dataclass(frozen=True)
class Traced:
    """A command that has ended, and the addresses outside this machine's loopback that it tried to reach."""

    returncode: int
    output: str
    reached: frozenset[tuple[str, int]]
    """Address and port, also of attempts that failed, and of datagram sockets that sent nothing."""
    on_loopback: frozenset[tuple[str, int]] = frozenset()
    """The same of this machine's own addresses."""


def trace_command(command: Sequence[str | Path], log: Path, *, seconds: float = 250) -> Traced:
    """Run a command and follow it and all its children. Unix and netlink sockets are not reported."""
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={_CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*strace, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=cage.a_users_environment(),
    )
    text = log.read_text(errors="replace")
    return Traced(
        done.returncode, done.stdout + done.stderr, read_log(text), read_addresses(text) - read_log(text)
    )


def trace_ferflow(arguments: Sequence[str | Path], log: Path) -> Traced:
    return trace_command([sys.executable, "-m", "ferflow", *arguments], log)


def read_log(text: str) -> frozenset[tuple[str, int]]:
    """Addresses of a log, without those of this machine."""
    return frozenset((address, port) for address, port in read_addresses(text) if not _is_loopback(address))


def read_addresses(text: str) -> frozenset[tuple[str, int]]:
    """All addresses of a log."""
    return frozenset((match[2], int(match[1])) for match in map(_ADDRESS.search, text.splitlines()) if match)


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
