"""What reads files from outside, and sound files for it to be spoilt. A new target is one line in TARGETS."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from tests.desks.lab_tables import DIALECTS, FOREIGN, MARKERS, NOT_A_TABLE, SESSIONS, UNREADABLE
from tests.torture import films
from tests.torture.films import film


@dataclass(frozen=True)
class Target:
    """Something that reads files from outside."""

    seeds: Callable[[Path], list[bytes]]
    """Sound inputs, made in a scratch folder."""
    read: Callable[[Path], object]
    """Raises FerflowError, or nothing."""
    suffix: str = ""
    is_text: bool = False
    """Changes are then kept within UTF-8, to get past the first check."""


def read_video(path: Path) -> None:
    """Decode up to 40 frames, and hold what is promised of them."""
    from ferflow.media.video import Selection, open_video

    with open_video(path, threads=2) as video:
        last = 0.0
        for frame in islice(video.frames(Selection()), 40):
            assert last <= frame.time_s < math.inf, (last, frame.time_s)
            assert frame.planes.y.size > 0
            assert frame.planes.y.ndim == 2
            assert 0 <= frame.planes.luma_mean() <= 255
            last = frame.time_s
        assert all(gap.end_s is None or gap.end_s >= gap.start_s for gap in video.report.gaps), (
            video.report.gaps
        )
        json.dumps([video.info.duration_s_from_header, video.info.frame_rate], allow_nan=False)
    assert video.rotation % 90 == 0


@cache
def _tools() -> object:
    from ferflow.faces.detector import make_detector
    from ferflow.options import AnalyzeOptions
    from ferflow.pipeline import Tools
    from tests.conftest import MeanClassifier

    return Tools(make_detector(AnalyzeOptions()), MeanClassifier())


def read_wholly(path: Path) -> None:
    """The whole analysis, up to the tables."""
    from ferflow.options import AnalyzeOptions, TimePoint
    from ferflow.pipeline import analyze

    for rows in analyze(path, AnalyzeOptions(end=TimePoint(frame_index=40), threads=2), tools=_tools()):
        rows.batch.validate(full=True)


def read_job(path: Path) -> None:
    from ferflow.jobs.job import Job
    from ferflow.options import AnalyzeOptions

    options = Job.from_toml(path).options
    again = AnalyzeOptions.from_dict(json.loads(json.dumps(options.as_dict(), allow_nan=False)))
    assert again == options


def read_time(path: Path) -> None:
    from ferflow.options import TimePoint

    point = TimePoint.parse(path.read_text("utf-8", "surrogateescape"))
    assert TimePoint.parse(str(point)) == point


def read_footer(path: Path) -> None:
    from ferflow.store.metadata import encode_metadata, read_metadata
    from ferflow.store.records import read_table

    encode_metadata(read_metadata(path))
    read_table(path, ["time_s"])


def read_metadata_of_ours(path: Path) -> None:
    """The file is what stands in the footer of a sound table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ferflow.store.metadata import METADATA_KEY, encode_metadata, read_metadata

    table = pa.table({"a": [1]}).replace_schema_metadata({METADATA_KEY: path.read_bytes()})
    pq.write_table(table, path.with_suffix(".parquet"))
    encode_metadata(read_metadata(path.with_suffix(".parquet")))


def read_manifest(path: Path) -> None:
    from ferflow.store.run_manifest import RunManifest

    manifest = RunManifest.load(path)
    assert manifest is not None
    manifest.save(path)
    assert RunManifest.load(path).videos == manifest.videos


def read_frames_and_faces(path: Path) -> None:
    """The file is the FACES of a video with sound FRAMES."""
    from ferflow.store.records import check_records
    from ferflow.store.video_files import VideoFiles
    from tests.made_records import Made, write_session

    files = VideoFiles(path.parent / "out", Made().video_id)
    if not files.frames.exists():
        write_session(files.out, Made(seconds=2))
    files.faces.write_bytes(path.read_bytes())
    check_records(files)


def read_people_list(path: Path) -> None:
    """A list of people lies in an output folder, under its name."""
    from ferflow.analytics.people_list import read_people

    path.rename(path.with_name("people.csv"))
    read_people(path.parent).of("made-0123abcd")


