"""The torture corpus: what is put before ferflow, and what must become of each kind of it.

`KINDS` is also the table in docs/inputs.md. A case says how many rows FRAMES must have if its maker knows;
else an independent decoder says so, up to the damage (`witness`).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from tests.torture import wreck
from tests.torture.films import (
    N_FRAMES,
    Maker,
    annex_b,
    film,
    joined,
    scene,
    song,
    still,
    stills,
    tone,
    words,
)

DONE, GAPS, FAILED = "done", "done_with_gaps", "failed"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Inputs that end alike; a row of the table in docs/inputs.md."""

    title: str
    outcome: tuple[str, ...]
    told: str = ""
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
        note="alpha is ignored: what lies under it is analysed",
    ),
    "hdr": Kind(title="HDR (PQ, HLG)", outcome=(DONE,), note="luma is brought to SDR first"),
    "interlaced": Kind(title="interlaced", outcome=(DONE,), note="the upper field of each frame is analysed"),
    "sizes": Kind(title="odd sizes, 1x1, lines, 8K", outcome=(DONE,)),
    "rotation": Kind(title="rotated by 90, 180, 270 degrees, or mirrored", outcome=(DONE,), note="read upright"),
    "timing": Kind(
        title="variable frame rate, delayed start, negative timestamps, B-frames, dropped frames",
        outcome=(DONE,),
        note="times are the container's",
    ),
    "untimed": Kind(
        title="no timestamps (raw H.264)", outcome=(DONE,), told="no timestamps; times follow from 25 frames"
    ),
    "backwards": Kind(
        title="timestamps that jump back", outcome=(GAPS,), told="timestamps jump back 1 times",
        note="time goes on by the usual step",
    ),
    "resized": Kind(
        title="picture size that changes on the way", outcome=(DONE,), told="size changes from 64x48 to 96x64",
        note="boxes are in pixels of their own frame",
    ),
    "overlong": Kind(
        title="a single timestamp years away", outcome=(FAILED,), told=r"more than 1000000. Give a longer --bin",
    ),
    "boastful": Kind(
        title="a header that promises hours that are not there", outcome=(GAPS,), told="truncated: frames end at",
    ),
    "streams": Kind(
        title="sound, subtitles or a cover picture beside the video; several videos", outcome=(DONE,),
        note="the first video stream is analysed",
    ),
    "sounds": Kind(
        title="sound, subtitles or a cover picture only", outcome=(FAILED,),
        told=r"no video stream \(found|no format that ferflow reads",
    ),
    "ending": Kind(title="a wrong file ending", outcome=(DONE,), note="the content decides"),
    "cut": Kind(
        title="cut off, and the container tells how long it was (MP4 with the index in front, MKV, WebM, MOV, FLV, AVI)",
        outcome=(GAPS, FAILED, DONE), told="truncated: frames end at|ends inside a frame|could not be decoded|no frame could be|not a video|damaged",
        note="what could be read is kept; less than half a second may be missing without a word",
    ),
    "cut-untold": Kind(
        title="cut off, and the container does not tell (GIF, TS, raw streams, fragmented MP4)",
        outcome=(DONE, GAPS, FAILED), told="",
        note="what could be read is kept; that something is missing is only seen where the cut went through a frame",
    ),
    "no-index": Kind(
        title="MP4 or MOV cut off before its index", outcome=(FAILED,), told="not a video .*cut off",
    ),
    "holes": Kind(
        title="frames that cannot be decoded", outcome=(GAPS,),
        told=r"frames? could not be decoded \(after|damaged and left out \(after|reading stopped|jump back",
        note="left out and counted; `gaps` says where",
    ),
    "resync": Kind(
        title="a hole after which MKV or TS finds its way again", outcome=(DONE, GAPS),
        note="where no frame was broken by it, all that is seen of it is a hole in `time_s`",
    ),
    "flips": Kind(
        title="bits turned over anywhere", outcome=(DONE, GAPS, FAILED),
        note="a decoder notices most damage, not all",
    ),
    "empty": Kind(title="an empty file", outcome=(FAILED,), told=r"empty \(0 bytes\)"),
    "foreign": Kind(
        title="text, zeros, noise, archives, documents, programs", outcome=(FAILED,),
        told="not a video|no video stream|no frame could be decoded|cannot be opened",
    ),
    "playlists": Kind(
        title="playlists and lists that name other files or addresses (HLS, DASH, concat, SDP, PLS, SMIL)",
        outcome=(FAILED,), told="not a video",
        note="nothing but the named file is opened, no name in it is looked up",
    ),
    "references": Kind(
        title="MOV that refers to samples in another file", outcome=(FAILED, GAPS), told="could not be decoded|no frame",
        note="the reference is not followed",
    ),
    "bombs": Kind(
        title="frames over 67 megapixels", outcome=(FAILED,), told="over the limit|no frame could be decoded|not a video|cannot be opened",
        note="refused before memory is taken",
    ),
    "names": Kind(
        title="names with spaces, newlines, emoji, quotes, markup, leading dashes or dots, 255 bytes, bytes that are no text",
        outcome=(DONE,), note="files of ferflow's own have plain names",
    ),
    "links": Kind(title="links to videos", outcome=(DONE,)),
    "nowhere": Kind(
        title="links to nothing or in a circle, missing files", outcome=(FAILED,),
        told="No such file|no such file|Too many levels",
    ),
    "endless": Kind(
        title="pipes, sockets, devices", outcome=(FAILED,), told="not a regular file", note="never waited for",
    ),
    "barred": Kind(
        title="files and folders that may not be read", outcome=(FAILED,),
        told=r"[Pp]ermission|may (not )?be read|cannot be read",
    ),
    "stills": Kind(
        title="a folder of two or more numbered PNG, JPEG, BMP, WebP or TIFF images",
        outcome=(DONE,), note="EXIF orientation is followed",
    ),
    "stills-broken": Kind(
        title="such a folder with unreadable images", outcome=(GAPS,), told="1 frame could not be decoded",
        note="their place in time stays",
    ),
    "stills-none": Kind(
        title="such a folder without a readable image", outcome=(FAILED,), told="none of the 3 images can be read",
    ),
}  # fmt: skip

