"""The process of one job: a run whose events go to the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from ferflow.app.expected_errors import describe_error
from ferflow.errors import FerflowError, RecordsError
from ferflow.jobs.job import Job
from ferflow.text import sanitize
from ferflow.types import JsonObject

JOB_FAILED = "failed"


def work(connection: Connection, job: Job) -> None:
    """Carry out a job; each event is sent as `progress.event_to_json` writes it."""
    from ferflow.jobs.progress import event_to_json
    from ferflow.jobs.run import run_events

    try:
        logging.getLogger("ferflow").addHandler(_Sender(connection, _list_names(job)))
        for event in run_events(job):
            connection.send(event_to_json(event))
    except (RecordsError, OSError, MemoryError) as error:
        # The video is not at fault: another run may be writing there, of this very video, or the disk may be full.
        connection.send({**_failure(describe_error(error)), "keeps_upload": True})
    except FerflowError as error:
        connection.send(_failure(str(error)))
    except Exception as error:
        connection.send(_failure(f"unexpected {type(error).__name__}: {error}"))


def _list_names(job: Job) -> list[str]:
    """By which messages name the inputs."""
    from ferflow.media.inputs import video_id_of

    paths = [Path(path) for path in job.inputs]
    return [sanitize(name) for path in paths for name in (path.name, video_id_of(path))]


def _failure(message: str) -> JsonObject:
    return {"event": JOB_FAILED, "message": message}


class _Sender(logging.Handler):
    """Sends warnings about the input as events; a run also warns of the other videos and lists of its folder."""

    def __init__(self, connection: Connection, names: Iterable[str]) -> None:
        super().__init__(logging.WARNING)
        self._connection = connection
        self._names = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        message = record.getMessage()
        if self._names.search(message):
            self._connection.send({"event": "log", "message": message})
