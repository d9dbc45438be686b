"""Data sets: three layouts, broken rows, leaks, votes, and augmentation that repeats itself."""

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from ferflow.errors import OptionsError
from ferflow.models.data.augment import NO_AUGMENTATION, Augmentation, Draw, augment
from ferflow.models.data.dataset import load, split
from ferflow.models.data.labelled_faces import LABELS, Faces, count_votes, majority_labels
from ferflow.models.training.targets import vote_shares

RNG = np.random.default_rng(0)


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 48, 48), dtype=np.uint8)


def row(label, image, usage=None):
    pixels = " ".join(map(str, np.ravel(image)))
    return ",".join([str(label), pixels] + ([usage] if usage else []))


def write_csv(path, rows, header="emotion,pixels,Usage"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_kaggle_csv_is_read_pixel_for_pixel(tmp_path):
    drawn = images(3)
    path = write_csv(
        tmp_path / "fer.csv",
        [row(3, drawn[0], "Training"), row(0, drawn[1], "PublicTest"), row(6, drawn[2], "Training")],
    )
    faces = load(path)
    assert np.array_equal(faces.images, drawn)
    assert faces.labels.tolist() == [3, 0, 6]
    assert load(path, usage="PublicTest").labels.tolist() == [0]
    assert not faces.skipped


def test_broken_csv_rows_are_skipped_and_counted(tmp_path):
    drawn = images(1)[0]
    broken = [
        row(1, drawn, "Training"),
        row(7, drawn, "Training"),
        row("happy", drawn, "Training"),
        row(-1, drawn, "Training"),
        row(1, drawn.ravel()[:-1], "Training"),
        f"2,{'x ' * 2304},Training",
        f"2,{'256 ' * 2304},Training",
        f"2,{'99999999999999999999 ' * 2304},Training",
        "2",
        "",
        '4,"1 2',
    ]
    faces = load(write_csv(tmp_path / "fer.csv", broken))
    assert faces.labels.tolist() == [1]
    assert faces.skipped == {
        "grey level outside 0..255": 1,
        "pixels are not integers": 2,
        "unknown label": 3,
        "wrong pixel count": 3,
    }


def test_a_csv_without_its_columns_is_refused(tmp_path):
    with pytest.raises(OptionsError, match="needs columns emotion,pixels"):
        load(write_csv(tmp_path / "fer.csv", ["1,2"], header="label,image"))


def test_a_csv_without_a_usable_row_is_refused_with_the_reasons(tmp_path):
    with pytest.raises(OptionsError, match=r"no usable face.*1 \(unknown label\)"):
        load(write_csv(tmp_path / "fer.csv", [row(9, images(1)[0], "Training")]))


def test_a_folder_per_class_is_read_and_a_corrupt_image_counted(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        cv2.imwrite(str(tmp_path / label / "1.png"), images(1)[0])
    (tmp_path / "sad" / "2.png").write_bytes(b"not an image")
    (tmp_path / "sad" / "3.png").write_bytes(b"")
    faces = load(tmp_path)
    assert [LABELS[label] for label in faces.labels] == ["happy", "sad"]
    assert np.array_equal(faces.images[0], images(1)[0])
    assert faces.skipped == {"unreadable image": 2}


def test_an_empty_class_folder_is_refused(tmp_path):
    (tmp_path / "happy").mkdir()
    with pytest.raises(OptionsError, match="happy: the class folder is empty"):
        load(tmp_path)


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    (tmp_path / "bored").mkdir()
    with pytest.raises(OptionsError, match="bored"):
        load(tmp_path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": images(2)},
        {"images": images(2), "labels": np.array([1])},
        {"images": images(2), "labels": np.array([0.5, 1.5])},
        {"images": images(2)[:, :40], "labels": np.array([1, 2])},
        {"images": images(2).astype(np.float32), "labels": np.array([1, 2])},
        {"images": images(2), "labels": np.array([8, 9])},
        {"images": images(2), "labels": np.array([object(), None])},
    ],
)
def test_an_npz_that_does_not_fit_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(OptionsError):
        load(tmp_path / "data.npz")


def test_a_truncated_npz_is_refused(tmp_path):
    np.savez(tmp_path / "data.npz", images=images(2), labels=np.array([1, 2]))
    (tmp_path / "data.npz").write_bytes((tmp_path / "data.npz").read_bytes()[:1000])
    with pytest.raises(OptionsError, match="not a readable npz"):
        load(tmp_path / "data.npz")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(OptionsError, match="no such data set"):
        load(tmp_path / "nothing.npz")


def test_leaking_rows_are_not_trained_on():
    drawn = images(6)
    drawn[1] = drawn[4]  # the same pixels in PublicTest
    faces = Faces(
        images=drawn,
        labels=np.array([0, 1, 2, 3, 4, 5]),
        usage=np.array(["Training"] * 4 + ["PublicTest", "PrivateTest"]),
        leaks=np.array([False, False, True, False, False, False]),  # the source knows of another
    )
    parts = split(faces, seed=1)
    assert parts.training.labels.tolist() == [0, 3]
    assert parts.selection.labels.tolist() == [4]
    assert parts.leaks == 2


def test_without_splits_a_tenth_of_each_class_is_held_out_and_its_doubles_not_trained_on():
    drawn = images(40)
    faces = Faces(images=np.concatenate([drawn, drawn]), labels=np.tile(np.arange(40) % 2, 2))
    parts = split(faces, seed=3)
    assert np.bincount(parts.selection.labels).tolist() == [4, 4]
    held = {image.tobytes() for image in parts.selection.images}
    assert not held & {image.tobytes() for image in parts.training.images}


def test_a_held_out_tenth_is_the_same_for_every_seed_and_leaves_the_test_rows_alone():
    drawn = images(62)
    drawn[1] = drawn[0]  # one of them may be held out, and the other must not be trained on then
    drawn[2] = drawn[61]  # the same pixels in PublicTest: neither trained on nor selected on
    faces = Faces(
        images=drawn,
        labels=np.arange(62) % 2,
        usage=np.array(["Training"] * 60 + ["PublicTest"] * 2),
    )
    one, other = (split(faces, seed=seed, hold_out=True) for seed in (1, 2))
    assert np.array_equal(one.selection.images, other.selection.images)
    assert len(one.selection) == 6
    assert set(one.selection.usage) == {"Training"}
    assert len(one.training) + len(one.selection) + one.leaks == 60
    held = {image.tobytes() for image in one.selection.images}
    assert drawn[61].tobytes() not in held | {image.tobytes() for image in one.training.images}
    assert not held & {image.tobytes() for image in one.training.images}


def test_votes_are_mapped_by_name_and_ties_and_non_faces_left_out():
    #  neutral happiness surprise sadness anger disgust fear contempt unknown nf
    votes = np.array(
        [
            [0, 0, 0, 0, 9, 1, 0, 0, 0, 0],  # angry; the lone disgust is a slip
            [0, 8, 2, 0, 0, 0, 0, 0, 0, 0],  # happy
            [5, 5, 0, 0, 0, 0, 0, 0, 0, 0],  # tie
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],  # no face
            [0, 0, 0, 0, 0, 0, 4, 6, 0, 0],  # contempt
            [6, 0, 0, 4, 0, 0, 0, 0, 0, 0],  # neutral
        ],
        np.uint8,
    )
    assert majority_labels(votes).tolist() == [0, 3, -1, -1, -1, 6]
    assert count_votes(votes)[0].tolist() == [9, 0, 0, 0, 0, 0, 0]
    assert count_votes(votes)[5].tolist() == [0, 0, 0, 0, 4, 0, 6]
    shares = vote_shares(votes)
    assert shares[1] == pytest.approx([0, 0, 0, 0.8, 0, 0.2, 0][:7])
    assert shares[3].sum() == 0
    assert shares[4].sum() == 0  # four votes are too few


