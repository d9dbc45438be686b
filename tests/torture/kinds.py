"""What must become of each kind of input; also the table in docs/inputs.md."""

from __future__ import annotations

from dataclasses import dataclass

from tests.torture.films import N_FRAMES, Maker

DONE, GAPS, FAILED = "done", "done_with_gaps", "failed"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Inputs that end alike; a row of the table in docs/inputs.md."""

    title: str
    outcome: tuple[str, ...]
    reported: str = ""
    """Pattern of the error, or of one of the warnings; empty: none."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input."""

    kind: str
    name: str
    make: Maker
    rows: int | None = None
    """Of FRAMES; None: as many as the witness counts."""
    reported: str | None = None
    """Pattern of what is reported of it; None: that of its kind."""
    stream: int | None = None
    """Number of the video stream that must be analysed; None: the first."""
    is_slow: bool = False


KINDS = {
    "containers": Kind(
        title="MP4, MOV, MKV, WebM, AVI, MPEG-TS and -PS, FLV, WMV, 3GP, NUT, Y4M, IVF, GIF, APNG",
        outcome=(DONE,),
    ),
    "codecs": Kind(
        title="H.264, H.265, AV1, VP8, VP9, MPEG-1/2/4, MJPEG, ProRes, CineForm, PNG, QuickTime RLE, FFV1, HuffYUV, "
        "Ut Video, DV, uncompressed",
        outcome=(DONE,),
    ),
    "pixels": Kind(
        title="8 to 16 bits, 4:1:1 to 4:4:4, RGB, gray, palettes, alpha, limited and full range",
        outcome=(DONE,),
        note="the alpha channel is ignored: the colours under it are analysed",
    ),
    "hdr": Kind(title="HDR (PQ, HLG)", outcome=(DONE,), note="luma is converted to SDR first"),
    "interlaced": Kind(title="interlaced", outcome=(DONE,), note="the upper field of each frame is analysed"),
    "sizes": Kind(title="odd sizes, 1x1, lines, 8K", outcome=(DONE,)),
    "rotation": Kind(
        title="rotated by 90, 180, 270 degrees, or mirrored",
        outcome=(DONE,),
        note="read upright and not mirrored",
    ),
    "timing": Kind(
        title="variable frame rate, delayed start, negative timestamps, B-frames, dropped frames",
        outcome=(DONE,),
        note="times are those of the container",
    ),
    "untimed": Kind(
        title="no timestamps (raw H.264)",
        outcome=(DONE,),
        reported="no timestamps; times follow from 25 frames",
    ),
    "backwards": Kind(
        title="timestamps that jump backwards",
        outcome=(GAPS,),
        reported="timestamps jump back 1 time ",
        note="time continues by the usual step",
    ),
    "resized": Kind(
        title="picture size that changes during the video",
        outcome=(DONE,),
        reported="size changes from 64x48 to 96x64",
        note="boxes are in pixels of their own frame",
    ),
    "overlong": Kind(
        title="a single timestamp that is years away",
        outcome=(GAPS,),
        reported="timestamps jump ahead 1 time ",
        note="time continues by the usual step",
    ),
    "boastful": Kind(
        title="a header that states hours of video that do not exist",
        outcome=(GAPS,),
        reported="truncated: frames end at",
    ),
    "streams": Kind(
        title="audio, subtitles or a cover picture in addition to the video",
        outcome=(DONE,),
    ),
    "tracks": Kind(
        title="several video streams",
        outcome=(DONE,),
        reported=r"2 video streams: #0 .* is analysed, not #1",
        note="the default one, then the largest; `--stream` chooses",
    ),
    "sounds": Kind(
        title="only audio, subtitles or a cover picture",
        outcome=(FAILED,),
        reported=r"no video stream \(found|no format that ferflow reads",
    ),
    "ending": Kind(
        title="a wrong file extension",
        outcome=(DONE,),
        note="for a file given by name or matched by a glob, the content decides",
    ),
    "cut": Kind(
        title="truncated, and the container states the full length (MP4, MOV with the index in front; MKV, FLV, AVI)",
        outcome=(GAPS, FAILED, DONE),
        reported="truncated: frames end at|ends inside a frame|could not be decoded|no frame could be|not a video|"
        "damaged|cannot be opened",
        note="what could be read is kept; less than half a second can be missing without a warning",
    ),
    "cut-untold": Kind(
        title="truncated, and the container does not state the full length (GIF, TS, raw streams, fragmented MP4)",
        outcome=(DONE, GAPS, FAILED),
        reported="",
        note="what could be read is kept; the loss is noticed only where the cut goes through a frame",
    ),
    "no-index": Kind(
        title="MP4 or MOV truncated before its index",
        outcome=(FAILED,),
        reported="not a video .*cut off",
    ),
    "holes": Kind(
        title="frames that cannot be decoded",
        outcome=(GAPS,),
        reported=r"frames? could not be decoded \(after|damaged and left out \(after|reading stopped|jump back",
        note="skipped and counted; `gaps` says where",
    ),
    "resync": Kind(
        title="a hole in the data after which MKV, TS or AVI can be read again",
        outcome=(DONE, GAPS),
        note="where no frame is damaged, only a hole in `time_s` shows it",
    ),
    "flips": Kind(
        title="flipped bits anywhere",
        outcome=(DONE, GAPS, FAILED),
        note="a decoder notices most damage, but not all",
    ),
    "empty": Kind(title="an empty file", outcome=(FAILED,), reported=r"empty \(0 bytes\)"),
    "foreign": Kind(
        title="text, zeros, noise, archives, documents, programs",
        outcome=(FAILED,),
        reported="not a video|no video stream|no frame could be decoded|cannot be opened",
    ),
    "playlists": Kind(
        title="playlists and lists that name other files or addresses (HLS, DASH, concat, SDP, PLS, SMIL)",
        outcome=(FAILED,),
        reported="not a video",
        note="only the named file is opened; names inside it are not looked up",
    ),
    "references": Kind(
        title="MOV that refers to samples in another file",
        outcome=(FAILED, GAPS),
        reported="could not be decoded|no frame",
        note="the reference is not followed",
    ),
    "bombs": Kind(
        title="frames over 67 megapixels",
        outcome=(FAILED,),
        reported="over the limit|no frame could be decoded|not a video|cannot be opened",
        note="refused before memory is allocated",
    ),
    "names": Kind(
        title="file names with spaces, newlines, emoji, quotes, markup, leading dashes, 255 bytes, or invalid text",
        outcome=(DONE,),
        note="the files that ferflow writes have plain names",
    ),
    "links": Kind(title="links to videos", outcome=(DONE,)),
    "nowhere": Kind(
        title="broken or circular links, missing files",
        outcome=(FAILED,),
        reported="No such file|no such file|Too many levels",
    ),
    "endless": Kind(
        title="pipes, sockets, devices",
        outcome=(FAILED,),
        reported="not a regular file",
        note="never read: they could block without end",
    ),
    "barred": Kind(
        title="files and folders without read permission",
        outcome=(FAILED,),
        reported=r"[Pp]ermission|may (not )?be read|cannot be read",
    ),
    "desks": Kind(title="the files of the situations above, intact", outcome=(DONE,)),
    "desks-gaps": Kind(
        title="such a file whose clock jumps", outcome=(GAPS,), note="time continues by the usual step"
    ),
    "desks-damaged": Kind(
        title="such a file cut off, with a hole, or with flipped bits",
        outcome=(DONE, GAPS, FAILED),
        note="the intact files in the same run end as without it",
    ),
    "stills": Kind(
        title="a folder of two or more numbered PNG, JPEG, BMP, WebP or TIFF images",
        outcome=(DONE,),
        note="EXIF orientation is followed",
    ),
    "stills-broken": Kind(
        title="such a folder with unreadable images",
        outcome=(GAPS,),
        reported="1 frame could not be decoded",
        note="the readable images keep their times",
    ),
    "stills-none": Kind(
        title="such a folder without a readable image",
        outcome=(FAILED,),
        reported="none of the 3 images can be read",
    ),
}


def of(kind: str, makers: dict[str, Maker], rows: int | None = N_FRAMES) -> list[Case]:
    return [Case(kind=kind, name=name, make=make, rows=rows) for name, make in makers.items()]
