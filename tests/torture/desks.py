"""Cases of files as users have them, and of the same files damaged."""

from __future__ import annotations

from pathlib import PurePath

from tests.desks.situations import SITUATIONS, Situation
from tests.torture import wreck
from tests.torture.films import Maker
from tests.torture.kinds import Case


def cases() -> list[Case]:
    """All of this module."""
    return [case for situation in SITUATIONS for case in (_intact(situation), *_damaged(situation))]


def _intact(situation: Situation) -> Case:
    return Case(
        kind="desks-gaps" if situation.has_gaps else "desks",
        name=situation.name,
        make=situation.make,
        rows=situation.n_frames,
        reported=situation.says,
        stream=situation.stream,
    )


def _damaged(situation: Situation) -> list[Case]:
    makers: dict[str, Maker] = {
        "cut": wreck.cut_at(situation.make, 60),
        "hollow": wreck.hollow(situation.make, 0.4, 0.5),
        "flips": wreck.bits_flipped(situation.make, seed=len(situation.name), start=0.05),
    }
    name = PurePath(situation.name)
    return [
        Case(
            kind="desks-damaged",
            name=f"{name.stem} {damage}{name.suffix}",
            make=make,
            stream=situation.stream,
            is_slow=damage != "cut",
        )
        for damage, make in makers.items()
    ]
