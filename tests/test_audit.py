"""The audit in CI: it finds what there is to find, and a network that is away does not fail the build."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit"

pytest.importorskip("pip_audit", reason="needs pip-audit")


class Vulnerabilities(BaseHTTPRequestHandler):
    """Answers as OSV does: `leaky` 1.0 has a hole that 1.1 mends, `hopeless` has one that nothing mends."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        events = [{"introduced": "0"}, *([{"fixed": "1.1"}] if name == "leaky" else [])]
        ranges = [{"type": "ECOSYSTEM", "events": events}]
        found = {
            "id": f"PYSEC-{name}", "modified": "2026-01-01T00:00:00Z", "summary": "a hole", "details": "a hole",
            "affected": [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": ranges, "versions": ["1.0"]}],
        }  # fmt: skip
        body = json.dumps({"vulns": [found]} if name in ("leaky", "hopeless") else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vulnerabilities)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def audit(tmp_path: Path, pins: str, url: str) -> subprocess.CompletedProcess[str]:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(pins)
    options = ["-s", "osv", "--osv-url", url, "--cache-dir", str(tmp_path / "cache"), "--timeout", "5"]
    command = [sys.executable, str(AUDIT), str(constraints), "--", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_hole_that_a_newer_version_mends_fails_the_audit(tmp_path, service):
    done = audit(tmp_path, "leaky==1.0\nsound==1.0\nhopeless==1.0\n", service)
    assert done.returncode == 1, done.stderr
    assert "leaky 1.0: PYSEC-leaky, mended in 1.1" in done.stdout
    assert "hopeless 1.0: PYSEC-hopeless, mended in no version" in done.stdout
    assert "3 packages looked up, 1 vulnerabilities" in done.stdout


def test_what_nobody_has_mended_is_told_and_does_not_fail(tmp_path, service):
    done = audit(tmp_path, "hopeless==1.0\nsound==1.0\n", service)
    assert done.returncode == 0, done.stderr
    assert "PYSEC-hopeless" in done.stdout


def test_a_service_that_is_away_is_said_and_does_not_fail(tmp_path):
    done = audit(tmp_path, "leaky==1.0\n", "http://127.0.0.1:9/")
    assert done.returncode == 0
    assert "NOT DONE" in done.stdout
    assert "looked up" not in done.stdout


def test_ci_runs_it_over_what_is_pinned():
    assert ".ci/audit" in (AUDIT.parent / "run").read_text(encoding="utf-8")
    assert 'parents[1] / "constraints.txt"' in AUDIT.read_text(encoding="utf-8")
