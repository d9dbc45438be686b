"""The web application while a client uploads videos, edits lists, codes, sets a marker and looks at pages."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.faults.cases import Case

_SECONDS = 30.0
"""For an answer, and for an analysis."""
_SECONDS_TO_END = 3.0
"""For a server that did not answer because it ends."""

Edit = dict[str, object]


class AppCase(Case):
    """`ferflow app` on a folder of finished videos, until a client has asked for all that it wants."""

    _wrong: list[str]

    def run(self, fault: str | None = None, at: int = 0) -> dict:
        """Serve, and ask; at the end the server gets SIGTERM."""
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        client = Client(fault, self._videos.parent / "d.mp4")

        def meanwhile(pid: int, output: Path) -> None:
            client.pid = pid
            if address := _wait_for_address(client, output):
                with httpx.Client(base_url=address, timeout=_SECONDS) as client.http:
                    client.ask_for_all()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

        ended = self._run(self.argv, self._folder, fault, at, temporary=temporary, meanwhile=meanwhile)
        self._wrong = client.wrong
        if client.has_lost_server and fault not in ("kill", "term") and ended["code"] == 0:
            self._wrong.append("the server ended before it was asked to, and with exit code 0")
        return ended

    def check_answers(self) -> str:
        """Without a fault all was done; with one, what was refused says why, and that the server is at fault."""
        return "; ".join(self._wrong)

    def contents(self) -> dict[str, object]:
        """With the folder of an upload, whose name is random, under one name."""
        return {
            re.sub("uploads/[0-9a-f]{16}", "uploads/job", name): content
            for name, content in super().contents().items()
        }


def _wait_for_address(client: Client, output: Path) -> str | None:
    """What a server prints first; None: it has ended before."""
    end_s = time.monotonic() + _SECONDS
    while time.monotonic() < end_s:
        first, is_whole, _ = (output.read_text() if output.exists() else "").partition("\n")
        if is_whole and first.startswith("http://"):
            return first
        if not client.server_lives():
            return None
        time.sleep(0.01)
    raise TimeoutError(output.read_text())


@dataclass
class Client:
    """Asks for what is not there yet; notes what is wrong with the answers."""

    fault: str | None
    video: Path
    wrong: list[str] = field(default_factory=list)
    has_lost_server: bool = False
    pid: int = 0
    http: httpx.Client = field(init=False)

    def ask_for_all(self) -> None:
        """Upload and analyse, edit, look at pages and tables; each is left out where the server refuses it."""
        jobs = self._list_jobs()
        for job in jobs:  # those that an earlier server has left
            if job["name"] == "e.mp4":
                self._cancel(job["id"])
        ids = self._find_ids()
        if not any(job["name"] == "d.mp4" for job in jobs) and "d" not in ids:
            jobs = self._upload()
        for job in jobs:
            if job["name"] == "d.mp4":
                self._follow(job["id"])
        ids = self._find_ids()
        if "a" in ids:
            self._edit_lists(ids["a"])
            self._look(ids["a"])
        if "d" in ids:
            mark = {"edit": "mark", "time_s": 0.2, "label": "start"}
            self._edit(ids["d"], lambda state: state["markers"], mark)
        if self.ask("GET", "/api/jobs") is None and self.fault is None:
            self.wrong.append("the server does not answer at the end")

    def _list_jobs(self) -> list[dict]:
        return self.ask("GET", "/api/jobs") or []

    def _find_ids(self) -> dict[str, str]:
        """Ids of finished videos by the first letter of their names."""
        return {video_id[0]: video_id for video_id in self.ask("GET", "/api/videos") or []}

    def _upload(self) -> list[dict]:
        """A video, and behind it another one, which is cancelled."""
        found = []
        for name in ("d.mp4", "e.mp4"):
            with self.video.open("rb") as file:
                job = self.ask("POST", "/api/jobs", files={"video": (name, file)})
            if job is not None and name == "e.mp4":
                self._cancel(job["id"])
            elif job is not None:
                found.append(job)
        return found

    def _cancel(self, job_id: str) -> None:
        job = self.ask("DELETE", f"/api/jobs/{job_id}")
        if job is not None and job["state"] != "cancelled" and self.fault is None:
            self.wrong.append(f"cancelled, but {job['state']}")

    def _follow(self, job_id: str) -> None:
        end_s = time.monotonic() + _SECONDS
        while (job := self.ask("GET", f"/api/jobs/{job_id}")) is not None:
            if job["state"] in ("done", "failed", "cancelled"):
                break
            if time.monotonic() > end_s:
                self.wrong.append(f"a job did not end: {job}")
                return
            time.sleep(0.02)
        if job is not None and job["state"] != "done" and self.fault is None:
            self.wrong.append(f"a job ended badly: {job}")

    def _edit_lists(self, video_id: str) -> None:
        def has_name(state: dict) -> bool:
            return any(person["name"].startswith("Ada") for person in state["persons"])

        def has_correction(state: dict) -> bool:
            return any(row["note"] == "late" for row in state["corrections"])

        self._edit(video_id, has_name, {"edit": "name", "persons": [1], "name": "Ada"})
        late = {
            "edit": "correct",
            "action": "exclude",
            "start": "0",
            "end": "0.2",
            "person": "Ada",
            "note": "late",
        }
        self._edit(video_id, has_correction, late)
        # Of both lists.
        named = {"edit": "name", "persons": [1], "name": "Ada B"}
        self._edit(video_id, lambda state: "Ada B" in [one["name"] for one in state["persons"]], named)
        first, second = (
            {"edit": "code", "coder": "MK", "start": start, "end": end, "label": "happy"}
            for start, end in (("0", "0.2"), ("0.3", "0.4"))
        )
        self._edit(video_id, lambda state: _find_coding(state, "0"), first)
        self._edit(video_id, lambda state: _find_coding(state, "0.3"), second)
        self._take_back(video_id)

    def _take_back(self, video_id: str) -> None:
        """Undo the second coding; where a server that does not know of it runs, remove it."""
        state = self._show(video_id)
        row = _find_coding(state, "0.3") if state is not None else None
        if row is None:
            return
        if state["n_undo"]:
            self.ask("POST", f"/api/videos/{video_id}/undo")
        else:
            removed = {"edit": "uncode", "coder": "MK", "line": row["line"]}
            self._edit(video_id, lambda state: not _find_coding(state, "0.3"), removed)

    def _show(self, video_id: str) -> dict | None:
        return self.ask("GET", f"/api/videos/{video_id}/edit")

    def _edit(self, video_id: str, is_done: Callable[[dict], object], edit: Edit) -> None:
        state = self._show(video_id)
        if state is not None and not is_done(state):
            self.ask("POST", f"/api/videos/{video_id}/edits", json={**edit, "version": state["version"]})

    def _look(self, video_id: str) -> None:
        for path in (
            "/",
            f"/edit/{video_id}",
            "/folder/index.html",
            f"/folder/reports/{video_id}.html",
            f"/folder/source/{video_id}",
            f"/api/videos/{video_id}/tables/faces",
            f"/api/videos/{video_id}/tables/frames?format=parquet",
            f"/api/videos/{video_id}/thumbnails/person/1",
        ):
            self.ask("GET", path)

    def ask(self, method: str, path: str, **sent: object) -> object:
        """The JSON of an answer, or nothing; other answers are empty objects."""
        if self.has_lost_server:
            return None
        try:
            answer = self.http.request(method, path, **sent)
        except httpx.TransportError as error:
            self._note_silence(f"{method} {path}: {error!r}")
            return None
        if answer.status_code >= 400:
            self._note_refusal(f"{method} {path}: {answer.status_code} {answer.text}", answer)
            return None
        return answer.json() if answer.headers["content-type"] == "application/json" else {}

    def _note_silence(self, what: str) -> None:
        end_s = time.monotonic() + _SECONDS_TO_END
        while self.server_lives() and time.monotonic() < end_s:
            time.sleep(0.01)
        self.has_lost_server = not self.server_lives()
        # One that cannot even start has no answer.
        if not self.has_lost_server or self.fault in (None, "stop", "clock"):
            self.wrong.append(what)

    def _note_refusal(self, what: str, answer: httpx.Response) -> None:
        is_said = answer.headers["content-type"] == "application/json" and bool(answer.json()["error"])
        is_fault = answer.status_code >= 500 and "unexpected" not in answer.text
        if self.fault not in ("full", "eio", "memory") or not is_said or not is_fault:
            self.wrong.append(what)

    def server_lives(self) -> bool:
        """Whether its process has not ended."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _find_coding(state: dict, start: str) -> dict | None:
    return next((row for row in state["codings"] if row["start"] == start), None)
