"""What the numbers of a page are based on: frames, faces, model and source file."""

from __future__ import annotations

from dataclasses import dataclass

from ferflow import palette
from ferflow.analytics.limits import NO_LIMITS
from ferflow.analytics.readability import LEAST_FACE_PX, LEAST_SHARPNESS, YAW_LIMIT_DEGREES
from ferflow.analytics.tally import column
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    count,
    percent,
    pluralize,
    sanitize,
    size,
    timecode,
)


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts about one thing: (term, value)."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Facts about the data, and what limits it."""

    hint: str
    groups: tuple[FactGroup, ...]


def build_quality(session: Session) -> Quality:
    """Facts about frames, faces, model and source."""
    return Quality(
        " ".join(_limits(session))
        or "The numbers on this page are based on these frames, faces, model and file.",
        (_frame_facts(session), _face_facts(session), _model_facts(session), _source_facts(session)),
    )


def _limits(session: Session) -> list[str]:
    """What to be careful with, a sentence each."""
    cover, limits = session.coverage, []
    n_failed = session.metadata.counts.n_failed
    if n_failed:
        have = "has" if n_failed == 1 else "have"
        limits.append(f"{pluralize(n_failed, 'frame')} could not be read and {have} no row.")
    if cover.n_pose_unknown:
        share = percent(cover.n_pose_unknown / cover.n_faces)
        limits.append(
            f"Head pose is unknown for {share} of faces: it is not known whether they face the camera."
        )
    unreadable = sum(session.n_unreadable.values())
    if unreadable:
        limits.append(
            f"Expressions are not read from {percent(unreadable / cover.n_faces)} of faces, which are turned by more "
            f"than {YAW_LIMIT_DEGREES:g}°, smaller than {LEAST_FACE_PX:g} px, blurred, or have something in front of "
            "the mouth."
        )
    return limits


def describe_sampling(session: Session) -> str:
    """Which frames were analysed."""
    options = session.metadata.options
    span = ""
    if options.start or options.end:
        span = f" from {options.start or 'the start'} to {options.end or 'the end'}"
    if options.fps:
        return f"at most {options.fps:g} frames analysed per second{span}"
    return (
        f"every frame analysed{span}"
        if options.every == 1
        else f"one frame in {options.every} analysed{span}"
    )


def _group(title: str, facts: list[tuple[str, str]]) -> FactGroup:
    return FactGroup(title, tuple((term, sanitize(text)) for term, text in facts))


def _frame_facts(session: Session) -> FactGroup:
    counts, cover = session.metadata.counts, session.coverage
    return _group("Frames", [
        ("Sampling", describe_sampling(session)),
        ("Read", count(counts.n_decoded)),
        ("Could not be read", count(counts.n_failed)),
        ("Damaged, not analysed", count(counts.n_damaged)),
        (_name_analysed(session), count(cover.n_frames)),
        ("With a face", count(cover.n_frames_with_face)),
        ("Without a face", count(cover.n_frames - cover.n_frames_with_face)),
        *_coverage_times(session),
        ("Shot cuts", count(counts.n_cuts)),
        ("Length of a step", f"{session.bin_seconds:g} s"),
    ])  # fmt: skip


def _name_analysed(session: Session) -> str:
    if session.limits.excluded:
        return "Analysed, and not excluded"
    return "Analysed" if session.limits == NO_LIMITS else "Analysed, and within start and end"


def _coverage_times(session: Session) -> list[tuple[str, str]]:
    """How long each state of the coverage row lasts, of those that occur."""
    lasts = {state: float(column(session.coverage_timeline, state).sum()) for state in palette.COVERAGE}
    return [(f"Time: {palette.COVERAGE[state].words}", timecode(s)) for state, s in lasts.items() if s > 0]


def _face_facts(session: Session) -> FactGroup:
    cover = session.coverage
    low, middle, high = session.face_px
    size_px, quartiles = f"{middle:.0f} px", f"{low:.0f}–{high:.0f} px"
    return _group("Faces", [
        ("Found", count(cover.n_faces)),
        ("Not assigned to a person", _part(cover.n_untracked, cover.n_faces)),
        ("Head pose unknown", _part(cover.n_pose_unknown, cover.n_faces)),
        (f"Turned by more than {YAW_LIMIT_DEGREES:g}°", _part(session.n_unreadable["turned"], cover.n_faces)),
        (f"Smaller than {LEAST_FACE_PX:g} px", _part(session.n_unreadable["small"], cover.n_faces)),
        (f"Blurred (sharpness below {LEAST_SHARPNESS:g})", _part(session.n_unreadable["blurred"], cover.n_faces)),
        ("Mouth covered", _part(session.n_unreadable["occluded"], cover.n_faces)),
        ("Median size", size_px if cover.n_faces else UNKNOWN),
        ("Sizes, 25th to 75th percentile", quartiles if cover.n_faces else UNKNOWN),
    ])  # fmt: skip


def _part(n: int, total: int) -> str:
    return f"{count(n)} ({percent(n / total)})" if total else count(n)


def _model_facts(session: Session) -> FactGroup:
    metadata = session.metadata
    facts = [("ferflow", metadata.ferflow_version)]
    for part, identity in (("Model", metadata.model), ("Detector", metadata.detector)):
        facts += [(part, identity.name), (f"{part} sha256", f"{identity.sha256[:12]}…")]
    return _group("Model and options", [
        *facts,
        ("Minimum detector score", f"{metadata.options.score:g}"),
        ("Participants", str(metadata.options.participants or "not given")),
        ("Neutral faces that the model expects", _prior(session)),
        ("Fingerprint of the options", metadata.options_digest[:12]),
    ])  # fmt: skip


def _prior(session: Session) -> str:
    prior = session.basis.neutral_prior
    return "unknown" if prior is None else f"{prior:.3f}, replaced by 0.5"


def _source_facts(session: Session) -> FactGroup:
    source = session.metadata.source
    return _group("Source file", [
        ("Name", session.name),
        ("Size", size(source.size)),
        ("Container", source.format or UNKNOWN),
        ("Codec", source.codec or UNKNOWN),
        ("Picture", f"{source.width} × {source.height} px"),
        ("Pixel format", source.pix_fmt or UNKNOWN),
        ("Rotation", f"{source.rotation}°"),
        ("Frame rate", _rate(source.frame_rate)),
        ("Duration in the header", timecode(source.duration_s_from_header)),
    ])  # fmt: skip


def _rate(rate: float | None) -> str:
    return f"{rate:.3f}".rstrip("0").rstrip(".") + " per second" if rate else UNKNOWN
