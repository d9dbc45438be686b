"""Pages as text: what they say, and that they say it safely."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow import palette
from ferflow.analytics.measures import MEASURES
from ferflow.dashboards import ensure_assets, write_index, write_session_report
from ferflow.dashboards.session_report.downsample import MOST_BINS, downsample
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.dashboards.session_report.timeline_chart.figure import build_timeline_figure
from ferflow.dashboards.shared import number_format
from ferflow.dashboards.shared.page import inline_json
from ferflow.errors import RecordsError
from tests.dashboards.read_page import clock, share, signed, table
from tests.dashboards.recompute import Tables
from tests.made_records import LABELS, Made, write_session

HOSTILE = '<img src=x onerror="alert(1)">\n"\' </script><script>alert(2)</script> \u202egpj.exe'


def page(out, made: Made, **metadata) -> str:
    return write_session_report(out, write_session(out, made, **metadata)).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    """What a reader sees, roughly."""
    html = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u202f", " ").replace("&gt;", ">")


def card(html: str, label: str) -> str:
    found = re.search(rf'<div class="label">{label}</div><div class="value">(.*?)</div>', html)
    assert found, f"no card {label}"
    return text_of(found[1]).strip()


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0, "00:00.0"), (59.96, "01:00.0"), (83.25, "01:23.3"), (3599.99, "1:00:00.0"), (7325.04, "2:02:05.0"),
     (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_times_are_minutes_and_seconds_with_tenths(seconds, wanted):
    assert number_format.timecode(seconds) == wanted


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(0, "0 %"), (1e-9, "<1 %"), (0.004, "<1 %"), (0.0149, "1 %"), (0.5, "50 %"), (0.9951, ">99 %"),
     (1 - 1e-9, ">99 %"), (1, "100 %"), (float("nan"), "–")],
)  # fmt: skip
def test_0_and_100_percent_are_written_only_where_exact(share, wanted):
    assert number_format.percent(share).replace("\u202f", " ") == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0, "0"), (0.001, "+0.00"), (-0.001, "−0.00"), (0.126, "+0.13"), (-0.2, "−0.20"), (1, "+1"), (-1, "−1"),
     (0.999, ">+0.99"), (-0.999, "<−0.99")],
)  # fmt: skip
def test_signed_numbers_keep_their_sign_and_only_0_is_written_0(value, wanted):
    assert number_format.signed(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0, "0"), (133.4, "133"), (-2.5, "-2.5"), (0.0123, "0.0123"), (0.00004, "0.00004"), (12345, "12 345"),
     (None, "–")],
)  # fmt: skip
def test_numbers_of_any_size_are_written_without_an_exponent(value, wanted):
    assert number_format.number(value).replace("\u202f", " ") == wanted


def test_a_measure_is_written_with_its_unit():
    width = replace(MEASURES["attention"], format="number", unit="mm", range=(0, 200))
    assert number_format.format_measure(width, 133.4).replace("\u202f", " ") == "133 mm"
    assert number_format.format_measure(width, None) == "–"


def test_the_drawn_curves_are_the_tables_columns(tmp_path):
    made = Made(seconds=30, people=2, holes=((10, 12),))
    session = load_session(tmp_path, write_session(tmp_path, made))
    bins = pd.read_parquet(tmp_path / f"timeline/{made.video_id}.parquet")
    whole = bins[bins.person_id.isna()]
    figure = build_timeline_figure(session)
    for name, column, extra in [
        ("facing the camera", "attention", 0), ("engagement", "engagement", 0), ("sad", "shown_sad", 1)
    ]:  # fmt: skip
        trace = next(trace for trace in figure.data if trace.name == name)
        # An area has one more bin on each side, out of sight.
        values = np.array(trace.y, float)[extra : len(trace.y) - extra]
        np.testing.assert_allclose(values, whole[column].to_numpy(float), atol=1e-3)
        first = "1969-12-31 23:59:59.500" if extra else "1970-01-01 00:00:00.500"
        assert (trace.x0, trace.dx) == (first, 1000)
    lanes = next(trace for trace in figure.data if trace.type == "heatmap")
    shown = bins[bins.person_id == 1].set_index("bin_start_s")[[f"shown_{label}" for label in LABELS]]
    for start, k in enumerate(lanes.z[0]):
        if start not in shown.index:
            assert k is None
        elif shown.loc[start].isna().any():
            assert lanes.meta["labels"][k] == "not readable"
        else:
            assert LABELS[k] == shown.loc[start].idxmax()[6:]
    missing = next(trace for trace in figure.data if trace.name == "no frame could be read")
    assert [k - 1 for k, share in enumerate(missing.y) if share] == [10, 11]


def test_the_page_of_a_video_without_faces_says_so_and_shows_the_coverage(tmp_path):
    html = page(tmp_path, Made(seconds=30, people=0))
    assert "No face was found in any of the 300 analysed frames" in text_of(html)
    assert card(html, "Face visible") == "0 %"
    figure = json.loads(re.search(r'id="timeline-figure">(.*?)</script>', html, re.S)[1])
    assert [trace["name"] for trace in figure["data"] if trace.get("stackgroup") == "coverage"] == ["no face"]
    assert {name for name in figure["layout"] if name.startswith("yaxis")} == {"yaxis", "yaxis9"}


def test_a_video_without_frames_is_distinguished_from_one_without_faces(tmp_path):
    html = page(tmp_path, Made(seconds=0, people=0))
    assert "No frame was analysed" in text_of(html)
    assert "No face was found" not in html


def test_faces_without_a_track_are_distinguished_from_no_faces(tmp_path):
    html = page(tmp_path, Made(seconds=10, untracked=1.0))
    assert re.search(
        r"\d+ faces found, but no person is in view for long enough to be counted", text_of(html)
    )


def test_without_pose_engagement_is_known_and_where_people_face_is_not(tmp_path):
    html = page(tmp_path, Made(seconds=40, pose=False))
    assert card(html, "Facing the camera") == "–"
    assert "unknown: this detector gives no head pose" in text_of(html)
    assert re.fullmatch(r"\d+ %", card(html, "Showing an expression"))


@pytest.mark.parametrize("missing", ["disgust", "happy", "neutral"])
def test_a_model_with_six_labels_has_a_page(tmp_path, missing):
    html = page(tmp_path, six_labels(tmp_path, missing))
    assert missing not in re.search(r'<ul class="legend-list">.*?</ul>', html, re.S)[0]


def six_labels(tmp_path, missing: str) -> Made:
    labels = tuple(label for label in LABELS if label != missing)
    if missing == "neutral":
        labels = (*labels, "<b>calm</b>")
    return Made(seconds=12, labels=labels)


@pytest.mark.parametrize("field", ["name", "codec", "format", "pix_fmt"])
def test_hostile_texts_are_escaped(tmp_path, field):
    html = page(tmp_path, Made(seconds=12, source={field: HOSTILE}, warnings=(HOSTILE,)))
    assert "<img" not in html
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "&lt;img src=x onerror=" in html


def test_a_hostile_label_cannot_end_the_script_or_be_html_in_a_figure(tmp_path):
    labels = (*LABELS[:3], "</script><b onclick='x'>", *LABELS[4:])
    html = page(tmp_path, Made(seconds=12, labels=labels))
    data = re.search(r'<script type="application/json" id="timeline-figure">(.*?)</script>', html, re.S)[1]
    names = {trace.get("name") for trace in json.loads(data)["data"]}
    assert "&lt;/script&gt;&lt;b onclick='x'&gt;" in names
    assert "<b onclick" not in html


def test_json_in_a_page_reads_back_the_same_and_cannot_end_its_element():
    text = json.dumps(["</script><!--", "a & b", "\u2028"], ensure_ascii=False)
    assert json.loads(inline_json(text)) == json.loads(text)
    assert not set("<>&\u2028") & set(inline_json(text))


def test_two_renders_are_the_same_bytes(tmp_path):
    video_id = write_session(tmp_path, Made(seconds=40, people=3))
    first = write_session_report(tmp_path, video_id).read_bytes(), write_index(tmp_path).read_bytes()
    assert (
        write_session_report(tmp_path, video_id).read_bytes(),
        write_index(tmp_path).read_bytes(),
    ) == first


def test_only_complete_files_are_left(tmp_path):
    page(tmp_path, Made(seconds=12))
    write_index(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]
    assert sorted(path.name for path in (tmp_path / "assets").iterdir()) == ["plotly.min.js"]


def test_the_shared_script_is_written_once_and_again_when_damaged(tmp_path):
    path = ensure_assets(tmp_path)
    before = path.stat().st_mtime_ns
    assert ensure_assets(tmp_path).stat().st_mtime_ns == before
    path.write_text("cut off")
    assert ensure_assets(tmp_path).stat().st_size > 1_000_000


def test_pages_load_nothing_from_elsewhere(tmp_path):
    html = page(tmp_path, Made(seconds=12)) + write_index(tmp_path).read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="([^"]+)"', html) == [
        "../index.html", "../assets/plotly.min.js", "reports/made-0123abcd.html",
    ]  # fmt: skip
    assert not re.search(r"url\(|@import|https?://", html)


def test_every_page_has_the_notes_on_law_and_accuracy(tmp_path):
    for html in (page(tmp_path, Made(seconds=12)), write_index(tmp_path).read_text(encoding="utf-8")):
        for phrase in [
            "Art. 5(1)(f)",
            "Art. 50(3)",
            "GDPR",
            "Barrett et al., 2019",
            "no demographic labels",
            "102 people",
        ]:
            assert phrase in text_of(html)
        assert not re.search(r"\bfeels?\b", text_of(html))


def test_the_footer_says_of_subgroups_what_the_model_card_measured(tmp_path):
    card = (Path(__file__).parents[2] / "MODEL_CARD.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w[^|]*) \| (\d+) \| [^|]+ \| [^|]+ \| ([01]\.\d\d) ", card, re.MULTILINE)
    (total,), groups = [row for row in rows if row[0] == "all"], [row for row in rows if row[0] != "all"]
    lowest, highest = (end(float(auc) for _, _, auc in groups) for end in (min, max))
    smallest, largest = (end(int(n) for _, n, _ in groups) for end in (min, max))
    text = " ".join(text_of(page(tmp_path, Made(seconds=12))).split())
    assert f"of {total[1]} people were measured" in text
    assert f"(AUC {lowest:.2f} to {highest:.2f}), with {smallest} to {largest} people in each" in text


@pytest.mark.slow
def test_an_hour_of_eight_people_stays_small(tmp_path):
    made = Made(seconds=3600, fps=4, people=8)
    html = page(tmp_path, made)
    assert len(html.encode()) <= 400_000
    assert downsample(load_session(tmp_path, made.video_id)).n <= MOST_BINS


def test_many_short_tracks_stay_readable(tmp_path):
    html = page(tmp_path, Made(seconds=60, fps=5, people=60))
    assert "Not listed: 20 people" in text_of(html)
    assert len(html.encode()) <= 400_000


def test_sampling_slower_than_the_bins_draws_no_false_gaps(tmp_path):
    made = Made(seconds=300, fps=0.4)
    data = downsample(load_session(tmp_path, write_session(tmp_path, made)))
    assert data.step == 3
    assert (data.audience["n_frames"] > 0).all()


def test_one_frame_has_a_page(tmp_path):
    assert "00:00" in page(tmp_path, Made(seconds=0.1))


def test_optional_facts_may_be_missing(tmp_path):
    unknown = {"format": "", "codec": "", "pix_fmt": "", "frame_rate": None, "duration_s_from_header": None}
    html = page(tmp_path, Made(seconds=12, source=unknown))
    facts = dict(re.findall(r"<dt>([^<]*)</dt><dd><bdi>([^<]*)</bdi></dd>", html))
    unknown = ("Container", "Codec", "Frame rate", "Duration in the header")
    assert [facts[name] for name in unknown] == ["–"] * 4


def test_a_video_without_tables_is_refused(tmp_path):
    with pytest.raises(RecordsError):
        write_session_report(tmp_path, "nothing")


def run_file(out, *videos: dict) -> None:
    run = {
        "schema_version": 1,
        "ferflow_version": "0.1.0",
        "options": {},
        "started": "2026-01-02T03:04:05+00:00",
        "videos": videos,
    }
    (out / "run.json").write_text(json.dumps(run))


def test_the_index_lists_finished_failed_and_earlier_videos(tmp_path):
    for name in ("a", "b", "old"):
        page(tmp_path, Made(seconds=12, video_id=name))
    run_file(
        tmp_path,
        {
            "video_id": "b",
            "source": "/films/b.mp4",
            "status": "done_with_gaps",
            "warnings": ["2 frames lost"],
        },
        {
            "video_id": None,
            "source": f"/films/{HOSTILE}.mp4",
            "status": "failed",
            "error": f"{HOSTILE}: no video",
        },
        {"video_id": "a", "source": "/films/a.mp4", "status": "done", "warnings": []},
    )
    html = write_index(tmp_path).read_text(encoding="utf-8")
    rows = re.findall(
        r"<tr[^>]*>(.*?)</tr>", html.split('id="videos-title"')[1].split('id="participants')[0], re.S
    )
    # By name. What failed has a table of its own below.
    assert [re.search(r'href="([^"]*)"', row)[1] for row in rows[1:4]] == [
        "reports/a.html", "reports/b.html", "reports/old.html",
    ]  # fmt: skip
    assert [row.count("<svg") for row in rows] == [0, 1, 1, 1, 0, 0]
    assert "2 frames lost" in rows[2]
    assert "no video" in rows[5]
    assert "1 input could not be analysed" in text_of(html)
    assert "<img" not in html


def test_the_index_of_an_empty_folder_says_so(tmp_path):
    assert "No video in this folder has been analysed" in write_index(tmp_path).read_text(encoding="utf-8")


def test_a_broken_run_file_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RecordsError, match=r"run\.json"):
        write_index(tmp_path)


def test_numbers_of_the_index_are_those_of_the_timeline(tmp_path):
    made = Made(seconds=60, people=2)
    page(tmp_path, made)
    video = Tables(tmp_path, made.video_id)
    means = video.means(video.lanes)
    (row,) = table(write_index(tmp_path).read_text(encoding="utf-8"), "videos")
    assert {share(means["engagement"]), signed(means["valence"]), clock(60)} <= set(row)


# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB.
MACHADO = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("kind", ["full", *MACHADO])
def test_expressions_are_distinguishable_with_colour_blindness(kind):
    from skimage.color import deltaE_ciede2000, rgb2lab

    codes = list(palette.EXPRESSIONS.values())
    rgb = np.array([[int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)] for code in codes])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = linear @ np.array(MACHADO.get(kind, np.eye(3))).T
    seen = np.clip(seen, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    apart = [deltaE_ciede2000(lab[i], lab[j]) for i in range(len(lab)) for j in range(i)]
    assert min(apart) > 8  # 2.3 is a just noticeable difference


def test_a_colour_for_every_label_and_neutral_at_the_bottom():
    labels = ["neutral", "awe", "happy", "calm"]
    assert len(set(palette.colours(labels).values())) == 4
    assert palette.stacked(labels) == ["neutral", "happy", "awe", "calm"]
