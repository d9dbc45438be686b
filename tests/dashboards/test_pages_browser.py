"""The pages of evaluate, explain and train in a real browser: nothing fails, nothing is fetched, nothing sticks out."""

from __future__ import annotations

import numpy as np
import pytest

from ferflow.dashboards.model_pages.evaluation import render_evaluation
from ferflow.dashboards.model_pages.explanation import render_explanation
from ferflow.dashboards.model_pages.training_curves import render_curves
from ferflow.models.class_activation import NetworkInspector
from ferflow.models.history import Epoch
from ferflow.models.registry import resolve
from ferflow.render.explain import Moment
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM, Opened
from tests.models.test_evaluation import Faces, measured, reported

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def pages(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("pages")
    data = Faces(
        images=reported([3, 4, 5, 0], [90, 80, 70, 60]), labels=np.array([3, 3, 5, 1]), skipped={HOSTILE: 1}
    )
    (folder / "evaluation.html").write_text(render_evaluation(measured(data)), "utf-8")
    history = [
        Epoch(epoch=k, loss=2 - k / 10, accuracy=k / 10, ferplus_accuracy=k / 9, selection=k, seconds=9)
        for k in range(1, 8)
    ]
    (folder / "curves.html").write_text(render_curves(HOSTILE, history), "utf-8")
    card = resolve("default")
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1), dtype=np.uint8)

    class Crops:
        face_px = np.array([60.0, 30.0])

        def __len__(self):
            return 2

    moment = Moment(1.5, "first face", crops[0, :, :, 0], Crops())
    (folder / "explanation.html").write_text(
        render_explanation(HOSTILE, card, [(moment, NetworkInspector(card)(crops))]), "utf-8"
    )
    return folder


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
@pytest.mark.parametrize("name", ["evaluation", "curves", "explanation"])
def test_a_page_opens_alone_without_errors_and_fits(browser, pages, name, width):
    path = pages / f"{name}.html"
    with Opened(browser, path, viewport={"width": width, "height": 900}) as opened:
        assert opened.wrong == []
        assert [url for url in opened.asked if not url.startswith("data:")] == [path.as_uri()]
        assert opened.page.title() != "owned"
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert opened.page.evaluate(broken) == 0
