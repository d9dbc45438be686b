"""What a child process is forbidden before its program starts; for `preexec_fn`."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# The number of the `socket` call and the audit name of the machine.
_SOCKET = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
KNOWN = platform.system() == "Linux" and platform.machine() in _SOCKET

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_AF_INET, _AF_INET6 = 2, 10


def without_network() -> None:
    """Whoever opens an Internet socket from here on dies at once by SIGSYS, native code included."""
    call, machine = _SOCKET[platform.machine()]
    program = b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (_LOAD, 0, 0, 4),
            (_EQUAL, 0, 6, machine),
            (_LOAD, 0, 0, 0),
            (_EQUAL, 0, 4, call),
            (_LOAD, 0, 0, 16),
            (_EQUAL, 1, 0, _AF_INET),
            (_EQUAL, 0, 1, _AF_INET6),
            (_RETURN, 0, 0, _KILL),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    lines = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, and after padding the address.
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(lines)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(head), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def a_users_environment() -> dict[str, str]:
    """This one without what the tests have set, and without what quiets reports to others on build machines."""
    quiet = {
        "ORT_DISABLE_TELEMETRY",
        "ORT_RUNNING_UNIT_TESTS",
        "RAY_USAGE_STATS_ENABLED",
        "CI",
        "TF_BUILD",
        "GITHUB_ACTIONS",
    }
    return {name: value for name, value in os.environ.items() if name not in quiet}


def like_anybody_else() -> None:
    """Root is barred as others are: it gives up CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):
        if libc.prctl(24, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
