"""The edit page as its users have it, in Chromium: every action by the keyboard alone, and read back from disk."""

from __future__ import annotations

import shutil

import httpx
import pytest

from tests.app.conftest import Edited, make_edited, undo_all, write_numbered
from tests.dashboards.browse import HOSTILE, until

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def finished(server, tmp_path_factory):
    return make_edited(server.out, write_numbered(tmp_path_factory.mktemp("edited") / "trio.mp4"))


@pytest.fixture
def trio(server, finished):
    edited = finished
    yield edited
    with httpx.Client(base_url=server.address, timeout=30) as client:
        undo_all(client, edited.video_id)
    assert edited.read("people.csv") == edited.read("corrections.csv") == edited.read("coding/MK.csv") == []


class Editor:
    """A page for editing, used by the keyboard alone."""

    def __init__(self, visitor, edited: Edited) -> None:
        self.edited, self.page = edited, visitor.page
        visitor.open(f"edit/{edited.video_id}")
        self.until("!document.getElementById('edit').hidden")
        self.n_done = 0

    def until(self, expression: str) -> None:
        until(self.page, expression)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name: str, *, back: bool = False) -> None:
        """Go on with Tab until the element of this name has the focus, which must be seen."""
        for _ in range(120):
            self.press("Shift+Tab" if back else "Tab")
            found = self.page.evaluate(
                "(() => { const e = document.activeElement, style = getComputedStyle(e);"
                " const label = e.getAttribute('aria-label') || e.labels?.[0]?.firstChild.textContent || e.textContent;"
                " return [label.trim(), e.matches('body') || style.outlineStyle !== 'none']; })()"
            )
            assert found[1], f"no visible focus on {found[0]}"
            if found[0] == name:
                return
        raise AssertionError(f"{name} is not reached with Tab")

    def type_into(self, name: str, text: str, **way: bool) -> None:
        self.tab_to(name, **way)
        self.press("Control+a")
        self.page.keyboard.type(text)

    def leave_field(self) -> None:
        """Where single keys act."""
        self.page.evaluate("document.activeElement.blur()")

    def go_to(self, seconds: float) -> None:
        self.type_into("Go to", str(seconds))
        self.press("Enter")
        self.leave_field()
        self.until(f"Math.abs(document.getElementById('time').value - {seconds}) < 0.01")

    def saved(self) -> None:
        """Wait until one more change is saved."""
        self.n_done += 1
        self.until(f"document.getElementById('undo').textContent === 'Undo ({self.n_done})'")


@pytest.fixture
def editor(visit, trio):
    return Editor(visit(), trio)


def test_markers_are_set_moved_and_removed_with_keys_while_the_video_plays(editor):
    editor.until("document.getElementById('video').readyState >= 2")
    editor.type_into("Label", "boss")
    editor.leave_field()
    editor.press("k")
    editor.until("document.getElementById('video').currentTime > 1")
    editor.press("m")
    editor.saved()
    assert editor.page.evaluate("!document.getElementById('video').paused")
    editor.press("1")
    editor.saved()
    editor.press("k")
    first, second = editor.edited.read_markers()
    assert first["label"] == second["label"] == "boss"
    assert 1 <= float(first["time_s"]) < float(second["time_s"]) < 8
    editor.go_to(7.5)
    editor.press("p", "p")
    editor.go_to(6.5)
    editor.press("h")
    editor.saved()
    assert sorted(float(row["time_s"]) for row in editor.edited.read_markers()) == [
        float(second["time_s"]),
        6.5,
    ]
    editor.press("p", "d")
    editor.saved()
    assert [float(row["time_s"]) for row in editor.edited.read_markers()] == [6.5]
    editor.press("u")
    editor.until("document.getElementById('undo').textContent === 'Undo (3)'")
    assert len(editor.edited.read_markers()) == 2


def test_people_are_named_merged_split_and_left_out_by_the_keyboard(editor):
    edited = editor.edited
    editor.until("document.querySelectorAll('.people img').length === 3")
    editor.until("[...document.querySelectorAll('.people img')].every(i => i.naturalWidth === 160)")
    editor.type_into("Name of Person 1", "Ada <i>L.</i>")
    editor.press("Enter")
    editor.saved()
    assert [row["name"] for row in edited.read("people.csv")] == ["Ada <i>L.</i>"]
    # The focus is still in the field, although the list was built again.
    assert editor.page.evaluate("document.activeElement.value") == "Ada <i>L.</i>"
    editor.tab_to("Choose Ada <i>L.</i>, to merge")
    editor.press("Space")
    editor.tab_to("Choose Person 3, to merge")
    editor.press("Space")
    editor.type_into("Merge those chosen into", "Ada")
    editor.tab_to("Merge")
    editor.press("Enter")
    editor.saved()
    assert {row["name"] for row in edited.read("people.csv")} == {"Ada"}
    assert len(edited.read("people.csv")) == 2
    editor.go_to(3)
    editor.tab_to("Tracks (1)")
    editor.press("Enter")
    editor.until("document.querySelectorAll('.rows img').length === 1")
    track = editor.page.locator(".people .rows li").inner_text().split()[1]
    editor.type_into(f"Whose track {track} is", "Grace")
    editor.tab_to(f"Give track {track}, from the present time on, to this person")
    editor.press("Enter")
    editor.saved()
    (row,) = [row for row in edited.read("people.csv") if row["name"] == "Grace"]
    assert (row["track_id"], float(row["from_s"])) == (track, 3.0)
    editor.tab_to("Leave out Ada", back=True)
    editor.press("Enter")
    editor.saved()
    assert [(row["action"], row["person"]) for row in edited.read("corrections.csv")] == [("drop", "Ada")]
    assert "Ada" not in editor.page.locator("#people").inner_text()
    editor.tab_to("Remove: Ada left out throughout")
    editor.press("Enter")
    editor.saved()
    assert edited.read("corrections.csv") == []
    editor.until("document.getElementById('status').textContent.endsWith('up to date')")
    assert "Grace" in (edited.out / "reports" / f"{edited.video_id}.html").read_text()


