"""Pages for people, made from the tables on disk and from nothing else.

    refresh(out)                           # every page that is stale
    write_session_report(out, video_id)    # reports/<video_id>.html
    write_index(out)                       # index.html

All may be called at any time; the same inputs give the same bytes.
"""

from ferflow.dashboards.overview.index import write_index
from ferflow.dashboards.overview.lists import find_problems_of_names
from ferflow.dashboards.refresh import (
    last_options,
    load_names,
    refresh,
    refresh_session,
    remove_overview,
    remove_stale_overview,
    remove_stale_page,
    save_options,
)
from ferflow.dashboards.session_report.page import write_session_report
from ferflow.dashboards.shared.page import ensure_assets
from ferflow.dashboards.shared.settings import PageOptions

__all__ = [
    "PageOptions",
    "ensure_assets",
    "find_problems_of_names",
    "last_options",
    "load_names",
    "refresh",
    "refresh_session",
    "remove_overview",
    "remove_stale_overview",
    "remove_stale_page",
    "save_options",
    "write_index",
    "write_session_report",
]
