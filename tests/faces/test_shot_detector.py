import cv2
import numpy as np
import pytest
from skimage import data

from ferflow.faces.shot_detector import ShotCutDetector


def gray(image, size=(320, 180)):
    """Luma of a picture, uint8."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def portrait():
    return gray(data.astronaut())


@pytest.fixture(scope="module")
def coffee():
    return gray(data.coffee())


def found(pictures):
    """Numbers of the pictures that begin a shot."""
    cuts = ShotCutDetector()
    return [i for i, picture in enumerate(pictures) if cuts.update(picture)]


def noisy(picture, seed, sigma=4.0):
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_the_first_frame_is_no_cut(portrait):
    assert found([portrait]) == []


def test_hard_cuts_are_found_where_they_are(portrait, coffee):
    shots = [portrait] * 5 + [coffee] * 5 + [portrait] * 5
    assert found([noisy(picture, i) for i, picture in enumerate(shots)]) == [5, 10]


def test_every_pair_of_unlike_pictures_is_a_cut():
    pictures = [gray(image) for image in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())]
    for a in pictures:
        for b in pictures:
            assert found([a, a, b]) == ([] if a is b else [2])


def test_a_moving_camera_is_no_cut():
    wide = gray(data.astronaut(), (640, 360))
    assert found([wide[60:240, x : x + 320] for x in range(0, 300, 12)]) == []


def test_a_shaking_camera_is_no_cut():
    wide = gray(data.astronaut(), (640, 360))
    shifts = np.random.default_rng(0).integers(0, 15, (30, 2))
    assert found([wide[60 + y : 240 + y, 100 + x : 420 + x] for x, y in shifts]) == []


def test_flashes_and_exposure_are_no_cut(portrait):
    flash = np.clip(portrait * 1.2 + 90.0, 0, 255).astype(np.uint8)
    dark = (portrait * 0.4).astype(np.uint8)
    assert found([portrait, flash, portrait, portrait, dark, dark, portrait]) == []


def test_a_white_frame_is_no_cut(portrait):
    assert found([portrait, portrait, np.full_like(portrait, 255), portrait]) == []


def test_a_fade_to_black_and_back_is_no_cut(portrait):
    fade = [*np.linspace(1, 0, 12), 0, 0, *np.linspace(0, 1, 12)]
    assert found([(portrait * share).astype(np.uint8) for share in fade]) == []


def test_another_scene_after_black_is_one_cut(portrait, coffee):
    black = np.full_like(portrait, 16)
    assert found([portrait, portrait, black, black, coffee, coffee]) == [4]


@pytest.mark.parametrize("n_mixed", [6, 12, 25, 40])
def test_a_dissolve_is_one_cut_near_its_middle(portrait, coffee, n_mixed):
    mixed = [(portrait * (1 - s) + coffee * s) for s in np.linspace(0, 1, n_mixed)]
    (cut,) = found([noisy(p, i) for i, p in enumerate([portrait] * 40 + mixed + [coffee] * 60)])
    assert 40 + 0.3 * n_mixed <= cut <= 40 + 0.8 * n_mixed


def test_the_mirror_image_of_a_shot_is_a_cut(portrait):
    assert found([portrait, portrait, np.ascontiguousarray(portrait[:, ::-1]), portrait]) == [2, 3]


def test_somebody_walking_through_is_no_cut(portrait):
    pictures = []
    for x in range(0, 260, 10):
        picture = portrait.copy()
        picture[40:, x : x + 60] = 30
        pictures.append(picture)
    assert found(pictures) == []


def test_a_cut_does_not_hide_the_next_one(portrait, coffee):
    assert found([portrait, coffee, portrait, coffee]) == [1, 2, 3]


def test_the_size_of_the_picture_may_change(portrait):
    smaller = cv2.resize(portrait, (177, 99), interpolation=cv2.INTER_AREA)
    assert found([portrait, smaller, portrait]) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (35, 63), (1080, 1920)])
def test_any_size_is_taken(shape):
    picture = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert found([picture, picture]) == []


def test_a_view_with_padded_rows_is_taken(portrait):
    padded = np.zeros((180, 384), np.uint8)
    padded[:, :320] = portrait
    assert found([portrait, padded[:, :320]]) == []


def test_the_frame_is_not_kept(portrait, coffee):
    cuts, buffer = ShotCutDetector(), portrait.copy()
    cuts.update(buffer)
    buffer[:] = coffee
    assert cuts.update(buffer)


def test_reset_forgets_the_last_shot(portrait, coffee):
    cuts = ShotCutDetector()
    cuts.update(portrait)
    cuts.reset()
    assert not cuts.update(coffee)


@pytest.mark.clips
def test_the_cuts_of_a_real_clip_are_found(clips):
    assert cuts_of(clips / "facerec_short_hamilton_clip.mp4") == [20, 82, 211]


@pytest.mark.clips
@pytest.mark.parametrize("name", ["pyfeat_single_face.mp4", "intel_asl_again.mkv", "pyfeat_no_face.mp4"])
def test_real_clips_of_one_shot_have_no_cut(clips, name):
    assert cuts_of(clips / name) == []


def cuts_of(path):
    from ferflow.media.video import Selection, open_video

    cuts = ShotCutDetector()
    with open_video(path) as video:
        return [frame.index for frame in video.frames(Selection()) if cuts.update(frame.planes.y)]


def test_a_repeat_is_as_another_update_with_the_same_picture(portrait, coffee):
    """Also in a dissolve whose pictures are held, and after a blank picture, which is none."""
    blank = np.full_like(portrait, 16)
    mixed = [cv2.addWeighted(portrait, 1 - share, coffee, share, 0) for share in np.linspace(0, 1, 9)]
    shown = [
        blank,
        portrait,
        portrait,
        *np.repeat(mixed, 2, axis=0),
        coffee,
        blank,
        blank,
        portrait,
        portrait,
    ]
    one, other, changes = ShotCutDetector(), ShotCutDetector(), []
    for before, picture in zip([None, *shown], shown, strict=False):
        is_repeat = before is not None and np.array_equal(before, picture)
        changes.append(one.update(picture))
        assert (other.repeat() if is_repeat else other.update(picture)) == changes[-1]
        assert np.array_equal(one.thumb, other.thumb)
    assert any(changes)
