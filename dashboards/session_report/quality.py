"""What the numbers of a page rest on, and how to read them."""

from __future__ import annotations

import math
from typing import Any

from ferflow import palette
from ferflow.analytics.coverage import SMALL_FACE_PX
from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS
from ferflow.analytics.measures import REACTING_THRESHOLD
from ferflow.analytics.tally import BASELINE_SECONDS, column
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import UNKNOWN, count, percent, shown, size, some, timecode

Section = dict[str, Any]


def sampling(session: Session) -> str:
    """Which frames were analysed."""
    options = session.footer.options
    span = ""
    if options.start or options.end:
        span = f" from {options.start or 'the start'} to {options.end or 'the end'}"
    if options.fps:
        return f"at most {options.fps:g} frames analysed per second{span}"
    every = options.every
    return f"every frame analysed{span}" if every == 1 else f"one frame in {every} analysed{span}"


def quality_of(session: Session) -> Section:
    """The box of facts, and what to take with care."""
    n_failed = session.footer.counts.n_failed
    words = []
    if n_failed:
        words.append(f"{some(n_failed, 'frame')} could not be decoded and left no row.")
    cover = session.coverage
    if cover.n_pose_unknown:
        share = percent(cover.n_pose_unknown / cover.n_faces)
        words.append(
            f"Head pose is unknown for {share} of faces, which then have no attention and no engagement."
        )
    if session.n_small:
        share = percent(session.n_small / cover.n_faces)
        words.append(
            f"{share} of faces are lower than {SMALL_FACE_PX:g} px: take their expressions with care."
        )
    if session.n_blurry:
        words.append(f"{percent(session.n_blurry / cover.n_faces)} of faces are blurry.")
    facts = [_frame_facts(session), _face_facts(session), _model_facts(session), _source_facts(session)]
    return {"quality_words": " ".join(words) or "What the numbers on this page rest on.", "facts": facts}


def _group(title: str, rows: list[tuple[str, str]]) -> Section:
    return {"title": title, "rows": [(term, shown(text)) for term, text in rows]}


def _frame_facts(session: Session) -> Section:
    counts, cover = session.footer.counts, session.coverage
    return _group("Frames", [
        ("Sampling", sampling(session)),
        ("Decoded", count(counts.n_decoded)),
        ("Could not be decoded", count(counts.n_failed)),
        ("Damaged, left out", count(counts.n_damaged)),
        ("Analysed", count(cover.n_frames)),
        ("With a face", f"{count(cover.n_frames_with_face)} ({percent(cover.share)})"),
        ("Without a face", count(cover.n_frames - cover.n_frames_with_face)),
        *_times(session),
        ("Shot cuts", count(counts.n_cuts)),
        ("Bin of the table", f"{session.bin_seconds:g} s"),
    ])  # fmt: skip


def _times(session: Session) -> list[tuple[str, str]]:
    """The coverage strip in words: how long each of its states lasts, of those there are."""
    lasts = {state: float(column(session.coverage_timeline, state).sum()) for state in palette.COVERAGE}
    return [(f"Time, {palette.COVERAGE[state].words}", timecode(s)) for state, s in lasts.items() if s > 0]


def _face_facts(session: Session) -> Section:
    cover = session.coverage
    low, middle, high = session.face_px
    height = f"{middle:.0f} px (half: {low:.0f}–{high:.0f})" if cover.n_faces else UNKNOWN
    return _group("Faces", [
        ("Found", count(cover.n_faces)),
        ("Not followed", _part(cover.n_untracked, cover.n_faces)),
        ("Head pose unknown", _part(cover.n_pose_unknown, cover.n_faces)),
        (f"Lower than {SMALL_FACE_PX:g} px", _part(session.n_small, cover.n_faces)),
        ("Blurry", _part(session.n_blurry, cover.n_faces)),
        ("Median height", height),
        ("Median sharpness", UNKNOWN if math.isnan(session.sharpness) else f"{session.sharpness:.3g}"),
    ])  # fmt: skip


