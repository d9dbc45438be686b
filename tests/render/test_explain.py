"""What the network looked at: evidence adds up to logits and those to scores; stages and frames are the right ones."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from ferflow.cli import app
from ferflow.cli.models import list_models
from ferflow.dashboards.model_pages.explanation import render_explanation
from ferflow.dashboards.model_pages.training_curves import render_curves
from ferflow.errors import OptionsError, VideoError
from ferflow.models.class_activation import NetworkInspector
from ferflow.models.history import Epoch
from ferflow.models.registry import resolve
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.render.explain import find_moments
from tests.conftest import face_frames, portrait, write_video
from tests.desks.cameras import several_streams, turned


@pytest.fixture(scope="module", params=["default", "ferplus"])
def card(request):
    return resolve(request.param)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "face.png"
    cv2.imwrite(str(path), portrait()[..., ::-1])
    return path


@pytest.fixture(scope="module")
def seen(card):
    gray = cv2.cvtColor(portrait()[20:240, 110:330], cv2.COLOR_RGB2GRAY)
    crop = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA)
    return NetworkInspector(card)(np.stack([crop, crop[:, ::-1]])[..., None])


def test_a_heads_mean_evidence_and_its_bias_are_its_logits(seen):
    for answer in (answer for part in seen for answer in part.answers.values()):
        assert answer.evidence.mean(axis=(1, 2)) + answer.bias == pytest.approx(answer.logits, abs=1e-4)


def test_scores_are_the_mean_of_what_the_heads_say(card, seen):
    for part in seen:
        assert set(part.answers) == ({"vote_head"} if card.name == "ferplus" else {"label_head", "vote_head"})
        shares = [answer.share for answer in part.answers.values()]
        assert sum(shares) == pytest.approx(1)
        said = [np.exp(answer.logits / card.temperature) for answer in part.answers.values()]
        mean = sum(share * power / power.sum() for share, power in zip(shares, said, strict=True))
        assert part.probs == pytest.approx(mean, abs=1e-5)


def test_what_a_head_says_for_all_labels_alike_is_no_evidence(seen):
    part = seen[0]
    name, answer = next(iter(part.answers.items()))
    louder = replace(part, answers=part.answers | {name: replace(answer, evidence=answer.evidence + 5)})
    assert louder.evidence == pytest.approx(part.evidence, abs=1e-4)
    assert np.abs(part.evidence).max() > 0.1


def test_probabilities_are_those_of_the_float_network(card, seen):
    from ferflow.models.classifier import OnnxClassifier

    crops = np.stack([part.crop for part in seen])[..., None]
    expected = OnnxClassifier(card, weights=card.float_file)(crops)
    assert np.stack([part.probs for part in seen]) == pytest.approx(expected, abs=1e-5)


def test_stages_are_the_last_maps_of_each_size_down_to_what_is_averaged(seen):
    shapes = [maps.shape for maps in seen[0].stages.values()]
    sides = [shape[1] for shape in shapes]
    assert sides == sorted(set(sides), reverse=True)
    assert sides[-1] == seen[0].evidence.shape[1]
    assert all(name.endswith("relu") for name in seen[0].stages)


def test_a_picture_is_one_moment(picture, tools):
    (moment,) = find_moments(picture, tools, AnalyzeOptions())
    assert (moment.why, len(moment.crops)) == ("picture", 1)
    assert moment.crops.images.shape == (1, 48, 48, 1)


def test_a_picture_without_a_face_says_what_to_do_and_can_be_taken_whole(tmp_path, tools):
    flat = np.full((60, 60), 128, np.uint8)
    flat[20:40] = 60
    cv2.imwrite(str(tmp_path / "flat.png"), flat)
    with pytest.raises(VideoError, match="--whole"):
        find_moments(tmp_path / "flat.png", tools, AnalyzeOptions())
    (moment,) = find_moments(tmp_path / "flat.png", tools, AnalyzeOptions(), whole=True)
    crop = moment.crops.images[0, :, :, 0]
    assert crop[:15] == pytest.approx(128, abs=2)
    assert crop[17:31] == pytest.approx(60, abs=2)


def test_frames_of_a_video_are_those_asked_for(tmp_path, tools):
    empty = [np.full((240, 320, 3), 120, np.uint8)] * 25
    video = write_video(tmp_path / "late.mp4", empty + face_frames(25))
    chosen = find_moments(video, tools, AnalyzeOptions())
    assert chosen[0].why == "first face"
    assert chosen[0].time_s == pytest.approx(1.0, abs=0.05)
    (asked,) = find_moments(video, tools, AnalyzeOptions(), [TimePoint.parse("1.5")])
    assert (asked.why, round(asked.time_s, 2)) == ("asked for", 1.52)
    with pytest.raises(OptionsError, match="ends before"):
        find_moments(video, tools, AnalyzeOptions(), [TimePoint.parse("9")])
    with pytest.raises(VideoError, match="no face"):
        find_moments(video, tools, AnalyzeOptions(), [TimePoint.parse("0.1")])


def test_the_page_shows_crop_evidence_and_stages_and_escapes_names(picture, tools, card, seen):
    (moment,) = find_moments(picture, tools, AnalyzeOptions())
    page = render_explanation("<b>a</b>.png", card, [(moment, seen[:1])])
    # frame, crop, one picture per label, one per stage
    assert page.count("data:image/png;base64,") == 2 + len(card.labels) + len(seen[0].stages)
    assert "<b>a</b>.png" not in page
    assert ("label head" in page) == (card.name == "default")  # only where there are two to tell apart
    assert "No face image is stored" not in page


def test_the_commands_answer_without_tensorflow(picture, tmp_path):
    code = (
        "import sys\nfrom ferflow.cli import app\n"
        f"app(['explain', {str(picture)!r}, '-o', 'x.html'], standalone_mode=False)\n"
        "app(['models'], standalone_mode=False)\n"
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")


def test_models_are_listed_with_their_cards_and_recipes(capsys, card):
    list_models()
    reported = capsys.readouterr().out
    assert f"{card.scores.labels.macro_recall:.4f}" in reported
    assert card.purpose.split(":")[0] in reported
    assert "two-conv" in reported
    list_models(as_json=True)
    table = json.loads(capsys.readouterr().out)
    assert {model["name"]: model["sha256"] for model in table["models"]}[card.name] == card.sha256
    assert table["recipes"]["nine-conv-6class"]["options"]["merge"] == {"disgust": "angry"}


def test_a_model_or_nothing_after_models_lists_and_its_subcommands_keep_their_help():
    run = partial(CliRunner().invoke, app)
    listed = run(["models", "ferplus"])
    assert (listed.exit_code, listed.output) == (0, run(["models", "list", "ferplus"]).output)
    assert "ferplus  recipe resnet-broad" in listed.output
    assert run(["models"]).output == run(["models", "list"]).output
    assert json.loads(run(["models", "--json"]).output)["models"]
    assert "export" in run(["models", "--help"]).output
    assert "--label-share" in run(["models", "export", "--help"]).output


def test_curves_of_a_run_are_drawn_from_its_history():
    history = [
        Epoch(epoch=k, loss=2 - k / 10, accuracy=k / 10, selection=k / 10, seconds=60.0) for k in (1, 2, 3)
    ]
    page = render_curves("<run>", history)
    assert "best: epoch 3, accuracy 30.0%" in page
    assert page.count("<circle") == 6
    assert "<run>" not in page
    assert "epoch 1" in render_curves("run", history[:1])


# --- Which stream, and which way up ---------------------------------------------------------------------------


def explain(path, tools, **chosen):
    return find_moments(path, tools, AnalyzeOptions(**chosen), [TimePoint(0.0)])


def test_a_sideways_video_is_turned_as_an_analysis_turns_it_and_says_so(tmp_path, tools, caplog):
    path = turned(tmp_path / "side.mp4", 90)
    (upright,) = explain(turned(tmp_path / "up.mp4", 0), tools)
    assert not caplog.messages
    (found,) = explain(path, tools)
    (reported,) = caplog.messages
    assert reported.startswith("side.mp4: rotate auto: the stored picture is turned by 90 degrees clockwise")
    assert found.preview.shape == upright.preview.shape == (240, 320)
    assert np.abs(found.crops.images.astype(int) - upright.crops.images).mean() < 15


def test_a_turn_that_is_given_is_applied_and_file_keeps_what_the_file_says(tmp_path, tools, caplog):
    path = turned(tmp_path / "side.mp4", 90)
    (by_hand,) = explain(path, tools, rotate="90")
    assert by_hand.preview.shape == (240, 320)
    (as_stored,) = find_moments(path, tools, AnalyzeOptions(rotate="file"), [TimePoint(0.0)], whole=True)
    assert as_stored.preview.shape == (320, 240)
    assert not caplog.messages


def test_the_stream_that_is_given_is_explained_and_others_are_named(tmp_path, tools, caplog):
    path = several_streams(tmp_path / "a.mp4", [(640, 480), (320, 240)], frames=(9, 9))
    chosen = [
        find_moments(path, tools, AnalyzeOptions(stream=number), [TimePoint(0.0)], whole=True)[0]
        for number in (0, 1)
    ]
    assert [moment.preview.shape[::-1] for moment in chosen] == [(560, 420), (320, 240)]
    assert "2 video streams: #1 (h264, 320x240, 9 frames) is analysed, not #0" in caplog.messages[1]


def test_the_command_has_the_options_of_analyze_and_their_messages(tmp_path):
    path = several_streams(tmp_path / "a.mp4", [(640, 480), (320, 240)], frames=(9, 9))
    refusals = []
    for command in ("explain", "analyze"):
        target = str(tmp_path / ("page.html" if command == "explain" else "out"))
        done = CliRunner().invoke(app, [command, str(path), "-o", target, "--stream", "5"])
        refusals.append(str(done.exception) + done.output)
        assert "stream 5 is no video stream; there is #0 (h264, 640x480, 9 frames)" in refusals[-1]
        wrong = CliRunner().invoke(app, [command, str(path), "-o", target, "--rotate", "45"])
        assert wrong.exit_code == 2
    help_texts = [
        " ".join(CliRunner().invoke(app, [name, "--help"]).output.split()) for name in ("explain", "analyze")
    ]
    for option in ("--stream", "--rotate"):
        assert all(option in text for text in help_texts)


def test_the_command_explains_the_frames_that_are_asked_for_in_their_order(tmp_path):
    video, page = write_video(tmp_path / "a.mp4", face_frames(50)), tmp_path / "page.html"
    times = ("--at", "1.2", "--at", "10f", "--at", "0:00.6")
    done = CliRunner().invoke(app, ["explain", str(video), "-o", str(page), *times])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "3 faces in 3 frames"
    shown = re.findall(r"00:0[0-9.]+", page.read_text(encoding="utf-8"))
    assert list(dict.fromkeys(shown)) == ["00:01.2", "00:00.4", "00:00.6"]
    late = CliRunner().invoke(app, ["explain", str(video), "-o", str(page), "--at", "50f", "--quiet"])
    assert late.exit_code != 0
    assert "ends before" in str(late.exception) + late.output