MS = Fraction(1, 1000)
MP4, MKV, AVI = film(), film(), film("mpeg4")
LONG = film(n=75, gop=10)
FASTSTART = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
LETTERS_OF_FOUR_BYTES = "\U00020000"


def _of(kind: str, makers: dict[str, Maker], rows: int | None = N_FRAMES) -> list[Case]:
    return [Case(kind=kind, name=name, make=make, rows=rows) for name, make in makers.items()]


def _containers() -> list[Case]:
    h264, gif_time = film(), [4 * i for i in range(N_FRAMES)]
    return _of("containers", {
        "h264.mp4": h264, "h264.mov": h264, "h264.mkv": h264, "h264.ts": h264, "h264.m2ts": film(muxer="mpegts"),
        "h264.flv": film(time_base=MS, pts=range(0, 40 * N_FRAMES, 40)), "h264.nut": h264,
        "fragmented.mp4": film(container=FRAGMENTED), "faststart.mp4": film(container=FASTSTART),
        "vp9.webm": film("libvpx-vp9"), "mpeg4.avi": film("mpeg4"), "mpeg2.mpg": film("mpeg2video"),
        "wmv2.wmv": film("wmv2"), "h263.3gp": film("h263", size=(176, 144)), "raw.y4m": film("wrapped_avframe", muxer="yuv4mpegpipe"),
        "vp8.ivf": film("libvpx"), "film.gif": film("gif", "rgb8", pts=gif_time, time_base=Fraction(1, 100)),
        "film.apng": film("apng", "rgb24"),
    })  # fmt: skip