def test_augmentation_depends_on_seed_epoch_and_row_alone():
    drawn, how = images(20), Augmentation()
    rows = np.arange(20)
    whole = augment(drawn, rows, Draw(1, 5), how, size=48)
    part = augment(drawn[7:9][::-1], rows[7:9][::-1], Draw(1, 5), how, size=48)
    assert np.array_equal(part[::-1], whole[7:9])
    assert not np.array_equal(whole, augment(drawn, rows, Draw(1, 6), how, size=48))
    assert not np.array_equal(whole, augment(drawn, rows, Draw(2, 5), how, size=48))


@pytest.mark.parametrize("added", ["motion_chance", "shade_chance", "cover_chance"])
def test_a_disturbance_of_video_changes_each_image_and_nothing_that_is_drawn_for_it_otherwise(added):
    flat = np.full((40, 48, 48), 90, np.uint8)
    flat[:, :, 24:] = 180  # an edge, which tells a mirrored image and a blurred one
    flips = replace(NO_AUGMENTATION, flip_chance=0.5)
    rows, draw = np.arange(40), Draw(1, 5)
    plain = augment(flat, rows, draw, flips, size=48)
    disturbed = augment(flat, rows, draw, replace(flips, **{added: 1.0}), size=48)
    assert (
        np.mean([not np.array_equal(one, other) for one, other in zip(plain, disturbed, strict=True)]) > 0.7
    )
    # Medians outlast what is drawn in front, and light from one side.
    left, right = (
        np.median(disturbed[:, 10:46, part], axis=(1, 2)) for part in (slice(0, 20), slice(28, 48))
    )
    mirrored = plain[:, 24, 0] == 180
    assert np.mean((left > right) == mirrored) > 0.8


