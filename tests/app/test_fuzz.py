"""Requests made at random, by the description of the API and apart from it: no answer is a 500."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.conftest import jpeg, make_edited, undo_all, write_numbered
from tests.conftest import portrait

schemathesis = pytest.importorskip("schemathesis")

_QUICK, _SLOW, _SLOW_EDITS = 250, 10_000, 1_000
_SETTINGS = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
_PATHS = [
    "/api/predict", "/api/activation", "/api/picture", "/api/jobs", "/api/jobs/{}", "/api/jobs/{}/events",
    "/api/jobs/{}/tables/{}", "/api/videos", "/api/videos/{}/tables/{}",
    "/api/videos/{}/edit", "/api/videos/{}/edits", "/api/videos/{}/undo", "/api/videos/{}/edit/status",
    "/api/videos/{}/thumbnails/person/{}", "/api/videos/{}/thumbnails/{}/1", "/api/videos/{}/frame",
    "/edit", "/edit/{}", "/folder/{}", "/folder/source/{}",
    "/static/{}", "/static/swagger/{}", "/", "/jobs", "/webcam", "/api/openapi.json", "/favicon.ico",
]  # fmt: skip
_FACE = jpeg(portrait()[:200, 120:320, ::-1])

_EDITED = "fuzzed-0123abcd"
segments = st.text(max_size=30) | st.sampled_from(
    ["..", "%00", "faces", "0123456789abcdef", "reports/a.html", "index.html", _EDITED, "1"]
)
damaged_pictures = st.builds(
    lambda at, bits: _FACE[:at] + bits + _FACE[at + len(bits) :],
    st.integers(0, len(_FACE)),
    st.binary(max_size=8),
)
names = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["image", "xyxy", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
files = st.tuples(names, st.binary(max_size=300) | damaged_pictures)
forms = {
    "files": st.dictionaries(st.sampled_from(["image", "video", "x"]), files, max_size=2),
    "data": st.dictionaries(
        st.sampled_from(["xyxy", "image"]), st.sampled_from(["1,2,30,40", "", "nan,1,2,3", "9"]), max_size=2
    ),
}
types = ["application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", "x", ""]
raw = {
    "content": st.binary(max_size=200),
    "headers": st.fixed_dictionaries({"content-type": st.sampled_from(types)}),
}
bodies = (
    st.just({})
    | st.fixed_dictionaries({"json": json_values})
    | st.fixed_dictionaries(forms)
    | st.fixed_dictionaries(raw)
)
queries = st.dictionaries(
    st.sampled_from(["format", "offset", "limit", "token", "time_s", "x"]), st.text(max_size=8), max_size=3
)


times = st.floats(0, 10) | st.sampled_from([0, -1, 1e9, 4.0])
cells = st.sampled_from(
    ["", "1", "2.5", "0:03", "-1", "1e999", "happy", "Ada", "Person 1", "track 1", "MK", "../x"]
)
cells |= st.text(max_size=12)
edit_fields = {
    "name": {"persons": st.lists(st.integers(0, 4), max_size=3), "name": cells},
    "split": {"track_id": st.integers(0, 4), "name": cells, "from_s": times},
    "correct": dict.fromkeys(("start", "end", "person", "value", "note"), cells)
    | {"action": st.sampled_from(["exclude", "drop", "relabel", "x"])},
    "remove": {"line": st.integers(0, 9)},
    "mark": {"time_s": times, "label": cells, "end_s": times | st.none(), "kind": cells},
    "unmark": {"line": st.integers(0, 9)},
    "code": dict.fromkeys(("coder", "start", "end", "label", "person"), cells),
    "uncode": {"coder": cells, "line": st.integers(0, 9)},
}
for _name, _of in (("change", "correct"), ("move", "mark"), ("recode", "code")):
    edit_fields[_name] = edit_fields[_of] | {"line": st.integers(0, 9)}
edits = st.sampled_from(sorted(edit_fields)).flatmap(
    lambda name: st.fixed_dictionaries({"edit": st.just(name), **edit_fields[name]})
)


def edit_at_random(client, source, n_examples: int) -> None:
    """Changes of a video that is there, by their description and near it; what is refused writes nothing wrong."""
    edited = make_edited(client.app.app.state.jobs.out, source, "fuzzed")
    path = f"/api/videos/{edited.video_id}"

    @settings(max_examples=n_examples, **_SETTINGS)
    @given(change=edits, is_undo=st.integers(0, 5))
    def ask(change, is_undo) -> None:
        state = client.get(f"{path}/edit")
        assert state.status_code == 200, (change, state.text)
        answer = client.post(f"{path}/edits", json=change | {"version": state.json()["version"]})
        assert answer.status_code in (200, 400), (change, answer.text)
        if not is_undo:
            assert client.post(f"{path}/undo").status_code in (200, 400)

    try:
        ask()
    finally:
        undo_all(client, edited.video_id)
        for name in ("people.csv", "corrections.csv"):
            (edited.out / name).unlink(missing_ok=True)
        for file in (edited.out / "coding").glob("*.csv"):
            file.unlink()


def ask_at_random(client, n_examples: int) -> None:
    @settings(max_examples=n_examples, **_SETTINGS)
    @given(
        method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]),
        path=st.sampled_from(_PATHS), parts=st.tuples(segments, segments),
        params=queries,
        body=bodies,
    )  # fmt: skip
    def ask(method, path, parts, params, body) -> None:
        try:
            answer = client.request(method, path.format(*parts), params=params, **body)
        except (httpx.InvalidURL, UnicodeEncodeError):
            return  # no such request can be sent
        assert answer.status_code < 500, (method, path, parts, params, body, answer.text)
        if answer.status_code == 202:  # analysing what is no video takes a second each
            client.delete(f"/api/jobs/{answer.json()['id']}")

    ask()


def test_hundreds_of_requests_at_random_give_no_500(api):
    ask_at_random(api, _QUICK)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("fuzzed") / "fuzzed.mp4")


def test_changes_at_random_are_done_or_refused(api, source):
    edit_at_random(api, source, 40)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_ten_thousand_requests_at_random_give_no_500(api, source):
    edit_at_random(api, source, _SLOW_EDITS)
    ask_at_random(api, _SLOW - _SLOW_EDITS)


def test_requests_made_by_the_description_of_the_api_give_no_500(server):
    address = server.address.rstrip("/")
    schema = schemathesis.openapi.from_dict(httpx.get(f"{address}/api/openapi.json").json())
    for operation in (each.ok() for each in schema.get_all_operations()):
        if (operation.method, operation.path) == ("post", "/api/jobs"):
            continue  # see above

        @settings(max_examples=12, **_SETTINGS)
        @given(case=operation.as_strategy())
        def ask(case) -> None:
            answer = case.call(base_url=address)
            assert answer.status_code < 500, (case, answer.text)

        ask()