def _codecs() -> list[Case]:
    return _of("codecs", {
        "h265.mp4": film("libx265"), "h265.mkv": film("libx265"), "h265.ts": film("libx265"), "av1.mp4": film("libsvtav1"),
        "av1.mkv": film("libsvtav1"), "av1.webm": film("libsvtav1"), "vp8.webm": film("libvpx"),
        "vp9.mkv": film("libvpx-vp9"), "vp9.mp4": film("libvpx-vp9"), "mpeg1.mpg": film("mpeg1video"),
        "mpeg2.ts": film("mpeg2video"), "mpeg4.mp4": film("mpeg4"), "msmpeg4.avi": film("msmpeg4"),
        "mjpeg.avi": film("mjpeg", "yuvj420p"), "mjpeg.mkv": film("mjpeg", "yuvj420p"), "mjpeg.mov": film("mjpeg", "yuvj422p"),
        "prores.mov": film("prores_ks", "yuv422p10le"), "cineform.mov": film("cfhd", "yuv422p10le"),
        "png.mov": film("png", "rgb24"), "rle.mov": film("qtrle", "rgb24"), "ffv1.mkv": film("ffv1"),
        "huffyuv.avi": film("huffyuv", "yuv422p"), "utvideo.avi": film("utvideo"), "raw.avi": film("rawvideo", "bgr24"),
        "raw.nut": film("rawvideo", "yuv420p"), "dv.avi": film("dvvideo", "yuv420p", size=(720, 576)),
        "flash.flv": film("flv", time_base=MS, pts=range(0, 40 * N_FRAMES, 40)),
        "dnxhr.mov": film("dnxhd", "yuv422p", size=(256, 144), options={"profile": "dnxhr_sq"}),
        "jpeg2000.mkv": film("jpeg2000", "rgb24"), "snow.nut": film("snow", "yuv420p", options={"strict": "-2"}),
    })  # fmt: skip


def _pixels() -> list[Case]:
    of_h264 = ("yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray")
    of_ffv1 = ("yuv411p", "yuv440p", "yuva420p", "bgra", "gray", "gray10le", "gray16le", "yuv420p16le", "rgb48le", "ya8")  # fmt: skip
    makers = {f"h264 {name}.mkv": film(pix_fmt=name) for name in of_h264}
    makers |= {f"ffv1 {name}.mkv": film("ffv1", name) for name in of_ffv1}
    makers |= {f"h265 {name}.mkv": film("libx265", name) for name in ("yuv420p10le", "yuv444p12le")}
    makers |= {f"png {name}.mov": film("png", name) for name in ("rgba", "pal8", "monob", "rgb48be")}
    makers |= {
        "h264 rgb.mkv": film("libx264rgb", "rgb24"),
        "h264 full 10.mkv": film(pix_fmt="yuv420p10le", prepare=lambda s: setattr(s.codec_context, "color_range", 2)),
        "vp9 alpha.webm": film("libvpx-vp9", "yuva420p", options={"auto-alt-ref": "0"}),
        "vp9 444.webm": film("libvpx-vp9", "yuv444p"),
        "gray raw.avi": film("rawvideo", "gray"),
    }  # fmt: skip
    del makers["png pal8.mov"]  # swscale makes no palettes
    return _of("pixels", makers)


