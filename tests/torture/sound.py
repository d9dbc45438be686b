"""Cases of sound files: containers, codecs, pixels, shapes, times, streams."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av

from tests.torture import wreck
from tests.torture.films import (
    FASTSTART,
    FRAGMENTED,
    MS,
    N_FRAMES,
    Maker,
    annex_b,
    film,
    joined,
    scene,
    song,
    still,
    tone,
    words,
)
from tests.torture.kinds import Case, of

MP4, MKV, AVI = film(), film(), film("mpeg4")


def cases() -> list[Case]:
    """All of this module."""
    return [*_containers(), *_codecs(), *_pixels(), *_shapes(), *_times(), *_streams()]


def _containers() -> list[Case]:
    h264, gif_time = film(), [4 * i for i in range(N_FRAMES)]
    return of(
        "containers",
        {
            "h264.mp4": h264,
            "h264.mov": h264,
            "h264.mkv": h264,
            "h264.ts": h264,
            "h264.m2ts": film(muxer="mpegts"),
            "h264.flv": film(time_base=MS, pts=range(0, 40 * N_FRAMES, 40)),
            "h264.nut": h264,
            "fragmented.mp4": film(container=FRAGMENTED),
            "faststart.mp4": film(container=FASTSTART),
            "vp9.webm": film("libvpx-vp9"),
            "mpeg4.avi": film("mpeg4"),
            "mpeg2.mpg": film("mpeg2video"),
            "wmv2.wmv": film("wmv2"),
            "h263.3gp": film("h263", size=(176, 144)),
            "raw.y4m": film("wrapped_avframe", muxer="yuv4mpegpipe"),
            "vp8.ivf": film("libvpx"),
            "film.gif": film("gif", "rgb8", pts=gif_time, time_base=Fraction(1, 100)),
            "film.apng": film("apng", "rgb24"),
        },
    )


def _codecs() -> list[Case]:
    return of(
        "codecs",
        {
            "h265.mp4": film("libx265"),
            "h265.mkv": film("libx265"),
            "h265.ts": film("libx265"),
            "av1.mp4": film("libsvtav1"),
            "av1.mkv": film("libsvtav1"),
            "av1.webm": film("libsvtav1"),
            "vp8.webm": film("libvpx"),
            "vp9.mkv": film("libvpx-vp9"),
            "vp9.mp4": film("libvpx-vp9"),
            "mpeg1.mpg": film("mpeg1video"),
            "mpeg2.ts": film("mpeg2video"),
            "mpeg4.mp4": film("mpeg4"),
            "msmpeg4.avi": film("msmpeg4"),
            "mjpeg.avi": film("mjpeg", "yuvj420p"),
            "mjpeg.mkv": film("mjpeg", "yuvj420p"),
            "mjpeg.mov": film("mjpeg", "yuvj422p"),
            "prores.mov": film("prores_ks", "yuv422p10le"),
            "cineform.mov": film("cfhd", "yuv422p10le"),
            "png.mov": film("png", "rgb24"),
            "rle.mov": film("qtrle", "rgb24"),
            "ffv1.mkv": film("ffv1"),
            "huffyuv.avi": film("huffyuv", "yuv422p"),
            "utvideo.avi": film("utvideo"),
            "raw.avi": film("rawvideo", "bgr24"),
            "raw.nut": film("rawvideo", "yuv420p"),
            "dv.avi": film("dvvideo", "yuv420p", size=(720, 576)),
            "flash.flv": film("flv", time_base=MS, pts=range(0, 40 * N_FRAMES, 40)),
            "dnxhr.mov": film("dnxhd", "yuv422p", size=(256, 144), options={"profile": "dnxhr_sq"}),
            "jpeg2000.mkv": film("jpeg2000", "rgb24"),
            "snow.nut": film("snow", "yuv420p", options={"strict": "-2"}),
        },
    )


def _pixels() -> list[Case]:
    of_h264 = ("yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray")
    of_ffv1 = (
        "yuv411p",
        "yuv440p",
        "yuva420p",
        "bgra",
        "gray",
        "gray10le",
        "gray16le",
        "yuv420p16le",
        "rgb48le",
        "ya8",
    )
    makers = {f"h264 {name}.mkv": film(pix_fmt=name) for name in of_h264}
    makers |= {f"ffv1 {name}.mkv": film("ffv1", name) for name in of_ffv1}
    makers |= {f"h265 {name}.mkv": film("libx265", name) for name in ("yuv420p10le", "yuv444p12le")}
    makers |= {f"png {name}.mov": film("png", name) for name in ("rgba", "pal8", "monob", "rgb48be")}
    makers |= {
        "h264 rgb.mkv": film("libx264rgb", "rgb24"),
        "h264 full 10.mkv": film(
            pix_fmt="yuv420p10le", prepare=lambda s: setattr(s.codec_context, "color_range", 2)
        ),
        "vp9 alpha.webm": film("libvpx-vp9", "yuva420p", options={"auto-alt-ref": "0"}),
        "vp9 444.webm": film("libvpx-vp9", "yuv444p"),
        "gray raw.avi": film("rawvideo", "gray"),
    }
    del makers["png pal8.mov"]  # swscale makes no palettes
    return of("pixels", makers)


def _hdr(transfer: int) -> Maker:
    def tag(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    return film("libx265", "yuv420p10le", prepare=tag)


def _shapes() -> list[Case]:
    lace = {"flags": "+ildct+ilme"}
    cases = of("hdr", {"pq.mkv": _hdr(16), "hlg.mp4": _hdr(18)})
    cases += of(
        "interlaced",
        {
            "laced.ts": film("mpeg2video", options=lace),
            "laced.mkv": film(options={"x264-params": "tff=1"}),
            "laced dv.avi": film("dvvideo", "yuv420p", size=(720, 576), options={"flags": "+ildct"}),
        },
    )
    sizes = {"67x51": (67, 51), "1x1": (1, 1), "2x2": (2, 2), "4096x16": (4096, 16)}
    cases += of("sizes", {f"{name}.mkv": film("ffv1", size=size) for name, size in sizes.items()})
    lines = {"1x1": (1, 1), "1x99": (1, 99), "99x1": (99, 1), "3x5": (3, 5)}
    cases += of("sizes", {f"{name}.mov": film("png", "rgb24", size=size) for name, size in lines.items()})
    cases += of("sizes", {f"{name}.gif": film("gif", "rgb8", size=size) for name, size in lines.items()})
    cases += of("sizes", {"8k.avi": film("mjpeg", "yuvj420p", size=(7680, 4320), n=1)}, rows=1)
    for degrees in (90, 180, 270):
        cases += of(
            "rotation",
            {
                f"turned {degrees}.mp4": film(rotation=degrees),
                f"turned {degrees}.mov": film(rotation=degrees),
            },
        )
    cases += of(
        "rotation",
        {
            "mirrored.mp4": wreck.display_matrix(MP4, -1, 0, 0, 1),
            "upside down mirrored.mp4": wreck.display_matrix(MP4, 1, 0, 0, -1),
            "askew.mp4": wreck.display_matrix(MP4, 3, 7, -2, 1),
            "null matrix.mp4": wreck.display_matrix(MP4, 0, 0, 0, 0),
        },
    )
    return cases


def _times() -> list[Case]:
    steps = [0, 33, 66, 500, 510, 900, 910, 1000, 2000, 2001, 2002, 2100]
    ninety = Fraction(1, 90_000)
    cases = of(
        "timing",
        {
            "vfr.mkv": film(pts=steps, time_base=MS),
            "vfr.mp4": film(pts=steps, time_base=MS),
            "late.mkv": film(pts=[700 + s for s in steps], time_base=MS),
            "late.mp4": film(pts=[700 + s for s in steps], time_base=MS),
            "negative.mkv": film(pts=[s - 200 for s in steps], time_base=MS),
            "negative.nut": film(pts=[s - 200 for s in steps], time_base=MS),
            "b-frames.mp4": film(options={"preset": "fast", "bf": "3"}),
            "b-frames.mkv": film(options={"preset": "fast", "bf": "3"}),
            "b-frames.avi": film("mpeg4", options={"bf": "2"}),
            "b-frames.ts": film("mpeg2video", options={"bf": "2"}),
            "open gop.mp4": film("libx265", n=N_FRAMES, gop=6),
            "dropped.mp4": film(pts=[0, 1, 2, 3, 9, 10, 11, 20, 21, 22, 23, 24]),
            "dropped.avi": film("mpeg4", pts=[0, 1, 2, 3, 9, 10, 11, 20, 21, 22, 23, 24]),
            "long last.mp4": film(pts=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 500]),
            "wrapped.ts": film(pts=[2**33 - 18_000 + 3600 * i for i in range(N_FRAMES)], time_base=ninety),
        },
    )
    # What lies before 0 is not meant to be shown, says the file's edit list.
    cases += of("timing", {"negative.mp4": film(pts=[s - 200 for s in steps], time_base=MS)}, rows=9)
    cases += of("untimed", {"raw.h264": annex_b})
    cases += of(
        "backwards",
        {
            "joined.ts": joined(
                film(pts=[1_800_000 + 3600 * i for i in range(6)], time_base=ninety),
                film(pts=[3600 * i for i in range(6)], time_base=ninety),
            )
        },
        rows=None,
    )
    cases += of(
        "resized",
        {
            "grows.ts": joined(
                film("mpeg2video", n=6),
                film("mpeg2video", size=(96, 64), pts=range(6, 12)),
            )
        },
        rows=None,
    )
    cases += of(
        "overlong",
        {
            "years.mkv": film(pts=[*range(0, 440, 40), 4_000_000_000], time_base=MS),
        },
    )
    hours = struct.pack(">I", 2_000_000_000)
    cases += of(
        "timing",
        {
            "hours.mp4": wreck.patched_box(
                wreck.patched_box(MP4, (b"moov", b"trak", b"mdia", b"mdhd"), 24, hours),
                (b"moov", b"mvhd"),
                24,
                hours,
            ),
        },
    )
    cases += of(
        "boastful",
        {
            "hours.avi": wreck.spoilt(
                AVI,
                lambda content: content.replace(
                    struct.pack("<II", 0, N_FRAMES), struct.pack("<II", 0, 9_000_000)
                ),
            ),
            "hours.mkv": wreck.spoilt(MKV, lambda content: content.replace(b"00:00:00.48", b"99:00:00.48")),
        },
    )
    return cases


def _streams() -> list[Case]:
    cases = of(
        "streams",
        {
            "with sound.mp4": film(audio=True),
            "with words.mkv": _with_subtitles,
            "with cover.mp4": _with_cover,
        },
    )
    cases += of("tracks", {"two.mkv": _two_videos})
    cases += of(
        "sounds",
        {
            "song.mp4": song(),
            "song.mov": song(),
            "covered.mp4": song(cover=True),
            "tone.mp4": tone,
            "words.mkv": _subtitles_only,
            "words.srt": words("1\n00:00:00,000 --> 00:00:01,000\nHello\n"),
        },
        rows=None,
    )
    cases += of(
        "ending",
        {
            "mkv.mp4": film(muxer="matroska"),
            "mp4.avi": film(muxer="mp4"),
            "gif.mov": film("gif", "rgb8", muxer="gif", time_base=Fraction(1, 100), pts=range(0, 48, 4)),
        },
    )
    cases += of("ending", {"photo.mp4": words(still())}, rows=1)
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
