"""The bar of expressions draws what is shown, and nothing else."""

from __future__ import annotations

from ferflow.dashboards.shared.elements import build_expression_bar


def test_a_share_of_0_percent_is_listed_but_not_drawn_and_a_small_one_is_drawn():
    bar = build_expression_bar(
        ["neutral", "happy", "sad"], {"shown_neutral": 0.9999, "shown_happy": 0.0, "shown_sad": 0.0001}
    )
    assert [share.label for share in bar.shares] == ["sad", "happy", "neutral"]
    assert [share.label for share in bar.drawn] == ["sad", "neutral"]
