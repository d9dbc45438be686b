"""What may be chosen about the application, checked before it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from ferflow.errors import OptionsError
from ferflow.options import AnalyzeOptions

DEFAULT_PORT = 8417
LEAST_TOKEN = 16
"""Characters of a token: 16 random letters cannot be guessed by asking."""

MOST_PICTURE_BYTES = 64 << 20
MOST_VIDEO_BYTES = 64 << 30
MOST_OTHER_BYTES = 1 << 20
"""Of the body of a request that is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """Where the application listens, and what it works on."""

    out: Path | None = None
    """Output folder that is shown, and that videos are analysed into; None: a temporary one."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any free one."""
    token: str | None = None
    """Requests without it are refused; None: no token is needed."""
    options: AnalyzeOptions = field(default_factory=AnalyzeOptions)
    """How pictures and videos are analysed."""

    def __post_init__(self) -> None:
        """Refuse what would let strangers in.

        Raises:
            OptionsError: a host that others reach, without a token; a token that can be guessed.
        """
        if self.token is None and not is_loopback(self.host):
            raise OptionsError(
                f"--host {self.host} is reached from other machines, and everybody who reaches the application sees "
                "pictures and reports and can upload files. Give --token TEXT as well, or leave out --host."
            )
        if self.token is not None and (len(self.token) < LEAST_TOKEN or not self.token.isascii()):
            raise OptionsError(f"--token must have at least {LEAST_TOKEN} ASCII characters.")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, which other machines cannot reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
