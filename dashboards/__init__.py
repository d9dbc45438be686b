"""How results are seen: pages for people, made from the tables on disk and from nothing else.

    write_session_report(out, video_id)    # reports/<video_id>.html
    write_index(out)                       # index.html

Both may be called again at any time; the same tables give the same bytes.
"""

from .index import write_index
from .page import ensure_assets, write_session_report

__all__ = ["ensure_assets", "write_index", "write_session_report"]