def _hdr(transfer: int) -> Maker:
    def tag(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    return film("libx265", "yuv420p10le", prepare=tag)


def _shapes() -> list[Case]:
    lace = {"flags": "+ildct+ilme"}
    cases = _of("hdr", {"pq.mkv": _hdr(16), "hlg.mp4": _hdr(18)})
    cases += _of("interlaced", {
        "laced.ts": film("mpeg2video", options=lace), "laced.mkv": film(options={"x264-params": "tff=1"}),
        "laced dv.avi": film("dvvideo", "yuv420p", size=(720, 576), options={"flags": "+ildct"}),
    })  # fmt: skip
    sizes = {"67x51": (67, 51), "1x1": (1, 1), "2x2": (2, 2), "4096x16": (4096, 16)}  # fmt: skip
    cases += _of("sizes", {f"{name}.mkv": film("ffv1", size=size) for name, size in sizes.items()})
    lines = {"1x1": (1, 1), "1x99": (1, 99), "99x1": (99, 1), "3x5": (3, 5)}
    cases += _of("sizes", {f"{name}.mov": film("png", "rgb24", size=size) for name, size in lines.items()})
    cases += _of("sizes", {f"{name}.gif": film("gif", "rgb8", size=size) for name, size in lines.items()})
    cases += _of("sizes", {"8k.avi": film("mjpeg", "yuvj420p", size=(7680, 4320), n=1)}, rows=1)
    for degrees in (90, 180, 270):
        cases += _of("rotation", {f"turned {degrees}.mp4": film(rotation=degrees), f"turned {degrees}.mov": film(rotation=degrees)})  # fmt: skip
    cases += _of("rotation", {
        "mirrored.mp4": wreck.display_matrix(MP4, -1, 0, 0, 1), "upside down mirrored.mp4": wreck.display_matrix(MP4, 1, 0, 0, -1),
        "askew.mp4": wreck.display_matrix(MP4, 3, 7, -2, 1), "null matrix.mp4": wreck.display_matrix(MP4, 0, 0, 0, 0),
    })  # fmt: skip
    return cases


def _times() -> list[Case]:
    steps = [0, 33, 66, 500, 510, 900, 910, 1000, 2000, 2001, 2002, 2100]
    ninety = Fraction(1, 90_000)
    cases = _of("timing", {
        "vfr.mkv": film(pts=steps, time_base=MS), "vfr.mp4": film(pts=steps, time_base=MS),
        "late.mkv": film(pts=[700 + s for s in steps], time_base=MS), "late.mp4": film(pts=[700 + s for s in steps], time_base=MS),
        "negative.mkv": film(pts=[s - 200 for s in steps], time_base=MS),
        "negative.nut": film(pts=[s - 200 for s in steps], time_base=MS),
        "b-frames.mp4": film(options={"preset": "fast", "bf": "3"}), "b-frames.mkv": film(options={"preset": "fast", "bf": "3"}),
        "b-frames.avi": film("mpeg4", options={"bf": "2"}), "b-frames.ts": film("mpeg2video", options={"bf": "2"}),
        "open gop.mp4": film("libx265", n=N_FRAMES, gop=6), "dropped.mp4": film(pts=[0, 1, 2, 3, 9, 10, 11, 20, 21, 22, 23, 24]),
        "dropped.avi": film("mpeg4", pts=[0, 1, 2, 3, 9, 10, 11, 20, 21, 22, 23, 24]),
        "long last.mp4": film(pts=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 500]),
        "wrapped.ts": film(pts=[2**33 - 18_000 + 3600 * i for i in range(N_FRAMES)], time_base=ninety),
    })  # fmt: skip
    # What lies before 0 is not meant to be shown, says the file's edit list.
    cases += _of("timing", {"negative.mp4": film(pts=[s - 200 for s in steps], time_base=MS)}, rows=9)
    cases += _of("untimed", {"raw.h264": annex_b})
    cases += _of("backwards", {
        "joined.ts": joined(
            film(pts=[1_800_000 + 3600 * i for i in range(6)], time_base=ninety),
            film(pts=[3600 * i for i in range(6)], time_base=ninety),
        )
    }, rows=None)  # fmt: skip
    cases += _of("resized", {
        "grows.ts": joined(
            film("mpeg2video", n=6), film("mpeg2video", size=(96, 64), pts=range(6, 12)),
        )
    }, rows=None)  # fmt: skip
    cases += _of("overlong", {
        "years.mkv": film(pts=[*range(0, 440, 40), 4_000_000_000], time_base=MS),
    })  # fmt: skip
    hours = struct.pack(">I", 2_000_000_000)
    cases += _of("timing", {
        "hours.mp4": wreck.patched_box(wreck.patched_box(MP4, (b"moov", b"trak", b"mdia", b"mdhd"), 24, hours), (b"moov", b"mvhd"), 24, hours),
    })  # fmt: skip
    cases += _of("boastful", {
        "hours.avi": wreck.spoilt(AVI, lambda content: content.replace(struct.pack("<II", 0, N_FRAMES), struct.pack("<II", 0, 9_000_000))),
        "hours.mkv": wreck.spoilt(MKV, lambda content: content.replace(b"00:00:00.48", b"99:00:00.48")),
    })  # fmt: skip
    return cases