def read_corrections_of_a_folder(path: Path) -> None:
    """Corrections lie in an output folder, under their name, and are applied to the video that they are about."""
    from ferflow.analytics.corrections import read_corrections
    from ferflow.analytics.people_list import PeopleList
    from ferflow.analytics.person_faces import Persons
    from ferflow.analytics.person_names import NameLists
    from ferflow.analytics.timeline import person_timeline
    from ferflow.store.video_files import VideoFiles
    from tests.made_records import Made, write_session

    out = path.parent / "out"
    files = VideoFiles(out, Made().video_id)
    if not files.frames.exists():
        write_session(out, Made(seconds=2))
    (out / "corrections.csv").write_bytes(path.read_bytes())
    lists = NameLists(corrections=read_corrections(out, PeopleList()))
    person_timeline(Persons.of(files, lists.of(files.video_id)))


def read_page_options(path: Path) -> None:
    """The settings of the last report; what is invalid counts as none."""
    from ferflow.dashboards import last_options
    from ferflow.store.output_folder import PAGE_OPTIONS, OutputFolder

    stored = OutputFolder(path.parent).page_status(PAGE_OPTIONS)
    stored.parent.mkdir(exist_ok=True)
    stored.write_bytes(path.read_bytes())
    last_options(path.parent)


def read_notes(path: Path) -> None:
    from ferflow.dashboards.shared.notes import load_notes

    load_notes(path, page=path.with_name("index.html"), out=path.parent)


def read_card(path: Path) -> None:
    from ferflow.models.registry import resolve

    resolve(path).verify()


def of(*makers: films.Maker) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        for number, maker in enumerate(makers):
            maker(folder / f"{number}")
        return [(folder / f"{number}").read_bytes() for number in range(len(makers))]

    return seeds


def _videos() -> Callable[[Path], list[bytes]]:
    hundredths = {"pts": range(0, 24, 4), "time_base": Fraction(1, 100), "n": 6}
    return of(
        film(n=6, muxer="mp4"),
        film(n=6, muxer="mp4", container={"movflags": "frag_keyframe+empty_moov"}),
        film(n=6, muxer="mov", rotation=90),
        film(n=6, muxer="matroska"),
        film(n=6, muxer="mpegts"),
        film(n=6, muxer="flv"),
        film("libx265", n=6, muxer="mp4"),
        film("libvpx-vp9", n=6, muxer="webm"),
        film("libsvtav1", n=6, muxer="matroska"),
        film("libvpx", n=6, muxer="ivf"),
        film("mpeg4", n=6, muxer="avi"),
        film("mjpeg", "yuvj420p", n=6, muxer="avi"),
        film("mpeg2video", n=6, muxer="mpeg"),
        film("wmv2", n=6, muxer="asf"),
        film("ffv1", n=6, muxer="nut"),
        film("prores_ks", "yuv422p10le", n=3, muxer="mov"),
        film("gif", "rgb8", muxer="gif", **hundredths),
        film("apng", "rgb24", n=4, muxer="apng"),
        film("h263", n=4, size=(176, 144), muxer="3gp"),
        film("wrapped_avframe", n=3, muxer="yuv4mpegpipe"),
        film("png", "rgba", n=3, muxer="mov"),
        film("qtrle", "rgb24", n=4, muxer="mov"),
        film("huffyuv", "yuv422p", n=3, muxer="avi"),
        film("libx265", "yuv420p10le", n=4, muxer="matroska"),
        films.annex_b,
        film("dvvideo", size=(720, 576), n=1, muxer="avi"),
        film("jpeg2000", "rgb24", n=3, muxer="matroska"),
    )


def read_signals(path: Path) -> None:
    """Read a file of signals, place it and give it bins; what is known stays within the range of the file."""
    from ferflow.analytics.signal_input import read_signal_file
    from ferflow.analytics.signals import bin_signals, place_signals
    from ferflow.store.metadata import RecordingStart

    file = read_signal_file(path)
    start = RecordingStart(time=datetime(2024, 5, 12, 10, tzinfo=UTC), origin="option")
    signals = place_signals(file, start if file.needs_start else None)
    for signal, values in zip(signals, bin_signals(signals, np.arange(0, 100, 0.5)).values(), strict=True):
        assert (np.diff(signal.time_s) > 0).all()
        known, given = values[np.isfinite(values)], signal.value[np.isfinite(signal.value)]
        margin = 1e-9 * np.abs(given).max(initial=0.0)
        assert not len(known) or given.min() - margin <= known.min() <= known.max() <= given.max() + margin


