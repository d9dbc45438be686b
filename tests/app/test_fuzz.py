"""Requests made at random, by the description of the API and apart from it: no answer is a 500."""

from __future__ import annotations

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.conftest import jpeg
from tests.conftest import portrait

_QUICK, _SLOW = 250, 10_000
_SETTINGS = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
_PATHS = [
    "/api/predict", "/api/activation", "/api/picture", "/api/jobs", "/api/jobs/{}", "/api/jobs/{}/events",
    "/api/jobs/{}/tables/{}", "/api/videos", "/api/videos/{}/tables/{}",
    "/api/videos/{}/edit", "/api/videos/{}/edits", "/api/videos/{}/undo", "/folder/{}", "/folder/source/{}",
    "/static/{}", "/static/swagger/{}", "/", "/jobs", "/webcam", "/api/openapi.json", "/favicon.ico",
]  # fmt: skip
_FACE = jpeg(portrait()[:200, 120:320, ::-1])

segments = st.text(max_size=30) | st.sampled_from(
    ["..", "%00", "faces", "0123456789abcdef", "reports/a.html", "index.html"]
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
    st.sampled_from(["format", "offset", "limit", "token", "x"]), st.text(max_size=8), max_size=3
)


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


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_ten_thousand_requests_at_random_give_no_500(api):
    ask_at_random(api, _SLOW)


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
