"""Cases of files that are cut off, full of holes, no videos at all, or made to do harm."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction

from tests.torture import wreck
from tests.torture.films import FASTSTART, FRAGMENTED, MS, annex_b, film, words
from tests.torture.kinds import Case, of

LONG = film(n=75, gop=10)


def cases() -> list[Case]:
    """All of this module."""
    return [*_cuts(), *_damage(), *_foreign()]


CUTS = {
    "mkv": ("cut", LONG),
    "front.mp4": ("cut", film(n=75, container=FASTSTART)),
    "webm": ("cut", film("libvpx-vp9", n=75)),
    "avi": ("cut", film("mpeg4", n=75)),
    "front.mov": ("cut", film("prores_ks", "yuv422p10le", n=30, container=FASTSTART)),
    "flv": ("cut", film("flv", n=75, time_base=MS, pts=range(0, 3000, 40))),
    "av1.mkv": ("cut", film("libsvtav1", n=75)),
    "h265.mkv": ("cut", film("libx265", n=75)),
    "ts": ("cut-untold", LONG),
    "gif": ("cut-untold", film("gif", "rgb8", n=30, pts=range(0, 120, 4), time_base=Fraction(1, 100))),
    "pieces.mp4": ("cut-untold", film(n=75, container=FRAGMENTED)),
    "mpg": ("cut-untold", film("mpeg2video", n=75)),
    "h264": ("cut-untold", annex_b),
    "nut": ("cut-untold", film("ffv1", n=30)),
    "y4m": ("cut-untold", film("wrapped_avframe", muxer="yuv4mpegpipe")),
    "mp4": ("no-index", film()),
    "mov": ("no-index", film("mjpeg", "yuvj420p")),
}
"""Every container, cut off at each tenth; the fast run takes a part of it."""

_CUTS_OF_THE_FAST_RUN = {(suffix, percent) for suffix in ("mkv", "front.mp4") for percent in (10, 30, 70, 90)}


def _cuts() -> list[Case]:
    return [
        Case(
            kind=kind,
            name=f"cut {percent}.{suffix}",
            make=wreck.cut_at(make, percent),
            is_slow=percent != 50 and (suffix, percent) not in _CUTS_OF_THE_FAST_RUN,
        )
        for suffix, (kind, make) in CUTS.items()
        for percent in range(10, 100, 10)
    ]


def _damage() -> list[Case]:
    jpeg, jpeg_in_mov = film("mjpeg", "yuvj420p", n=20), film("mjpeg", "yuvj420p", n=20)
    cases = of(
        "holes",
        {
            "wiped.avi": wreck.without_frames(jpeg, 3, 4, 11),
            "wiped.mov": wreck.without_frames(jpeg_in_mov, 0, 9, 19),
        },
        rows=17,
    )
    cases += of(
        "holes",
        {
            "long hole.avi": wreck.without_frames(film("mjpeg", "yuvj420p", n=40), *range(8, 28)),
        },
        rows=20,
    )
    cases += of(
        "holes",
        {
            "hollow front.mp4": wreck.hollow(film(n=75, container=FASTSTART), 0.5, 0.6),
            "hollow.mov": wreck.hollow(film("prores_ks", "yuv422p10le", n=30), 0.4, 0.5),
        },
        rows=None,
    )
    cases += of(
        "resync",
        {
            "hollow.avi": wreck.hollow(film("mpeg4", n=75), 0.4, 0.5),
            "hollow.mkv": wreck.hollow(film("ffv1", n=40), 0.4, 0.5),
            "hollow.ts": wreck.hollow(film(n=75), 0.4, 0.5),
        },
        rows=None,
    )
    whole = {
        "h264.mkv": film(n=40),
        "h264.ts": film(n=40),
        "h264.mp4": film(n=40),
        "h265.mkv": film("libx265", n=40),
        "vp9.webm": film("libvpx-vp9", n=40),
        "av1.mkv": film("libsvtav1", n=40),
        "mpeg4.avi": film("mpeg4", n=40),
        "gif.gif": film("gif", "rgb8", n=20, pts=range(0, 80, 4), time_base=Fraction(1, 100)),
    }
    for name, make in whole.items():
        cases += [
            Case(
                kind="flips",
                name=f"{part} {seed} {name}",
                make=wreck.bits_flipped(make, seed, n=n, start=a, stop=b),
                is_slow=seed > 0,
            )
            for part, n, a, b in (("head", 6, 0, 0.05), ("body", 12, 0.2, 0.8), ("tail", 6, 0.9, 1))
            for seed in range(5)
        ]
    return cases


def _foreign() -> list[Case]:
    cases = of("empty", {"empty.mp4": words(b""), "empty.gif": words(b"")}, rows=None)
    cases += of(
        "foreign",
        {
            "one byte.mp4": words(b"x"),
            "zeros.mp4": words(bytes(10_000)),
            "zeros.mkv": words(bytes(100)),
            "text.mp4": words("Dear diary, " * 500),
            "page.mp4": words("<!doctype html><title>No</title>" * 50),
            "data.mkv": words('{"a": [1, 2, 3]}' * 100),
            "noise.avi": words(bytes((i * i * 31 + i // 7) % 256 for i in range(20_000))),
            "archive.mov": words(b"PK\3\4" + bytes(200) + b"PK\5\6" + bytes(18)),
            "paper.mp4": words("%PDF-1.7\n1 0 obj<<>>endobj\n" * 40),
            "program.avi": words(b"\x7fELF\2\1\1" + bytes(500)),
            "table.mp4": words(b"PAR1" + bytes(300) + b"PAR1"),
            "only a head.mp4": words(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"),
            "only a head.mkv": words(bytes.fromhex("1a45dfa3a342868101")),
            "only a head.avi": words(b"RIFF\xff\xff\xff\xffAVI LIST"),
            "sound.wav.mp4": words(b"RIFF\x24\0\0\0WAVEfmt "),
        },
        rows=None,
    )
    address = "http://127.0.0.1:9/"
    cases += of(
        "playlists",
        {
            "concat.mp4": words("ffconcat version 1.0\nfile 'h264.mp4'\n"),
            "concat far.mp4": words(f"ffconcat version 1.0\nfile '{address}a.mp4'\n"),
            "hls.m3u8": words("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nh264.ts\n#EXT-X-ENDLIST\n"),
            "hls.mp4": words(
                f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}a.ts\n#EXT-X-ENDLIST\n"
            ),
            "hls passwd.avi": words(
                "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nconcat:/etc/passwd|file:///etc/hosts\n#EXT-X-ENDLIST\n"
            ),
            "dash.mp4": words(
                "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' "
                "mediaPresentationDuration='PT9S'><Period><AdaptationSet mimeType='video/mp4'>"
                f"<Representation id='1'><BaseURL>{address}a.mp4</BaseURL></Representation>"
                "</AdaptationSet></Period></MPD>"
            ),
            "sdp.mp4": words(
                "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
                "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
            ),
            "list.pls": words(f"[playlist]\nFile1={address}a.mp4\nNumberOfEntries=1\n"),
            "list.smil": words(f"<smil><body><video src='{address}a.mp4'/></body></smil>"),
            "smooth.mp4": words(
                f"<?xml version='1.0'?><SmoothStreamingMedia><StreamIndex Url='{address}'/></SmoothStreamingMedia>"
            ),
            "drawing.mp4": words(
                f"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='{address}a.png'/></svg>"
            ),
            "meta.mp4": words(";FFMETADATA1\ntitle=x\n"),
            "script.avs": words('DirectShowSource("h264.mp4")\n'),
        },
        rows=None,
    )
    cases += of("references", {"refers.mov": wreck.elsewhere(film("mjpeg", "yuvj420p"))}, rows=None)
    cases += of(
        "bombs",
        {
            "bomb.png.mp4": words(_png_head(60_000, 60_000)),
            "bomb.gif": words(
                b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;"
            ),
            "bomb.avi": wreck.spoilt(
                film("mjpeg", "yuvj420p"),
                lambda c: c.replace(b"\xff\xc0\0\x11\x08\0\x30\0\x40", b"\xff\xc0\0\x11\x08\xff\xfe\xff\xfe"),
            ),
            "bomb.y4m": words("YUV4MPEG2 W65535 H65535 F25:1\nFRAME\n"),
        },
        rows=None,
    )
    return cases


def _png_head(width: int, height: int) -> bytes:
    """A picture of which only the size is there."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