def read_markers_of_a_lab(path: Path) -> None:
    """Markers have a label, a finite time, and an end after it."""
    from ferflow.analytics.markers import markers_in, read_markers

    for marker in markers_in(read_markers(path)):
        assert marker.label
        assert math.isfinite(marker.time_s)
        assert marker.end_s is None or marker.end_s >= marker.time_s


def read_events_of_a_program(path: Path) -> None:
    """The same of files of other programs, read in this process, where an XDF would be read in a child."""
    from ferflow.analytics.markers import LONGEST_LABEL, MOST_MARKERS, to_table
    from ferflow.exchange import marker_files, xdf

    is_xdf = path.read_bytes()[:4] == xdf.MAGIC
    found = xdf.read_xdf(path) if is_xdf else marker_files.read_marker_file(path)
    assert 0 <= len(found) <= MOST_MARKERS
    for marker in found:
        assert 0 < len(marker.label) <= LONGEST_LABEL
        assert math.isfinite(marker.time_s)
        assert marker.end_s is None or marker.end_s > marker.time_s
    to_table(found)


def read_clock(path: Path) -> None:
    from ferflow.exchange.file_clock import parse_clock_map

    assert math.isfinite(parse_clock_map(path.read_text("utf-8", "replace")).to_video(60.0))


def read_sessions_of_a_lab(path: Path) -> None:
    """Every video has a row, and a finite place on the common clock."""
    from ferflow.analytics.session_list import read_sessions

    videos = {row[0]: f"/recordings/{row[0]}" for row in SESSIONS[1:]}
    sessions = read_sessions(path, videos)
    assert all(math.isfinite(sessions.of(video_id).offset_s) for video_id in videos)


def _marker_tables(folder: Path) -> list[bytes]:
    written = [dialect.write(MARKERS) for dialect in (DIALECTS | UNREADABLE).values()]
    return [*written, *(text.encode() for text in FOREIGN.values()), *NOT_A_TABLE.values()]


def _events_of_programs(folder: Path) -> list[bytes]:
    """Without files of recordings, which decoders read: `tests.torture.test_fuzz` is for those."""
    import pympi

    file = pympi.Elan.Eaf()
    file.add_tier("face")
    file.add_annotation("face", 1500, 2500, "smile")
    file.to_file(str(folder / "a.eaf"))
    texts = [
        *FOREIGN.values(),
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ada>Hello</v>\n\n00:03.000 --> 00:04.000\nyou\n",
        "1\n00:00:01,500 --> 00:00:02,500\nsmile\n\n2\n00:00:03,000 --> 00:00:04,000\nlaugh\n",
        "00:00:05 Boss\n00:01:05 - Menu\n",
        "1.500000\t2.500000\tsmile\n",
        "10:00:00.000: ==== Recording Start ====\n10:00:01.000: User switched to scene 'A'\n"
        "10:00:02.000: Wrote replay buffer to '/a/b.mkv'\n",
    ]
    return [*(text.encode() for text in texts), (folder / "a.eaf").read_bytes()]


def _xdf(folder: Path) -> list[bytes]:
    from tests.exchange.xdf_writer import recording

    return [recording(), recording(with_video=False)]


def _session_lists(folder: Path) -> list[bytes]:
    return [dialect.write(SESSIONS) for dialect in (DIALECTS | UNREADABLE).values()]


def _stills(folder: Path) -> list[bytes]:
    return [films.still(1, suffix=suffix) for suffix in (".png", ".jpg", ".bmp", ".webp", ".tiff")]


def _tables(folder: Path) -> list[bytes]:
    from tests.made_records import Made, write_session

    name = write_session(folder, Made(seconds=2))
    return [(folder / room / f"{name}.parquet").read_bytes() for room in ("frames", "faces")]


def _footers(folder: Path) -> list[bytes]:
    from ferflow.store.metadata import encode_metadata, read_metadata
    from tests.made_records import Made, write_session

    name = write_session(folder, Made(seconds=2))
    return [encode_metadata(read_metadata(folder / "faces" / f"{name}.parquet"))]


def _faces(folder: Path) -> list[bytes]:
    return [_tables(folder)[1]]


def _manifests(folder: Path) -> list[bytes]:
    return [(Path(__file__).parents[1] / "store" / "folder_of_schema_1" / "run.json").read_bytes()]


def _cards(folder: Path) -> list[bytes]:
    from ferflow.models.registry import SHIPPED

    return [path.read_bytes() for path in sorted(SHIPPED.glob("*.json"))]


