import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ferflow.faces.head_pose import estimate_head_pose

# Not the module's own head: broader, with a flatter nose and a wider mouth. Millimetres, x right, y down,
# z away, from the middle of the head, so that it is looked at from straight ahead.
OTHER_HEAD = np.array([[-34.0, -32, 4], [34, -32, 4], [0, 3, -23], [-29, 32, 2], [29, 32, 2]])
# Median landmarks of 2,296 FER2013 images in their 48 pixels.
FER = np.array([[15.2, 18.3], [32.3, 18.9], [22.6, 28.3], [16.2, 35.5], [30.1, 36.0]], np.float32)


def turned(yaw=0.0, pitch=0.0, roll=0.0):
    """The other head as a camera at 80 cm sees it; pitch, then yaw, then roll, about the picture's axes."""
    # x right, y down, z away: a positive turn about y brings the nose, at -z, to the left; about x, down.
    rotation = Rotation.from_euler("xyz", [-pitch, -yaw, roll], degrees=True)
    points = rotation.apply(OTHER_HEAD) + np.array([0, 0, 800.0])
    return (1500 * points[:, :2] / points[:, 2:] + (640, 360)).astype(np.float32)


def test_the_nose_says_what_yaw_and_pitch_mean():
    straight, right, up = turned(), turned(yaw=20), turned(pitch=20)
    assert right[2, 0] > straight[2, 0]
    assert up[2, 1] < straight[2, 1]
    yaws = estimate_head_pose(np.stack([straight, right]))[:, 0]
    pitches = estimate_head_pose(np.stack([straight, up]))[:, 1]
    assert yaws[1] > yaws[0] + 15
    assert pitches[1] > pitches[0] + 10


def test_roll_is_clockwise_as_seen():
    roll = estimate_head_pose(turned(roll=15)[None])[0, 2]
    points = turned(roll=15)
    assert points[1, 1] > points[0, 1]  # the eye at the right has gone down
    assert roll == pytest.approx(15, abs=1)


@pytest.mark.parametrize("yaw", [-40, -20, 0, 20, 40])
@pytest.mark.parametrize("pitch", [-20, 0, 20])
@pytest.mark.parametrize("roll", [-30, 0, 30])
def test_a_head_of_other_proportions_is_read_within_10_degrees(yaw, pitch, roll):
    found = estimate_head_pose(turned(yaw, pitch, roll)[None])[0]
    assert found == pytest.approx([yaw, pitch, roll], abs=10)


def test_the_median_face_of_fer2013_is_frontal():
    yaw, pitch, roll = estimate_head_pose(FER[None])[0]
    # YuNet sets the nose tip to the left of the middle, by 7 degrees' worth.
    assert abs(yaw) < 7
    assert abs(pitch) < 1
    assert abs(roll) < 2


def test_a_mirrored_face_turns_and_tilts_the_other_way():
    points = turned(25, 10, 12)
    mirrored = (points * (-1, 1) + (1280, 0))[[1, 0, 2, 4, 3]].astype(np.float32)
    yaw, pitch, roll = estimate_head_pose(points[None])[0]
    assert estimate_head_pose(mirrored[None])[0] == pytest.approx([-yaw, pitch, -roll], abs=1e-3)


@pytest.mark.parametrize("angle", [-170, -60, -7, 33, 90])
def test_turning_the_picture_changes_roll_alone(angle):
    points = turned(25, -10, 3)
    matrix = Rotation.from_euler("z", angle, degrees=True).as_matrix()[:2, :2]
    before, after = estimate_head_pose(np.stack([points, points @ matrix.T]).astype(np.float32))
    assert after[:2] == pytest.approx(before[:2], abs=1e-3)
    assert (after[2] - before[2] - angle + 180) % 360 - 180 == pytest.approx(0, abs=1e-3)


def test_size_and_place_do_not_matter():
    points = turned(20, 5, -8)
    small = points * 0.1 + (3000, -50)
    expected = estimate_head_pose(points[None])
    assert estimate_head_pose(small[None].astype(np.float32)) == pytest.approx(expected, abs=0.05)


def test_pixels_that_are_not_square_are_allowed_for():
    points = turned(20, 5, -8)
    squeezed = (points / (4 / 3, 1)).astype(np.float32)
    expected = estimate_head_pose(points[None])
    assert estimate_head_pose(squeezed[None], pixel_aspect=4 / 3) == pytest.approx(expected, abs=0.01)


def test_no_face_gives_no_row():
    found = estimate_head_pose(np.zeros((0, 5, 2), np.float32))
    assert found.shape == (0, 3)
    assert found.dtype == np.float32


