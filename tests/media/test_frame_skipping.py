from __future__ import annotations

import numpy as np
import pytest

from ferflow.media import container
from ferflow.media.video import Selection, open_video
from ferflow.options import TimePoint
from tests.conftest import face_frames, write_video


def noisy_frames(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        for image in face_frames(count)
    ]


def read(path, monkeypatch, *, sparing: bool, **chosen):
    """What a selection gives, how many frames were counted, and how many the decoder gave."""
    monkeypatch.setattr(container, "CODECS", frozenset({"h264", "hevc"} if sparing else ()))
    with open_video(path) as video:
        frames = [(f.index, f.pts, f.time_s, f.planes.y.copy()) for f in video.frames(Selection(**chosen))]
        return frames, (video.end_s, video.report)


@pytest.fixture(scope="module")
def with_b_frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparing")
    uneven = np.cumsum([0, *([40, 20, 61, 33] * 30)])[:90].tolist()
    return {
        "even": write_video(folder / "even.mp4", noisy_frames(90), gop=50),
        "uneven": write_video(folder / "uneven.mkv", noisy_frames(90), pts=uneven, gop=50),
    }


@pytest.mark.parametrize("clip", ["even", "uneven"])
@pytest.mark.parametrize(
    "chosen", [{"fps": 5.0}, {"fps": 7.3}, {"fps": 0.5}, {"fps": 5.0, "start": TimePoint(seconds=1.3)}]
)
def test_sampled_frames_are_the_same_bit_for_bit(with_b_frames, monkeypatch, clip, chosen):
    spared, counts = read(with_b_frames[clip], monkeypatch, sparing=True, **chosen)
    plain, plain_counts = read(with_b_frames[clip], monkeypatch, sparing=False, **chosen)
    assert [frame[:3] for frame in spared] == [frame[:3] for frame in plain]
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(spared, plain, strict=True))
    assert counts == plain_counts


def test_frames_that_nothing_depends_on_are_not_decoded(tmp_path, monkeypatch):
    from ferflow.media.container import Container
    from ferflow.media.frame_skipping import SkippedFrame

    path = tmp_path / "b.mp4"
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "b_strategy": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for image in face_frames(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    opened = Container(path)
    opened.skip_frames(5.0, 0.0)
    pictures = list(opened.decode())
    opened.close()
    assert len(pictures) == 60
    assert sum(isinstance(picture, SkippedFrame) for picture in pictures) > 12
    assert [picture.pts for picture in pictures] == sorted(picture.pts for picture in pictures)
