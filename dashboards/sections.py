"""A session in words: what each section of its page says. Plain texts; the template escapes and lays out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ferflow.summaries import PEAK_PROMINENCE, SMOOTHING_SECONDS, Peak, Person, leading_label
from ferflow.tally import BASELINE_SECONDS, REACTING_THRESHOLD

from . import palette
from .figures import MOST_LANES, drawn
from .session import SMALL_FACE_PX, Session
from .words import (
    UNKNOWN,
    count,
    listed,
    percent,
    score,
    shown,
    signed,
    size,
    some,
    timecode,
)

MOST_PEOPLE_ROWS = 40
"""People with a row of their own in the table, the longest seen first."""

Section = dict[str, Any]


def page_of(session: Session) -> Section:
    """Everything the template of a session needs but the figure."""
    footer = session.footer
    return {
        "name": shown(session.name),
        "lead": _lead(session),
        "warnings": [shown(warning) for warning in footer.get("warnings") or []],
        "warnings_title": "The analysis has gaps"
        if footer.get("status") == "done_with_gaps"
        else "To keep in mind",
        "empty": _empty(session),
        "cards": _cards(session),
        "summary": _summary(session),
        "mix": _mix(
            session.labels, {f"prob_{label}": session.mean(f"prob_{label}") for label in session.labels}
        ),
        **_timeline_words(session),
        **_peaks(session),
        **_people(session),
        **_quality(session),
        "reading": _reading(session),
    }


# --- Top ------------------------------------------------------------------------------------------------


def _lead(session: Session) -> str:
    footer = session.footer
    parts = [f"ferflow {footer.get('ferflow_version', UNKNOWN)}", f"model {_named(footer.get('model'))}"]
    parts += [f"detector {_named(footer.get('detector'))}", _sampling(session)]
    return " · ".join(parts)


def _sampling(session: Session) -> str:
    options = session.footer.get("options", {})
    span = ""
    if options.get("start") or options.get("end"):
        span = f" from {options.get('start') or 'the start'} to {options.get('end') or 'the end'}"
    if options.get("fps"):
        return f"at most {options['fps']:g} frames analysed per second{span}"
    every = options.get("every") or 1
    return f"every frame analysed{span}" if every == 1 else f"one frame in {every} analysed{span}"


def _empty(session: Session) -> Section | None:
    n, faces = session.coverage.n_frames, session.coverage.n_faces
    if session.people:
        return None
    if n == 0:
        return {
            "title": "No frame was analysed",
            "paragraphs": [
                "The chosen part of the video holds no frame that could be read. There is nothing to show; "
                "this says nothing about who is in it.",
            ],
        }
    if faces == 0:
        title = f"No face was found in any of the {some(n, 'analysed frame')}"
        if n == 1:
            title = "No face was found in the one analysed frame"
        return {
            "title": title,
            "paragraphs": [
                "The video was read and analysed; the detector saw nobody. This is a result, not a failure.",
                "If people are in it, their faces may be too small, turned away or too dark: try a smaller "
                "--min-face, a lower --score, or look at the data-quality box below.",
            ],
        }
    return {
        "title": f"{some(faces, 'face')} found, but nobody could be followed",
        "paragraphs": [
            f"Faces appear in {percent(session.coverage.share)} of {some(n, 'analysed frame')}, each "
            "too briefly "
            "to be followed as a person. They are in the table of faces with track_id -1.",
        ],
    }


def _cards(session: Session) -> list[Section]:
    cover = session.coverage
    cards = [
        _card("Duration", timecode(session.duration_s), f"{some(cover.n_frames, 'frame')} analysed"),
        _card("People", count(cover.n_people), _people_note(session)),
        _card("Coverage", percent(cover.share), "of analysed frames show a face"),
    ]
    return cards + ([_engagement_card(session), _reacting_card(session), _valence_card(session)]
                    if session.people else [])  # fmt: skip


def _card(label: str, value: str, note: str, unit: str = "") -> Section:
    return {"label": label, "value": value, "unit": unit, "note": note}


def _people_note(session: Session) -> str:
    if not session.people:
        return "nobody was followed"
    if len(session.people) == 1:
        return f"in view for {timecode(session.people[0].seconds)}"
    return f"at most {session.most_at_once} within {session.bin_seconds:g} s"


def _engagement_card(session: Session) -> Section:
    expressiveness = score(session.mean("expressiveness"))
    if not session.pose_known:
        return _card("Expressiveness", expressiveness, "attention and engagement unknown: no head pose")
    note = f"attention {score(session.mean('attention'))} · expressiveness {expressiveness}"
    return _card("Mean engagement", score(session.mean("engagement")), note)


def _reacting_card(session: Session) -> Section:
    if session.most_at_once <= 1:
        return _card("Reacting", percent(session.mean("reacting")), "of the time somebody is in view")
    together = session.together
    if together is None:
        return _card("Reacting at once", "0", f"nobody passes {REACTING_THRESHOLD:g} expressiveness")
    return _card(
        "Most reacting at once",
        str(together.n_reacting),
        f"at {timecode(together.time_s)}; {percent(session.mean('reacting'))} of people on average",
        unit=f"of {together.n_people}",
    )


def _valence_card(session: Session) -> Section:
    note = f"positive {score(session.mean('positive'))} − negative {score(session.mean('negative'))}"
    return _card("Net positivity", signed(session.mean("valence")), note)


def _summary(session: Session) -> str:
    """The page in three sentences, for those who read no charts and those who hear the page."""
    if not session.people:
        return ""
    who = "One person is" if len(session.people) == 1 else f"{count(len(session.people))} people are"
    text = f"{who} in view; {percent(session.coverage.share)} of the analysed frames show a face. "
    means = {f"prob_{label}": session.mean(f"prob_{label}") for label in session.labels}
    most, next_ = leading_label(means, neutral=True), leading_label(means)
    if most:
        apart = f", apart from that {next_}" if next_ and next_ != most else ""
        text += f"On the whole {shown(most)} appears most{shown(apart)}. "
    if not session.peaks:
        return text + "No moment stands out from the others."
    top = max(session.peaks, key=lambda peak: peak.height)
    others = f", the highest of {len(session.peaks)} peaks" if len(session.peaks) > 1 else ""
    there = f"{top.curve.capitalize()} reaches {score(top.height)} around {timecode(top.time_s)}{others}"
    return f"{text}{there}; {shown(top.label)} appears there." if top.label else f"{text}{there}."


def _mix(labels: list[str], means: Mapping[str, float]) -> list[Section]:
    """Mean scores of the labels, largest first; neutral last, as the ground the others stand on."""
    colours = palette.colours(labels)
    known = {label: means[f"prob_{label}"] for label in labels if math.isfinite(means[f"prob_{label}"])}
    order = sorted(known, key=lambda label: (label == "neutral", -known[label]))
    return [
        {"label": shown(label), "text": percent(known[label]), "width": f"{100 * known[label]:.2f}",
         "colour": colours[label]}
        for label in order
    ]  # fmt: skip


def mix_words(mix: list[Section]) -> str:
    """The bar of expressions in words."""
    return ", ".join(f"{part['label']} {part['text']}" for part in mix)


# --- Timeline, peaks, people ----------------------------------------------------------------------------


def _timeline_words(session: Session) -> Section:
    if not session.people:
        return {}
    data = drawn(session)
    each = f"Each point is the mean of {data.step_s:g} s"
    joined = f" ({data.step} bins of the table)" if data.step > 1 else ""
    lanes = (
        f" People beyond the {MOST_LANES} longest in view have no lane."
        if len(session.people) > MOST_LANES
        else ""
    )
    return {
        "timeline_hint": f"{each}{joined}; a break in a curve means nobody was in view, or no frame. "
        "Point to read "
        f"off values in every row, drag to look closer, double-click for all of it.{lanes}",
        "chart_words": "Timeline with five rows over one time axis: engagement with its factors, shares of "
        f"expressions, net positivity, who is in view, and coverage. {_summary(session)}",
    }


def _peaks(session: Session) -> Section:
    colours = palette.colours(session.labels)
    measure = session.peaks[0].curve.capitalize() if session.peaks else "Engagement"
    smooth = f"on the curve averaged over {SMOOTHING_SECONDS:g} s"
    hint = f"Moments worth watching: where {measure.lower()} stands out from what is around it, {smooth}."
    if session.peaks and not session.pose_known:
        hint += " Head pose is unknown in this video, so expressiveness stands in for engagement."
    if not session.peaks:
        hint = f"No moment rises by {PEAK_PROMINENCE:g} or more above what is around it, {smooth}."
    if math.isfinite(session.peak_end):
        end = score(session.peak_end)
        hint += f" Peak-end score of happy, the mean of its highest and its last value: {end}."
    return {
        "peaks_measure": measure,
        "peaks_hint": hint,
        "peaks": [_peak(peak, colours, session) for peak in session.peaks],
    }


def _peak(peak: Peak, colours: Mapping[str, str], session: Session) -> Section:
    return {
        "time": {"seconds": f"{peak.time_s:g}", "text": timecode(peak.time_s)},
        "span": f"{timecode(peak.start_s)} – {timecode(peak.end_s)}",
        "height": score(peak.height),
        "width": f"{100 * min(peak.height, 1.0):.1f}",
        "prominence": score(peak.prominence),
        "label": shown(peak.label or UNKNOWN),
        "colour": colours.get(peak.label or "", "transparent"),
        "people": _names(session, peak.track_ids),
    }


def _names(session: Session, track_ids: tuple[int, ...], most: int = 8) -> str:
    names = [shown(session.name_of(track)) for track in track_ids[:most]]
    return listed([*names, f"{len(track_ids) - most} more"] if len(track_ids) > most else names) or UNKNOWN


def _people(session: Session) -> Section:
    listed_people = session.people[:MOST_PEOPLE_ROWS]
    hint = (
        "Numbers are means over a person's faces. A person is a face followed without a break: somebody who "
        "leaves and returns may be counted twice."
    )
    if hidden := session.people[MOST_PEOPLE_ROWS:]:
        longest = timecode(hidden[0].seconds)
        hint += f" Not listed: {some(len(hidden), 'person', 'people')} in view for {longest} or less."
    return {"people_hint": hint, "people": [_person(person, session) for person in listed_people]}


def _person(person: Person, session: Session) -> Section:
    means, mix = person.means, _mix(session.labels, person.means)
    return {
        "name": shown(session.name_of(person.track_id)),
        "seconds": timecode(person.seconds),
        "span": f"{timecode(person.first_s)} – {timecode(person.last_s)}",
        "mix": mix,
        "mix_words": mix_words(mix),
        "label": shown(person.label or UNKNOWN),
        "leading": shown(person.leading) if person.leading and person.leading != person.label else None,
        "engagement": score(means["engagement"]),
        "attention": score(means["attention"]),
        "expressiveness": score(means["expressiveness"]),
        "valence": signed(means["valence"]),
        "reacting": percent(means["reacting"]),
        "pose_known": percent(person.pose_known),
    }


# --- Quality --------------------------------------------------------------------------------------------


def _quality(session: Session) -> Section:
    footer = session.footer
    n_failed = footer.get("counts", {}).get("n_failed")
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
    counts, cover = session.footer.get("counts", {}), session.coverage
    return _group("Frames", [
        ("Sampling", _sampling(session)),
        ("Decoded", count(counts.get("n_decoded"))),
        ("Could not be decoded", count(counts.get("n_failed"))),
        ("Damaged, left out", count(counts.get("n_damaged"))),
        ("Analysed", count(cover.n_frames)),
        ("With a face", f"{count(cover.n_frames_with_face)} ({percent(cover.share)})"),
        ("Without a face", count(cover.n_frames - cover.n_frames_with_face)),
        ("Shot cuts", count(counts.get("n_cuts"))),
        ("Bin of the table", f"{session.bin_seconds:g} s"),
    ])  # fmt: skip


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
    rows = [("ferflow", str(footer.get("ferflow_version", UNKNOWN)))]
    for part in ("model", "detector"):
        rows += [
            (part.capitalize(), _named(footer.get(part))),
            (f"{part.capitalize()} sha256", _sha256(footer.get(part))),
        ]
    options = footer.get("options", {})
    rows += [("Least detector score", f"{options['score']:g}")] if "score" in options else []
    rows += [("Participants", str(options.get("participants") or "not given"))]
    return _group(
        "Model and options", [*rows, ("Options digest", str(footer.get("options_digest", UNKNOWN))[:12])]
    )


def _named(part: Any) -> str:
    return str(part.get("name", UNKNOWN)) if isinstance(part, Mapping) else UNKNOWN


def _sha256(part: Any) -> str:
    digest = str(part.get("sha256") or "") if isinstance(part, Mapping) else ""
    return f"{digest[:12]}…" if digest else UNKNOWN


def _source_facts(session: Session) -> Section:
    source = session.footer.get("source", {})
    width, height = source.get("width"), source.get("height")
    rate = source.get("frame_rate")
    return _group("Source file", [
        ("Name", session.name),
        ("Size", size(source.get("size"))),
        ("Format", f"{source.get('format') or UNKNOWN}, {source.get('codec') or UNKNOWN}"),
        ("Picture", f"{width} × {height} px" if width and height else UNKNOWN),
        ("Pixel format", str(source.get("pix_fmt") or UNKNOWN)),
        ("Rotation", f"{source['rotation']}°" if source.get("rotation") is not None else UNKNOWN),
        ("Frame rate", _rate(rate)),
        ("Length by its header", timecode(_number(source.get("duration_s_from_header")))),
    ])  # fmt: skip


def _rate(rate: Any) -> str:
    number = _number(rate)
    return f"{number:.3f}".rstrip("0").rstrip(".") + " per second" if number else str(rate or UNKNOWN)


def _number(value: Any) -> float | None:
    """A number, or a fraction written `30000/1001`."""
    try:
        top, _, bottom = str(value).partition("/")
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None


def _reading(session: Session) -> list[tuple[str, str]]:
    sole = session.footer.get("options", {}).get("participants") == 1
    away = " While the only participant is out of view it counts as 0." if sole else ""
    return [
        (
            "Attention",
            "says how far a face is turned to the camera: 1 up to 15° aside, up or down, falling to "
            "0 at 35°. It "
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
            f"is a person whose expressiveness is {REACTING_THRESHOLD:g} or more in at least half of "
            "the person's "
            "faces of a bin.",
        ),
        (
            "Net positivity",
            "is the score of happy less the highest of angry, disgust, fear and sad. Negative does "
            "not mean bad: "
            "effort and suspense look like it, in games most of all.",
        ),
        (
            "Expressions",
            "are the model's scores for how a face appears. A face that scores 0.8 happy is not 80 % "
            "happy, and "
            "nobody need be happy behind it.",
        ),
        (
            "Audience",
            "curves are means over the people in view, each counted once. Gaps stay gaps: nobody in view is "
            "not 0.",
        ),
        ("Times", "are minutes and seconds after the first frame, taken from the file's own timestamps."),
    ]