def test_a_mirrored_border_continues_the_image():
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (1, 48, 1))
    moved = replace(NO_AUGMENTATION, shift=0.2)
    repeated, mirrored = (
        augment(ramp, np.arange(1), Draw(2, 0), replace(moved, mirror_border=mirror), size=48)[0, 24].astype(
            int
        )
        for mirror in (False, True)
    )
    outside = np.flatnonzero(np.diff(repeated) == 0)
    assert len(outside) > 1
    assert (np.abs(np.diff(mirrored)[outside[1:-1]]) > 0).all()


def test_augmentation_of_zero_strength_changes_nothing():
    still = Augmentation(
        rotation_degrees=0,
        scale=0,
        shift=0,
        flip_chance=0,
        light_chance=0,
        blur_chance=0,
        shrink_chance=0,
        jpeg_chance=0,
        erase_chance=0,
    )
    drawn = images(4)
    assert np.array_equal(augment(drawn, np.arange(4), Draw(1, 0), still, size=48), drawn)


def test_a_flip_mirrors_and_a_smaller_size_keeps_the_whole_face():
    how = Augmentation(
        rotation_degrees=0, scale=0, shift=0, flip_chance=1, light_chance=0, blur_chance=0,
        shrink_chance=0, jpeg_chance=0, erase_chance=0,
    )  # fmt: skip
    half = np.zeros((1, 48, 48), np.uint8)
    half[:, :, :24] = 200
    assert np.array_equal(augment(half, np.arange(1), Draw(1, 0), how, size=48), half[:, :, ::-1])
    small = augment(half, np.arange(1), Draw(1, 0), how, size=24)
    assert small.shape == (1, 24, 24)
    assert small[0, :, :11].max() == 0
    assert small[0, :, 13:].min() == 200


def test_every_disturbance_leaves_an_image():
    always = Augmentation(light_chance=1, blur_chance=1, shrink_chance=1, jpeg_chance=1, erase_chance=1)
    out = augment(images(50), np.arange(50), Draw(1, 0), always, size=40)
    assert out.shape == (50, 40, 40)
    assert out.dtype == np.uint8
