"""Who is refused: other sites, other names of this machine, those without the token, paths that lead elsewhere."""

from __future__ import annotations

import hmac

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ferflow.app import guard
from ferflow.app.application import make_app
from ferflow.app.settings import AppSettings
from ferflow.errors import OptionsError
from tests.command import Command

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:80"},
        {"host": "127.0.0.1:81"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example:80"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "192.168.1.7"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:81"},
        {"origin": "http://localhost"},
        {"origin": "https://127.0.0.1:80"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_of_other_sites_and_for_other_hosts_are_refused(api, headers, method):
    answer = api.request(method, "/api/jobs", headers=headers)
    assert answer.status_code == 403
    assert answer.json().keys() == {"error"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:80"},
        {"host": "[::1]:80"},
        {"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_requests_of_its_own_pages_of_programs_and_of_links_pass(api, headers):
    assert api.get("/api/jobs", headers=headers).status_code == 200


def test_a_link_of_another_site_changes_nothing(api):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert api.post("/api/jobs", headers=link).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"origin": "null"}]
)
def test_a_websocket_of_another_site_is_refused(api, headers):
    with (
        pytest.raises(WebSocketDisconnect),
        api.websocket_connect("ws://127.0.0.1/api/webcam", headers=headers),
    ):
        pass


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    settings = AppSettings(out=tmp_path_factory.mktemp("locked") / "out", port=80, token=TOKEN)
    with TestClient(make_app(settings), base_url="http://127.0.0.1:80", follow_redirects=False) as client:
        yield client


def test_without_the_token_nothing_is_answered(locked):
    locked.cookies.clear()
    for path in ("/", "/api/jobs", "/static/app.css", "/folder/index.html", "/api/openapi.json"):
        assert locked.get(path).status_code == 401
        assert locked.get(path, params={"token": TOKEN[:-1]}).status_code == 401
    assert locked.get("/api/jobs", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert locked.get("/api/jobs", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401
    assert locked.get("/api/jobs", headers={"cookie": b"ferflow-token-80=\xff"}).status_code == 401
    with pytest.raises(WebSocketDisconnect), locked.websocket_connect("ws://127.0.0.1/api/webcam"):
        pass


def test_the_token_is_taken_as_bearer_or_moves_from_the_address_to_a_cookie(locked):
    locked.cookies.clear()
    assert locked.get("/api/jobs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    first = locked.get("/jobs", params={"token": TOKEN, "a": "b"})
    assert first.status_code == 303
    assert first.headers["location"] == "/jobs?a=b"
    assert "httponly" in first.headers["set-cookie"].lower()
    assert "samesite=lax" in first.headers["set-cookie"].lower()
    assert locked.get("/jobs").status_code == 200
    assert locked.get("//evil.example", params={"token": TOKEN}).headers["location"] == "/"


def test_reports_are_read_below_a_key_that_opens_nothing_else(locked):
    out = locked.app.app.state.jobs.out
    (out / "assets").mkdir(parents=True, exist_ok=True)
    (out / "assets" / "plotly.min.js").write_text("1")
    (out / "index.html").write_text("<p>overview</p>")
    locked.cookies.clear()
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert locked.get("/folder/index.html").status_code == 401
    moved = locked.get("/folder/index.html", headers=bearer)
    assert moved.status_code == 303
    place = moved.headers["location"].removesuffix("index.html")
    assert locked.app.folder_key in place
    page = locked.get(f"{place}index.html")
    assert page.text == "<p>overview</p>"
    assert "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert locked.get(f"{place}assets/plotly.min.js").status_code == 200
    for path in (
        f"{place}../api/jobs",
        f"{place}..%2f..%2fapi%2fjobs",
        f"{place}run.json",
        f"{place}%2fetc%2fpasswd",
    ):
        assert locked.get(path).status_code in (401, 404)
    assert locked.post(f"{place}index.html").status_code == 401
    wrong = place.replace(locked.app.folder_key, "x" * len(locked.app.folder_key))
    assert locked.get(f"{wrong}index.html").status_code == 401
    evil = {"host": "evil.example"}
    assert locked.get(f"{place}index.html", headers=evil).status_code == 403


def test_the_token_is_compared_in_constant_time(locked, monkeypatch):
    compared, compare = [], hmac.compare_digest

    def note(given: bytes, token: bytes) -> bool:
        compared.append((given, token))
        return compare(given, token)

    monkeypatch.setattr(guard.hmac, "compare_digest", note)
    locked.cookies.clear()
    locked.get("/", params={"token": "guess"}, headers={"authorization": "Bearer other"})
    key = f"~{locked.app.folder_key}".encode()
    assert compared == [(b"", key), (b"guess", TOKEN.encode()), (b"other", TOKEN.encode())]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_another_host_than_loopback_needs_a_token_and_says_why(host, monkeypatch, capfd):
    done = Command(monkeypatch, capfd)("app", "--host", host, "--no-browser", "--port", "0")
    assert done.code == 2
    assert "reached from other machines" in done.text
    AppSettings(host=host, token=TOKEN)


@pytest.mark.parametrize("token", ["", "short", "a" * 15, "ü" * 20])
def test_a_token_that_can_be_guessed_is_refused(token):
    with pytest.raises(OptionsError, match="at least 16"):
        AppSettings(token=token)


ELSEWHERE = [
    "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "reports/../../secret.txt", "reports/..%2f..%2fsecret.txt",
    "/etc/passwd", "%2fetc%2fpasswd", "reports/x.html/../../../secret.txt", "reports\\..\\..\\secret.txt",
    "index.html%00.txt", "reports/%00.html", ".ferflow.lock", "run.json", "uploads/x/y.mp4", "faces/a.parquet",
    "link.html", "reports/link.html", "linked/x.html",
]  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("place", ["/folder/{}", "/static/{}", "/static/swagger/{}", "/folder/source/{}"])
def test_no_path_leads_out_of_what_is_served(api, name, place):
    out = api.app.app.state.jobs.out
    (out / "reports").mkdir(parents=True, exist_ok=True)
    (secret := out.parent / "secret.txt").write_text("SECRET")
    for link in (out / "link.html", out / "reports" / "link.html"):
        if not link.is_symlink():
            link.symlink_to(secret)
    answer = api.get(place.format(name))
    assert "SECRET" not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code in (400, 403, 404) or answer.url.path in ("/", "/folder/index.html")


@pytest.mark.parametrize(
    "video_id", ["..", "..%2f..%2fsecret", "%2e%2e", "a%00b", "x" * 3000, "%2fetc%2fpasswd"]
)
@pytest.mark.parametrize("table", ["faces", "..%2ffaces", "faces%00"])
def test_no_id_leads_to_another_table(api, video_id, table):
    assert api.get(f"/api/videos/{video_id}/tables/{table}").status_code in (400, 404)


def test_pages_forbid_everything_from_elsewhere(api):
    for path in ("/", "/jobs", "/webcam"):
        policy = api.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
