"""The command: which formats, where to, what is refused, and what a broken video costs."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from ferflow.exchange.formats import FORMATS
from tests.hostile.outputs import snapshot


def test_files_are_in_the_output_folder_by_default_and_nothing_else_changes(own_folder, ferflow):
    before = snapshot(own_folder)
    done = ferflow("export", own_folder, "--format", "csv")
    assert done.code == 0, done.text
    assert f"Written: {own_folder}/export/timeline.csv" in done.text
    after = snapshot(own_folder)
    changed = {path for path in after if before.get(path) != after[path]}
    assert changed == {"export", "export/timeline.csv", "export/faces.csv", ".ferflow.lock"}


def test_a_file_that_is_there_is_replaced_on_request_only(made_folder, tmp_path, ferflow):
    (tmp_path / "timeline.csv").write_text("mine")
    done = ferflow("export", made_folder, "-f", "csv", "-o", tmp_path)
    assert done.code == 2
    assert "timeline.csv exists. Give --overwrite" in done.text
    assert (tmp_path / "timeline.csv").read_text() == "mine"
    assert not (tmp_path / "faces.csv").exists()
    assert ferflow("export", made_folder, "-f", "csv", "-o", tmp_path, "--overwrite").code == 0
    assert len(pd.read_csv(tmp_path / "timeline.csv")) == 150


def test_one_bad_video_costs_its_own_result_only(own_folder, ferflow, tmp_path):
    (own_folder / "faces" / "one-00000001.parquet").write_bytes(b"PAR1 no")
    done = ferflow("export", own_folder, "-f", "csv", "-o", tmp_path / "x")
    assert done.code == 10
    assert re.search(r"ferflow: one-00000001: left out\. .+", done.text)
    assert set(pd.read_csv(tmp_path / "x" / "timeline.csv").video_id) == {"two-00000002"}


def test_a_broken_list_of_corrections_stops_the_export(own_folder, ferflow, tmp_path):
    (own_folder / "corrections.csv").write_text("video_id,action\none-00000001,vanish\n")
    done = ferflow("export", own_folder, "-f", "csv", "-o", tmp_path / "x")
    assert done.code == 2
    assert "corrections.csv" in done.text
    assert not (tmp_path / "x").exists()


def test_an_unknown_format_is_named_with_the_known_ones(made_folder, ferflow):
    done = ferflow("export", made_folder, "-f", "csv,word")
    assert done.code == 2
    assert "'word' is unknown. Give one of csv, " in done.text
    assert ferflow("export", made_folder, "-f", ",").code == 2


def test_help_lists_every_format(ferflow):
    shown = " ".join(ferflow("export", "--help").text.split())
    for name in FORMATS:
        assert f"{name}: " in shown


def test_who_means_a_model_is_told_the_command_for_models(tmp_path, ferflow):
    (tmp_path / "card.json").write_text("{}")
    done = ferflow("export", tmp_path, "-f", "csv")
    assert done.code == 2
    assert f"ferflow models export {tmp_path}" in done.text
    assert ferflow("export", tmp_path / "none", "-f", "csv").code == 5


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.library])
def test_a_missing_library_is_one_line_that_says_what_to_install(
    name, made_folder, ferflow, monkeypatch, tmp_path
):
    import importlib.util

    real = importlib.util.find_spec
    hidden = FORMATS[name].library
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == hidden else real(name, *rest)
    )
    done = ferflow("export", made_folder, "-f", name, "-o", tmp_path / "x")
    assert done.code == 2
    assert (
        done.text == f"ferflow: --format {name} needs {hidden}. Install it: pip install 'ferflow[exchange]'\n"
    )