def test_unknown_landmarks_give_nan_and_leave_the_others():
    points = np.stack([turned(10), np.full((5, 2), np.nan, np.float32), turned(-10)])
    points[2, 0, 1] = np.inf
    found = estimate_head_pose(points)
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7.0),
        [[0, 0], [10, 0], [5, -30], [0, 10], [10, 10]],
        [[0, 20], [20, 20], [10, 10], [20, 0], [0, 0]],
    ],
    ids=["one point", "nose above the eyes", "mouth sides swapped"],
)
def test_points_that_are_no_face_give_nan(points):
    assert np.isnan(estimate_head_pose(np.array(points, np.float32)[None])).all()


def test_points_in_one_line_give_no_error():
    line = np.arange(10, dtype=np.float32).reshape(1, 5, 2)
    assert estimate_head_pose(line).shape == (1, 3)


def detected(image):
    """Pose of the one face of a gray picture, as the pipeline would read it."""
    from ferflow.faces.detector import make_detector
    from ferflow.media.planes import Planes
    from ferflow.media.video import Frame
    from ferflow.options import AnalyzeOptions

    frame = Frame(0, 0, 0.0, Planes(np.ascontiguousarray(image), None, None, True))
    found = make_detector(AnalyzeOptions(min_face=10)).detect([frame])[0].largest(1)
    return estimate_head_pose(found.landmarks)[0]


def large_portrait(angle):
    """A real frontal face, 280 pixels high, turned clockwise in the picture; uint8 gray."""
    from skimage.data import astronaut

    matrix = cv2.getRotationMatrix2D((224, 110), -angle, 2.5)
    matrix[:, 2] += (640 - 224, 640 - 110)
    return cv2.warpAffine(
        cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY), matrix, (1280, 1280), borderMode=cv2.BORDER_REFLECT
    )


def test_a_real_frontal_face_is_read_as_frontal():
    assert np.abs(detected(large_portrait(0))).max() < 7


@pytest.mark.parametrize("angle", [-30, 30])
def test_a_tilted_real_face_has_a_roll_of_that_sign_and_its_mirror_image_the_other(angle):
    picture = large_portrait(angle)
    straight, mirrored = detected(picture)[2], detected(picture[:, ::-1])[2]
    # YuNet draws its landmarks too upright: of 30 degrees in the picture, 13 to 24 arrive.
    assert 10 < straight * np.sign(angle) < 30
    assert 10 < -mirrored * np.sign(angle) < 30


# The head that is fitted, millimetres (Dodgson, 2004; Farkas, 1994; see the module).
HEAD = np.array([[-31.5, 0, 0], [31.5, 0, 0], [0, 36, -30], [-25.5, 63.5, -5], [25.5, 63.5, -5]])
CENTRED = HEAD - HEAD.mean(axis=0)
SIZE = np.sqrt((CENTRED**2).sum(axis=1).mean())


def bent(misfit, yaw=0.0, scale=2.0):
    """The head itself, with landmarks away from every place that a turn, scale or shift of it could explain."""
    from scipy.linalg import null_space

    (away,) = null_space(np.c_[HEAD, np.ones(5)].T).T
    points = scale * Rotation.from_euler("y", -yaw, degrees=True).apply(CENTRED)[:, :2]
    points[:, 0] += away * misfit * scale * SIZE * np.sqrt(5)
    return points.astype(np.float32)


@pytest.mark.parametrize(
    ("yaw", "most"), [(0, 0.15), (-44, 0.15), (44, 0.15), (46, 0.3), (-46, 0.3), (80, 0.3)]
)
def test_landmarks_may_lie_off_the_head_by_a_share_of_its_size(yaw, most):
    for scale in (0.2, 2.0):
        known = estimate_head_pose(np.stack([bent(most * share, yaw, scale) for share in (0.99, 1.01)]))
        assert known[0, 0] == pytest.approx(yaw, abs=0.01)
        assert np.isnan(known[1]).all()


@pytest.mark.parametrize("share", [0.99, 1.01])
def test_a_stretched_head_is_fitted_at_its_mean_scale(share):
    # Wider and lower by s: the landmarks are s times their distance from the middle away from the fitted head.
    flat = CENTRED[:, :2]
    stretch = 0.15 / np.sqrt((flat**2).sum(axis=1).mean()) * SIZE * share
    points = (flat * (1 + stretch, 1 - stretch) * 3).astype(np.float32)
    assert np.isnan(estimate_head_pose(points[None])).all() == (share > 1)


def test_faces_in_pixels_of_different_shapes_are_read_each_with_its_own():
    points = turned(20, 5, -8)
    both = np.stack([points, points / (2, 1), np.full((5, 2), np.nan), points / (0.5, 1)]).astype(np.float32)
    found = estimate_head_pose(both, pixel_aspect=np.array([1.0, 2.0, 1.0, 0.5]))
    assert np.isnan(found[2]).all()
    assert found[[1, 3]] == pytest.approx(np.stack([found[0]] * 2), abs=0.01)