def _streams() -> list[Case]:
    cases = _of("streams", {"with sound.mp4": film(audio=True), "two.mkv": _two_videos, "with words.mkv": _with_subtitles, "with cover.mp4": _with_cover})  # fmt: skip
    cases += _of("sounds", {
        "song.mp4": song(), "song.mov": song(), "covered.mp4": song(cover=True), "tone.mp4": tone, "words.mkv": _subtitles_only,
        "words.srt": words("1\n00:00:00,000 --> 00:00:01,000\nHello\n"),
    }, rows=None)  # fmt: skip
    cases += _of("ending", {"mkv.mp4": film(muxer="matroska"), "mp4.avi": film(muxer="mp4"), "gif.mov": film("gif", "rgb8", muxer="gif", time_base=Fraction(1, 100), pts=range(0, 48, 4))})  # fmt: skip
    cases += _of("ending", {"photo.mp4": words(still())}, rows=1)
    return cases


def _two_videos(path: Path) -> None:
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, size in zip(streams, ((64, 48), (32, 24)), strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(N_FRAMES):
            for stream in streams:
                picture = av.VideoFrame.from_ndarray(
                    scene(number, (stream.width, stream.height)), format="rgb24"
                )
                file.mux(stream.encode(picture))
        for stream in streams:
            file.mux(stream.encode(None))


def _with_cover(path: Path) -> None:
    """The cover comes first."""
    with av.open(str(path), "w") as file:
        cover, stream = file.add_stream("mjpeg", rate=1), file.add_stream("libx264", rate=25)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.mux(cover.encode(av.VideoFrame.from_ndarray(scene(0, (16, 16))).reformat(format="yuvj420p")))
        file.mux(cover.encode(None))
        for number in range(N_FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(scene(number), format="rgb24")))
        file.mux(stream.encode(None))


def _subtitles_only(path: Path) -> None:
    """Matroska with one track of text, written by hand: EBML header, segment, track."""

    def element(ident: str, body: bytes) -> bytes:
        return bytes.fromhex(ident) + bytes([0x08, *len(body).to_bytes(4, "big")]) + body

    header = element(
        "1a45dfa3", element("4282", b"matroska") + element("4287", b"\4") + element("4285", b"\2")
    )
    track = (
        element("d7", b"\1") + element("73c5", b"\1") + element("83", b"\x11") + element("86", b"S_TEXT/UTF8")
    )
    cluster = element("1f43b675", element("e7", b"\0") + element("a3", b"\x81\0\0\x80Hello"))
    info = element("1549a966", element("2ad7b1", (1_000_000).to_bytes(4, "big")))
    path.write_bytes(header + element("18538067", info + element("1654ae6b", element("ae", track)) + cluster))


def _with_subtitles(path: Path) -> None:
    srt = path.with_suffix(".srt")
    srt.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with av.open(str(srt)) as source, av.open(str(path), "w") as file:
        text = file.add_stream_from_template(source.streams.subtitles[0])
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(N_FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(scene(number), format="rgb24")))
        file.mux(stream.encode(None))
        for packet in source.demux():
            if packet.size:
                packet.stream = text
                file.mux(packet)
    srt.unlink()


