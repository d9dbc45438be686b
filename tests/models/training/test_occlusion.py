"""The head for covered mouths: fitted, exported in every form, and shown in the table of faces."""

import cv2
import numpy as np
import pytest

from ferflow.errors import ModelError, OptionsError
from ferflow.models import keras_network, registry
from ferflow.models.classifier import KerasClassifier, OnnxClassifier
from ferflow.models.data.augment import Draw
from ferflow.models.data.covers import MEDIAN_POINTS
from ferflow.models.data.labelled_faces import Faces
from ferflow.models.training import occlusion, release
from ferflow.models.training.occlusion import FaceMarks, draw_covers
from tests.conftest import needs_keras, portrait
from tests.models.training.test_release import card  # noqa: F401 - a fixture

pytestmark = needs_keras


@pytest.fixture(scope="module")
def faces():
    """The portrait in different light, with noise; its mouth is near the median place."""
    rng = np.random.default_rng(0)
    face = cv2.resize(portrait()[0:260, 90:350], (48, 48), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(float)
    images = np.array([gray * rng.uniform(0.6, 1.2) + rng.normal(0, 4, (48, 48)) for _ in range(400)])
    usage = np.array(["Training"] * 330 + ["PublicTest"] * 70)
    return Faces(images=np.clip(images, 0, 255).astype(np.uint8), labels=np.arange(400) % 7, usage=usage)


@pytest.fixture(scope="module")
def marked(faces):
    return FaceMarks(faces.images[:330], np.tile(MEDIAN_POINTS, (330, 1, 1)))


@pytest.fixture(scope="module")
def released(card, faces, marked, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("released")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "find_marks", lambda faces: marked)
        (written,) = release.release(card, out, faces, occlusion=True)
    return written


def test_drawings_depend_on_seed_epoch_and_row_alone_and_the_share_is_kept(marked):
    rows = np.arange(330)
    whole = draw_covers(marked, rows, Draw(1, 0))
    part = draw_covers(marked, rows[5:9][::-1], Draw(1, 0))
    assert np.array_equal(part.images[::-1], whole.images[5:9])
    assert np.mean(whole.kind >= 0) == pytest.approx(0.5, abs=0.08)
    assert not (whole.covered & (whole.kind < 0)).any()
    assert np.array_equal(whole.images[whole.kind < 0], marked.images[whole.kind < 0])


def test_all_forms_of_a_model_agree_on_which_mouths_are_covered(released, marked):
    drawn = draw_covers(marked, np.arange(330), Draw(5, 0), share=0.8)
    images = drawn.images[..., None]
    by_form = [
        OnnxClassifier(released, weights=kind).answer(images).occluded for kind in ("onnx", "onnx_float")
    ]
    by_form.append(KerasClassifier(released).answer(images).occluded)
    for flagged in by_form:
        assert np.mean(flagged == by_form[1]) > 0.9
        assert flagged[drawn.covered].mean() > flagged[drawn.clear].mean() + 0.25
    # The network below the head is a tiny one whose training differs from machine to machine: no narrow bound.
    plain = OnnxClassifier(released).answer(marked.images[..., None]).occluded
    assert plain.mean() < by_form[0][drawn.covered].mean() - 0.25


def test_the_head_changes_no_expression_and_the_card_names_its_layer(released, card, marked):  # noqa: F811
    images = marked.images[:40, ..., None]
    plain = keras_network.load_network(card).predict_on_batch(images.astype(np.float32))
    again = keras_network.load_network(registry.resolve(released.folder))
    assert not isinstance(again.output, dict)
    assert np.asarray(again.predict_on_batch(images.astype(np.float32))) == pytest.approx(
        np.asarray(plain), abs=0.02
    )
    assert released.occlusion_layer
    assert released.sha256 != card.sha256


def test_a_model_without_the_head_says_nothing_of_covered_mouths(card, faces, tmp_path):  # noqa: F811
    (plain,) = release.release(card, tmp_path / "plain", faces)
    assert OnnxClassifier(plain).answer(faces.images[:3, ..., None]).occluded is None


def test_too_few_faces_and_no_faces_are_refused(card, faces, marked, tmp_path, monkeypatch):  # noqa: F811
    few = FaceMarks(marked.images[:10], marked.points[:10])
    monkeypatch.setattr(release, "find_marks", lambda faces: few)
    with pytest.raises(OptionsError, match="needs 200 faces"):
        release.release(card, tmp_path / "a", faces, occlusion=True)
    with pytest.raises(OptionsError, match="Give a data set"):
        release.release(card, tmp_path / "b", None, occlusion=True)


def test_a_network_without_features_of_a_quarter_of_the_side_is_refused():
    import keras

    image = keras.Input((48, 48, 1))
    with pytest.raises(ModelError, match="no features of 12 x 12"):
        occlusion.find_layer(keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image)))
