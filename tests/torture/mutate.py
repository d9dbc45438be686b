"""Changes that damage, mistakes and malice make to files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ODD = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
_TOKENS = [
    b"nan",
    b"-inf",
    b"1e999",
    b"9" * 400,
    b"[" * 2000,
    b'{"a":' * 500,
    b"\0",
    b"\xff\xfe",
    b"\n",
    b'"',
    b"'",
    b"true",
    b"null",
    b"-1",
    b"{}",
    b"[]",
    b"moov",
    b"mdat",
    b"RIFF",
    b"../",
    b"\xe2\x80\xae",
    "٣".encode(),
    b"f",
    b":",
    b".",
]


def mutated(content: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """One to six changes of random kinds at random places."""
    result = bytearray(content)
    for _ in range(int(rng.integers(1, 7))):
        at = int(rng.integers(len(result) + 1))
        length = int(rng.integers(1, max(len(result) // 4, 2)))
        part = slice(at, at + length)
        match int(rng.integers(8)):
            case 0:
                result[at : at + 1] = bytes(byte ^ 1 << int(rng.integers(8)) for byte in result[at : at + 1])
            case 1:
                result[at : at + 1] = rng.bytes(1)
            case 2:
                result[at : at + 4] = int(rng.choice(_ODD)).to_bytes(4, rng.choice(["big", "little"]))
            case 3:
                del result[part]
            case 4:
                result[at:at] = result[part]
            case 5:
                result[part] = bytes(len(result[part]))
            case 6:
                result[at:at] = _TOKENS[int(rng.integers(len(_TOKENS)))]
            case 7:
                result[part] = _piece(others[int(rng.integers(len(others)))], length, rng)
    return bytes(result)


def _piece(content: bytes, length: int, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(content) + 1))
    return content[start : start + length]