def _part(n: int, whole: int) -> str:
    return f"{count(n)} ({percent(n / whole)})" if whole else count(n)


def _model_facts(session: Session) -> Section:
    footer = session.footer
    rows = [("ferflow", footer.ferflow_version)]
    for part, made_by in (("Model", footer.model), ("Detector", footer.detector)):
        rows += [(part, made_by.name), (f"{part} sha256", f"{made_by.sha256[:12]}…")]
    rows += [("Least detector score", f"{footer.options.score:g}")]
    rows += [("Participants", str(footer.options.participants or "not given"))]
    return _group("Model and options", [*rows, ("Options digest", footer.options_digest[:12])])


def _source_facts(session: Session) -> Section:
    source = session.footer.source
    return _group("Source file", [
        ("Name", session.name),
        ("Size", size(source.size)),
        ("Format", f"{source.format or UNKNOWN}, {source.codec or UNKNOWN}"),
        ("Picture", f"{source.width} × {source.height} px"),
        ("Pixel format", source.pix_fmt or UNKNOWN),
        ("Rotation", f"{source.rotation}°"),
        ("Frame rate", _rate(source.frame_rate)),
        ("Length by its header", timecode(source.duration_s_from_header)),
    ])  # fmt: skip


def _rate(rate: float | None) -> str:
    return f"{rate:.3f}".rstrip("0").rstrip(".") + " per second" if rate else UNKNOWN


def reading(session: Session) -> list[tuple[str, str]]:
    """How to read the page: term and explanation of what is on it."""
    of_people = _people_reading(session) if session.people else []
    return [
        *of_people,
        (
            "Coverage",
            f"tells four things apart: a face of {SMALL_FACE_PX:g} px or more was seen; only smaller ones, whose "
            "expressions are guesses; nobody was; or no frame could be read, and nothing is known of that time.",
        ),
        *(_marker_reading(session) if session.people else []),
        ("Times", "are minutes and seconds after the first frame, taken from the file's own timestamps."),
    ]


def _people_reading(session: Session) -> list[tuple[str, str]]:
    sole = session.footer.options.participants == 1
    away = " While the only participant is out of view it counts as 0." if sole else ""
    return [
        (
            "Attention",
            "says how far a face is turned to the camera: 1 up to 15° aside, up or down, falling to 0 at 35°. It "
            f"knows nothing of where the eyes look or the mind is.{away}",
        ),
        (
            "Expressiveness",
            "is the score of everything but neutral, less the person's own resting face (the lower quartile "
            f"over the video, for people in view {BASELINE_SECONDS:g} s or longer).",
        ),
        (
            "Engagement",
            "is attention × expressiveness of a face. It measures faces, not interest: somebody absorbed and "
            "still has little of it.",
        ),
        (
            "Reacting",
            f"is a person whose expressiveness is {REACTING_THRESHOLD:g} or more in at least half of the "
            "person's faces of a bin.",
        ),
        (
            "Net positivity",
            "is the score of happy less the highest of angry, disgust, fear and sad. Negative does not mean bad: "
            "effort and suspense look like it, in games most of all.",
        ),
        (
            "Expressions",
            "are the model's scores for how a face appears. A face that scores 0.8 happy is not 80 % happy, and "
            "nobody need be happy behind it.",
        ),
        (
            "Audience",
            "curves are means over the people in view, each counted once. Gaps stay gaps: nobody in view is "
            "not 0.",
        ),
    ]


def _marker_reading(session: Session) -> list[tuple[str, str]]:
    if not len(session.markers):
        return []
    return [
        (
            "Around markers",
            f"curves are read in the bin that holds the marker's time, from {BEFORE_SECONDS:g} s before to "
            f"{AFTER_SECONDS:g} s after it, so they are exact to {session.bin_seconds:g} s. Nothing is subtracted.",
        )
    ]