def texts(*contents: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [content.encode() for content in contents]


JOB = """inputs = ["a.mp4", "b/*.mkv"]
out = "out"
workers = 2
markers = "m.csv"
every = 2
start = "0:10"
end = "1:30.5"
min_face = 40
detector = "haar"
score = 0.8
participants = 1
threads = 2
bin_seconds = 0.5
sequence_fps = 25
batch_size = 32
"""

SIGNALS = "time_s,health [%],level,score\n0,100,cave,0\n0.5,96.5,cave,\n1,,hall,1e3\n-1,7,,\n" + "".join(
    f"{k / 10},{k},x,\n" for k in range(30)
)

TARGETS = {
    "video": Target(_videos(), read_video, ".mp4"),
    "analysis": Target(_videos(), read_wholly, ".mp4"),
    "still": Target(_stills, read_video, ".png"),
    "job": Target(
        texts(
            JOB,
            'inputs = "a"\nout = "b"\nfps = 5\nend = "300f"\n',
            "inputs = ['a']\nout = 'b'\nmodel = 'x'\nfps = 1e300\n",
        ),
        read_job,
        ".toml",
        is_text=True,
    ),
    "signals": Target(
        texts(
            SIGNALS,
            "time_s,name,value\n0,health,100\n1:30.5,score,-3.5e2\n",
            'timestamp;"HR [bpm]";\n"2024-05-12 10:00:01,5";71,25;\n2024-05-12T10:00:02.5;72;\n',
            "timestamp,a\n1715515200250,1\n1715515201250,2\n",
        ),
        read_signals,
        ".csv",
        is_text=True,
    ),
    "signal lines": Target(
        texts('{"time_s": 0, "a": 1}\n{"time_s": 1.5, "b": null, "a": NaN}\n{"a": "x", "time_s": 2}\n'),
        read_signals,
        ".jsonl",
        is_text=True,
    ),
    "markers": Target(_marker_tables, read_markers_of_a_lab, ".csv"),
    "events": Target(_events_of_programs, read_events_of_a_program),
    "xdf": Target(_xdf, read_events_of_a_program),
    "clock": Target(texts("12.5", "10=12.5,610=613.1", "-1:30=0:00, 1:30=3:00.5"), read_clock, is_text=True),
    "sessions": Target(_session_lists, read_sessions_of_a_lab, ".csv"),
    "time": Target(texts("12.5", "300f", "1:30.5", "00:01:30.25"), read_time, is_text=True),
    "footer": Target(_tables, read_footer, ".parquet"),
    "manifest": Target(_manifests, read_manifest, ".json", is_text=True),
    "metadata": Target(_footers, read_metadata_of_ours, ".json", is_text=True),
    "records": Target(_faces, read_frames_and_faces, ".parquet"),
    "people": Target(
        texts(
            "video_id,track_id,name,from_s\nmade-0123abcd,1,Ada,\nmade-0123abcd,2,Max,1:30\n",
            "video_id,person_id,name\nmade-0123abcd,1,Ada\n",
            "video_id;track_id;name\nmade-0123abcd;1;'Zoë'\n",
        ),
        read_people_list,
        ".csv",
        is_text=True,
    ),
    "corrections": Target(
        texts(
            "video_id,action,start,end,person,value,note\nmade-0123abcd,exclude,0.5,1,,,break\n"
            "made-0123abcd,relabel,1:00,1:30.5,Person 1,happy,\nmade-0123abcd,drop,,,track 2,,\n",
            "video_id;action;start;end;person\nmade-0123abcd;exclude;0,5;1,5;Person 1\n",
        ),
        read_corrections_of_a_folder,
        ".csv",
        is_text=True,
    ),
    "page options": Target(
        texts(
            '{"options":{"theme":"dark","by":"group","sessions":"s.csv","title":"T","logo":null},"warnings":["a"]}'
        ),
        read_page_options,
        ".json",
        is_text=True,
    ),
    "notes": Target(
        texts(
            "# Title\n\n- a [link](https://a.b)\n- ![picture](a.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> `x`\n"
        ),
        read_notes,
        ".md",
        is_text=True,
    ),
    "card": Target(_cards, read_card, ".json", is_text=True),
}


def read_control(path: Path) -> None:
    """What the loop must notice: death, silence, an error that is none of ferflow's."""
    match path.read_bytes()[:1]:
        case b"d":
            os.abort()
        case b"s":
            threading.Event().wait()
        case b"e":
            raise KeyError("spoilt")


CONTROL = "control"
TARGETS[CONTROL] = Target(texts("fine"), read_control)
