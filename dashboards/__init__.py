"""How results are seen: pages for people, made from the tables on disk and from nothing else.

    refresh(out)                           # every page whose inputs changed
    write_session_report(out, video_id)    # reports/<video_id>.html
    write_index(out)                       # index.html

They may be called again at any time; the same tables give the same bytes.
"""

from .index import write_index
from .page import ensure_assets, write_session_report
from .refresh import last_options, refresh, refresh_session
from .settings import PageOptions

__all__ = [
    "PageOptions",
    "ensure_assets",
    "last_options",
    "refresh",
    "refresh_session",
    "write_index",
    "write_session_report",
]