def test_stretches_are_left_out_changed_and_coded_by_the_keyboard(editor):
    edited = editor.edited
    editor.go_to(1.5)
    editor.press("i")
    editor.go_to(2.5)
    editor.press("o")
    editor.type_into("Note", "the break")
    editor.press("Enter")
    editor.saved()
    (row,) = edited.read("corrections.csv")
    assert [row[name] for name in ("action", "start", "end", "person", "note")] == [
        "exclude", "1.5", "2.5", "", "the break",
    ]  # fmt: skip
    editor.tab_to("Change: everybody left out")
    editor.press("Enter")
    editor.tab_to("Whom")
    editor.press("p")  # Person 1
    editor.tab_to("Save the change")
    editor.press("Enter")
    editor.saved()
    assert [row["person"] for row in edited.read("corrections.csv")] == ["Person 1"]
    editor.type_into("Coder", "MK")
    editor.type_into("Label", "happy")
    editor.leave_field()
    editor.press("c")
    editor.saved()
    (coded,) = edited.read("coding/MK.csv")
    assert [coded[name] for name in ("start", "end", "label", "person")] == ["1.5", "2.5", "happy", ""]
    # The next stretch begins where this one ends.
    editor.go_to(4)
    editor.press("o", "c")
    editor.saved()
    assert [(row["start"], row["end"]) for row in edited.read("coding/MK.csv")] == [
        ("1.5", "2.5"),
        ("2.5", "4"),
    ]
    editor.tab_to("Remove: happy by MK")
    editor.press("Enter")
    editor.saved()
    assert [row["start"] for row in edited.read("coding/MK.csv")] == ["2.5"]


@pytest.mark.slow
def test_the_rarer_changes_are_done_by_the_keyboard_too(editor):
    edited = editor.edited
    tracks = sorted(edited.faces()["track_id"].unique())
    editor.tab_to("Tracks (1)")
    editor.press("Enter")
    editor.until("document.querySelectorAll('.rows img').length === 1")
    editor.type_into(f"Whose track {tracks[0]} is", "Ada")
    editor.tab_to(f"Give track {tracks[0]} to this person")
    editor.press("Enter")
    editor.saved()
    named = [(row["track_id"], row["name"]) for row in edited.read("people.csv")]
    assert (str(tracks[0]), "Ada") in named
    editor.page.locator("details summary").last.press("Enter")
    editor.tab_to(f"Leave out track {tracks[-1]}")
    editor.press("Enter")
    editor.saved()
    assert [row["person"] for row in edited.read("corrections.csv")] == [f"track {tracks[-1]}"]
    editor.type_into("Start", "1")
    editor.type_into("End", "2")
    editor.tab_to("What")
    editor.press("ArrowDown")
    editor.tab_to("Expression")
    editor.press("h")  # happy
    editor.tab_to("Save")
    editor.press("Enter")
    editor.saved()
    row = edited.read("corrections.csv")[1]
    assert [row[name] for name in ("action", "start", "end", "person", "value")] == [
        "relabel", "1", "2", "", "happy",
    ]  # fmt: skip
    editor.go_to(5)
    editor.press("m")
    editor.saved()
    editor.type_into("Label of marker at 00:05.00", "boss")
    editor.press("Enter")
    editor.saved()
    editor.go_to(6.5)
    editor.tab_to("Let boss at 00:05.00 last until the present time")
    editor.press("Enter")
    editor.saved()
    (marker,) = edited.read_markers()
    assert (marker["label"], float(marker["time_s"]), float(marker["end_s"])) == ("boss", 5.0, 6.5)
    editor.press("p")
    editor.go_to(2)
    editor.press("h")
    editor.saved()
    (marker,) = edited.read_markers()
    assert (float(marker["time_s"]), float(marker["end_s"])) == (2.0, 3.5)  # it keeps its length
    editor.type_into("Coder", "MK")
    editor.page.fill("#code-label", "sad")
    editor.page.fill("#start", "3")
    editor.page.fill("#end", "4")
    editor.page.locator("#code-label").press("Enter")
    editor.saved()
    editor.tab_to("Change: sad by MK")
    editor.press("Enter")
    editor.page.fill("#code-label", "happy")
    editor.page.locator("#code-label").press("Enter")
    editor.saved()
    assert [(row["start"], row["end"], row["label"]) for row in edited.read("coding/MK.csv")] == [
        ("3", "4", "happy")
    ]
    for left in range(editor.n_done - 1, -1, -1):
        editor.leave_field()
        editor.press("u")
        editor.until(f"document.getElementById('undo').textContent === 'Undo{f' ({left})' if left else ''}'")
    assert edited.read("people.csv") == edited.read("corrections.csv") == edited.read("coding/MK.csv") == []