CUTS = {
    "mkv": ("cut", LONG), "front.mp4": ("cut", film(n=75, container=FASTSTART)), "webm": ("cut", film("libvpx-vp9", n=75)),
    "avi": ("cut", film("mpeg4", n=75)), "front.mov": ("cut", film("prores_ks", "yuv422p10le", n=30, container=FASTSTART)),
    "flv": ("cut", film("flv", n=75, time_base=MS, pts=range(0, 3000, 40))),
    "av1.mkv": ("cut", film("libsvtav1", n=75)), "h265.mkv": ("cut", film("libx265", n=75)),
    "ts": ("cut-untold", LONG), "gif": ("cut-untold", film("gif", "rgb8", n=30, pts=range(0, 120, 4), time_base=Fraction(1, 100))),
    "pieces.mp4": ("cut-untold", film(n=75, container=FRAGMENTED)), "mpg": ("cut-untold", film("mpeg2video", n=75)),
    "h264": ("cut-untold", annex_b), "nut": ("cut-untold", film("ffv1", n=30)), "y4m": ("cut-untold", film("wrapped_avframe", muxer="yuv4mpegpipe")),
    "mp4": ("no-index", MP4), "mov": ("no-index", film("mjpeg", "yuvj420p")),
}  # fmt: skip
"""Every container, cut off at each tenth; the fast run takes a part of it."""

_CUTS_OF_THE_FAST_RUN = {("mkv", p) for p in range(10, 100, 10)} | {
    ("front.mp4", p) for p in range(10, 100, 10)
}


def _cuts() -> list[Case]:
    return [
        Case(kind=kind, name=f"cut {percent}.{suffix}", make=wreck.cut_at(make, percent),
             is_slow=percent not in (50, 80) and (suffix, percent) not in _CUTS_OF_THE_FAST_RUN)
        for suffix, (kind, make) in CUTS.items()
        for percent in range(10, 100, 10)
    ]  # fmt: skip


def _damage() -> list[Case]:
    jpeg, jpeg_in_mov = film("mjpeg", "yuvj420p", n=20), film("mjpeg", "yuvj420p", n=20)
    cases = _of("holes", {
        "wiped.avi": wreck.without_frames(jpeg, 3, 4, 11), "wiped.mov": wreck.without_frames(jpeg_in_mov, 0, 9, 19),
    }, rows=17)  # fmt: skip
    cases += _of("holes", {
        "long hole.avi": wreck.without_frames(film("mjpeg", "yuvj420p", n=40), *range(8, 28)),
    }, rows=20)  # fmt: skip
    cases += _of("holes", {
        "hollow front.mp4": wreck.hollow(film(n=75, container=FASTSTART), 0.5, 0.6),
        "hollow.avi": wreck.hollow(film("mpeg4", n=75), 0.4, 0.5), "hollow.mov": wreck.hollow(film("prores_ks", "yuv422p10le", n=30), 0.4, 0.5),
    }, rows=None)  # fmt: skip
    cases += _of("resync", {
        "hollow.mkv": wreck.hollow(film("ffv1", n=40), 0.4, 0.5), "hollow.ts": wreck.hollow(film(n=75), 0.4, 0.5),
    }, rows=None)  # fmt: skip
    whole = {
        "h264.mkv": film(n=40), "h264.ts": film(n=40), "h264.mp4": film(n=40), "h265.mkv": film("libx265", n=40), "vp9.webm": film("libvpx-vp9", n=40),
        "av1.mkv": film("libsvtav1", n=40), "mpeg4.avi": film("mpeg4", n=40), "gif.gif": film("gif", "rgb8", n=20, pts=range(0, 80, 4), time_base=Fraction(1, 100)),
    }  # fmt: skip
    for name, make in whole.items():
        cases += [
            Case(kind="flips", name=f"{part} {seed} {name}", make=wreck.bits_flipped(make, seed, n=n, start=a, stop=b), is_slow=seed > 1)
            for part, n, a, b in (("head", 6, 0, 0.05), ("body", 12, 0.2, 0.8), ("tail", 6, 0.9, 1))
            for seed in range(5)
        ]  # fmt: skip
    return cases