def test_what_is_refused_is_said_and_writes_nothing(visit, trio):
    visitor = visit()
    editor = Editor(visitor, trio)
    editor.type_into("Start", "3")
    editor.type_into("End", "2")
    editor.leave_field()
    editor.press("x")
    editor.until("document.getElementById('message').textContent.includes('must lie after')")
    # It stays there while the pages of an earlier change are written.
    editor.until("document.getElementById('status').textContent === 'Not saved · the report is up to date'")
    assert trio.read("corrections.csv") == []
    assert [text for text in visitor.wrong if "400" not in text] == []
    visitor.wrong.clear()


@pytest.mark.slow
def test_of_two_editors_the_second_sees_what_the_first_has_changed_and_repeats(visit, trio):
    visitors = visit(), visit()
    one, other = (Editor(visitor, trio) for visitor in visitors)
    one.type_into("Name of Person 2", "Ada")
    one.press("Enter")
    one.saved()
    other.go_to(2)
    other.press("m")
    other.until("document.getElementById('message').textContent.includes('changed in the meantime')")
    assert other.page.locator("input[aria-label='Name of Ada']").count() == 1
    assert trio.read_markers() == []
    other.n_done = 1
    other.press("m")
    other.saved()
    assert [float(row["time_s"]) for row in trio.read_markers()] == [2.0]
    assert [text for text in visitors[1].wrong if "409" not in text] == []
    visitors[1].wrong.clear()


@pytest.mark.slow
def test_the_way_leads_from_a_report_to_its_edit_page_and_back(visit, trio):
    with httpx.Client(base_url=visit().server.address, timeout=30) as client:
        answer = client.get(f"/api/videos/{trio.video_id}/edit").json()
        change = {"edit": "mark", "time_s": 1, "label": "a", "version": answer["version"]}
        assert client.post(f"/api/videos/{trio.video_id}/edits", json=change).status_code == 200
    visitor = visit()
    editor = Editor(visitor, trio)
    editor.until("document.getElementById('status').textContent.endsWith('up to date')")
    page = visitor.page
    page.get_by_role("link", name="Open the report").click()
    page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)
    page.get_by_role("link", name="Edit", exact=True).click()
    page.wait_for_url(f"**/edit/{trio.video_id}")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.wait_for_url("**/edit")
    assert page.get_by_role("link", name="Edit trio.mp4").count() == 1


@pytest.fixture(scope="module")
def unusual(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unusual")
    hostile = folder / (HOSTILE.replace("/", "_")[:80] + ".mp4")
    shutil.copy(write_numbered(folder / "plain.mp4"), hostile)
    avi = write_numbered(folder / "old.avi", "mjpeg", "yuvj420p")
    return {"hostile": hostile, "avi": avi, "gone": folder / "gone.mp4"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hostile", "avi", "gone"])
def test_a_video_that_is_unusual_is_edited_by_time_on_a_phone_too(visit, server, unusual, kind):
    codec = "mjpeg" if kind == "avi" else "h264"
    edited = make_edited(server.out, unusual[kind], kind, people=8, codec=codec)
    if kind == "hostile":
        (edited.out / "people.csv").write_text(
            f'video_id,person_id,name\n{edited.video_id},1,"<img src=x onerror=alert(1)>"\n'
        )
    try:
        editor = Editor(visit(viewport=PHONE), edited)
        page = editor.page
        if kind == "avi":
            assert "Browsers do not play this format" in page.locator("#video-problem").inner_text()
            editor.go_to(4.2)
            editor.until("document.getElementById('still').naturalWidth === 960")
        if kind == "gone":
            assert "not where it was analysed" in page.locator("#video-problem").inner_text()
            assert page.locator("#play").is_disabled()
        if kind == "hostile":
            assert page.locator("#people img[onerror]").count() == 0
            assert page.locator("input[value='<img src=x onerror=alert(1)>']").count() == 1
        editor.type_into("Start", "1:00")
        editor.type_into("End", "1:02,5")
        editor.leave_field()
        editor.press("x")
        editor.saved()
        (row,) = edited.read("corrections.csv")
        assert (row["start"], row["end"]) == ("1:00", "1:02,5")
        for summary in page.locator("details summary").all():
            summary.click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.title().startswith("Edit ")
    finally:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            undo_all(client, edited.video_id)
        (edited.out / "people.csv").unlink(missing_ok=True)
        for path in edited.out.rglob(f"{edited.video_id}*"):
            path.unlink()