def _foreign() -> list[Case]:
    cases = _of("empty", {"empty.mp4": words(b""), "empty.gif": words(b"")}, rows=None)
    cases += _of("foreign", {
        "one byte.mp4": words(b"x"), "zeros.mp4": words(bytes(10_000)), "zeros.mkv": words(bytes(100)), "text.mp4": words("Dear diary, " * 500),
        "page.mp4": words("<!doctype html><title>No</title>" * 50), "data.mkv": words('{"a": [1, 2, 3]}' * 100),
        "noise.avi": words(bytes((i * i * 31 + i // 7) % 256 for i in range(20_000))), "archive.mov": words(b"PK\3\4" + bytes(200) + b"PK\5\6" + bytes(18)),
        "paper.mp4": words("%PDF-1.7\n1 0 obj<<>>endobj\n" * 40), "program.avi": words(b"\x7fELF\2\1\1" + bytes(500)), "table.mp4": words(b"PAR1" + bytes(300) + b"PAR1"),
        "only a head.mp4": words(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"), "only a head.mkv": words(bytes.fromhex("1a45dfa3a342868101")),
        "only a head.avi": words(b"RIFF\xff\xff\xff\xffAVI LIST"), "sound.wav.mp4": words(b"RIFF\x24\0\0\0WAVEfmt "),
    }, rows=None)  # fmt: skip
    address = "http://127.0.0.1:9/"
    cases += _of("playlists", {
        "concat.mp4": words("ffconcat version 1.0\nfile 'h264.mp4'\n"), "concat far.mp4": words(f"ffconcat version 1.0\nfile '{address}a.mp4'\n"),
        "hls.m3u8": words("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nh264.ts\n#EXT-X-ENDLIST\n"),
        "hls.mp4": words(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}a.ts\n#EXT-X-ENDLIST\n"),
        "hls passwd.avi": words("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nconcat:/etc/passwd|file:///etc/hosts\n#EXT-X-ENDLIST\n"),
        "dash.mp4": words(f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' mediaPresentationDuration='PT9S'><Period><AdaptationSet mimeType='video/mp4'><Representation id='1'><BaseURL>{address}a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"),
        "sdp.mp4": words("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"),
        "list.pls": words(f"[playlist]\nFile1={address}a.mp4\nNumberOfEntries=1\n"), "list.smil": words(f"<smil><body><video src='{address}a.mp4'/></body></smil>"),
        "smooth.mp4": words(f"<?xml version='1.0'?><SmoothStreamingMedia><StreamIndex Url='{address}'/></SmoothStreamingMedia>"),
        "drawing.mp4": words(f"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='{address}a.png'/></svg>"),
        "meta.mp4": words(";FFMETADATA1\ntitle=x\n"), "script.avs": words('DirectShowSource("h264.mp4")\n'),
    }, rows=None)  # fmt: skip
    cases += _of("references", {"refers.mov": wreck.elsewhere(film("mjpeg", "yuvj420p"))}, rows=None)
    cases += _of("bombs", {
        "bomb.png.mp4": words(_png_head(60_000, 60_000)), "bomb.gif": words(b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"),
        "bomb.avi": wreck.spoilt(film("mjpeg", "yuvj420p"), lambda c: c.replace(b"\xff\xc0\0\x11\x08\0\x30\0\x40", b"\xff\xc0\0\x11\x08\xff\xfe\xff\xfe")),
        "bomb.y4m": words("YUV4MPEG2 W65535 H65535 F25:1\nFRAME\n"),
    }, rows=None)  # fmt: skip
    return cases


def _png_head(width: int, height: int) -> bytes:
    """A picture of which only the size is there."""
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


NAMES = [
    "with spaces.mp4", "new\nline.mp4", "tab\t.mp4", "🎬 ünï.mp4", "..mp4", "-rf.mp4", "--out=x.mp4", "a" * 251 + ".mp4", LETTERS_OF_FOUR_BYTES * 62 + ".mp4",
    "<script>alert(1)<.mp4", "<img src=x onerror=alert(1)>.mp4", "'\"`$(id);&|.mp4", "{{7*7}}{% raw %}.mp4", "%s%n%d.mp4", "=cmd|' C'!A0.mp4", "@SUM(1+1).mp4",
    "file:x.mp4", "http:x.mp4", "concat:a|b.mp4", "img%03d.mp4", "*.mp4", "[a-z]?.mp4", "back\\slash.mp4", "CON.mp4", " .mp4", "\u202egnp.mp4", "a.mp4.mp4", "](x).mp4",
    os.fsdecode(b"no text \xff\xfe.mp4"),
]  # fmt: skip


def _files() -> list[Case]:
    def linked(target: str) -> Maker:
        return lambda path: path.symlink_to(target)

    def bound(path: Path) -> None:
        # The address of a socket may be no longer than 107 bytes.
        here = os.open(path.parent, os.O_RDONLY)
        try:
            socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)

    cases = _of("names", dict.fromkeys(NAMES, MP4))
    cases += _of("links", {"link.mp4": _link_to_a_film})
    cases += _of("nowhere", {"dangling.mp4": linked("nothing.mp4"), "circle.mp4": linked("circle.mp4"), "to and fro.mp4": linked("fro.mp4")}, rows=None)  # fmt: skip
    cases += _of("endless", {"pipe.mp4": lambda path: os.mkfifo(path), "socket.mp4": bound, "zero.mp4": linked("/dev/zero"), "null.mp4": linked("/dev/null")}, rows=None)  # fmt: skip
    cases += _of("stills", {
        "shots png": stills(), "shots jpg": stills(suffix=".jpg"), "shots bmp": stills(suffix=".bmp"), "shots webp": stills(suffix=".webp"),
        "shots tif": stills(suffix=".tiff"), "shots turned": stills(suffix=".jpg", orientation=6),
        "shots of many sizes": stills(suffix=".jpg", sizes=[(64, 48), (64, 48)]),
    }, rows=5)  # fmt: skip
    cases += _of("stills-broken", {"shots broken": stills(broken=[2])}, rows=4)
    cases += _of("stills-none", {"shots hopeless": stills(3, broken=[0, 1, 2])}, rows=None)
    return cases


def _link_to_a_film(path: Path) -> None:
    target = path.parent / ".target of link"
    film(muxer="mp4", pts=range(1, N_FRAMES + 1))(target)
    path.symlink_to(target.name)


def cases() -> list[Case]:
    """All of them; a name occurs once."""
    return [
        *_containers(), *_codecs(), *_pixels(), *_shapes(), *_times(), *_streams(), *_cuts(), *_damage(), *_foreign(), *_files(),
    ]  # fmt: skip


def made(where: Path, chosen: Sequence[Case]) -> dict[str, Path]:
    """Write the inputs, a folder per kind; returns their paths by kind/name."""
    paths = {}
    for case in chosen:
        path = where / case.kind / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        case.make(path)
        paths[f"{case.kind}/{case.name}"] = path
    return paths


def witness(path: Path) -> list[int | None]:
    """The pts of the sound frames an independent loop decodes, in order; what raises is passed over.

    One thread, as decoders with several patch over damage differently.
    """
    found: list[int | None] = []
    try:
        with av.open(str(path), metadata_errors="ignore") as file:
            stream = next(
                s for s in file.streams.video if not s.disposition & av.stream.Disposition.attached_pic
            )
            stream.codec_context.thread_count = 1
            packets = list(file.demux(stream))
            if len(packets) > 1 and packets[-2].is_corrupt:
                del packets[-2]  # the file ends inside it
            for packet in packets:
                try:
                    found += [frame.pts for frame in packet.decode() if not frame.is_corrupt]
                except av.error.FFmpegError:
                    continue
    except (av.error.FFmpegError, StopIteration):
        pass
    return found
