"""`ferflow annotate --anonymize`: copies in which faces are covered, and a report of what may still show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ferflow.cli.common import print_message
from ferflow.cli.made_videos import Encoding, Outcome, follow_steps
from ferflow.cli.tables_first import NoTables, find_tables_of
from ferflow.errors import OptionsError
from ferflow.options import CoverName
from ferflow.text import pluralize, sanitize, timecode

if TYPE_CHECKING:
    from ferflow.analytics.person_faces import Persons
    from ferflow.render.anonymize import Anonymized, Exceptions, Residue
    from ferflow.render.cut_clips import Covers
    from ferflow.render.rewrite import Part, Rewrite
    from ferflow.render.targets import Target

REPORT_SUFFIX = ".check.csv"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Covering:
    """Who is covered, and how."""

    method: CoverName
    min_face: int | None = None
    excepted: tuple[str, ...] = ()
    """Names of those who stay visible."""
    only: tuple[str, ...] = ()
    """Names of those who are covered; empty: all others."""
    tables: Path | None = None
    """Output folder with the people of these names."""

    @classmethod
    def parse(
        cls,
        method: CoverName | None,
        excepted: Sequence[str] | None,
        only: Sequence[str] | None,
        min_face: int | None,
        tables: Path | None,
    ) -> Self | None:
        """What options say; None: no face is covered.

        Raises:
            OptionsError: they do not go together.
        """
        given = {"--except": excepted, "--only": only, "--min-face": min_face}
        names = [name for name, value in given.items() if value]
        if method is None:
            if names:
                raise OptionsError(f"{names[0]} needs --anonymize.")
            return None
        if excepted and only:
            raise OptionsError("--except and --only: give one of them.")
        if (excepted or only) and tables is None:
            raise OptionsError(f"{names[0]} needs --from OUT: an analysis knows who is who.")
        return cls(method, min_face, tuple(excepted or ()), tuple(only or ()), tables)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, whichever way they are meant."""
        return self.excepted or self.only

    def find_visible(self, persons: Persons) -> frozenset[int]:
        """Ids of those who stay visible.

        Raises:
            OptionsError: somebody who alone is to be covered is not in the video.
        """
        named = frozenset(person for person in persons.ids if persons.name_of(person) in self.names)
        if self.excepted:
            return named
        missing = sorted(set(self.only) - {persons.name_of(person) for person in named})
        if missing:
            raise OptionsError(
                f"{persons.paths.video_id}: nobody in it is called {sanitize(missing[0])}. Name this person in "
                "people.csv, or leave out --only."
            )
        return frozenset(persons.ids) - named

    def check_names(self, people: Iterable[Persons]) -> None:
        """Refuse names that nobody has.

        Raises:
            OptionsError: there is one.
        """
        known = {persons.name_of(person) for persons in people for person in persons.ids}
        if unknown := [name for name in self.names if name not in known]:
            shown = ", ".join(map(sanitize, sorted(known)[:10])) or "nobody"
            raise OptionsError(
                f"nobody is called {sanitize(unknown[0][:80])!r}. There is: {shown}. See ferflow people."
            )

    def cover(self, persons: Persons) -> Covers:
        """How the faces of a video are covered.

        Raises:
            OptionsError: see `find_visible`.
        """
        from ferflow.render.anonymize import Exceptions
        from ferflow.render.cut_clips import Covers

        exceptions = Exceptions(persons=persons, visible=self.find_visible(persons)) if self.names else None
        return Covers(method=self.method, min_face=self.min_face, exceptions=exceptions)


def anonymize_all(
    targets: Sequence[Target], covering: Covering, stretch: Part, encoding: Encoding, outcome: Outcome
) -> None:
    """Write and check the copies."""
    people = _read_people(targets, covering, outcome) if covering.names else {}
    for target in targets:
        if covering.names and target.source not in people:
            continue
        with outcome.note_errors(target.source):
            exceptions = _make_exceptions(target.source, people.get(target.source), covering)
            wanted = encoding.write(target.path)
            made = anonymize_one(target, covering, stretch, wanted, exceptions, quiet=outcome.quiet)
            outcome.finish(target.source, target.path, made)
            report_residues(target.path, made, outcome)


def anonymize_one(
    target: Target,
    covering: Covering,
    stretch: Part,
    wanted: Rewrite,
    exceptions: Exceptions | None,
    *,
    quiet: bool,
) -> Anonymized:
    """Write and check one copy."""
    from ferflow.render.anonymize import Anonymized, AnonymizeRequest, anonymize_video
    from ferflow.system.child_process import follow_in_child

    request = AnonymizeRequest(
        source=target.source, stretch=stretch, wanted=wanted, method=covering.method,
        min_face=covering.min_face, exceptions=exceptions,
    )  # fmt: skip
    made = follow_steps(target.source, follow_in_child(anonymize_video, request), quiet=quiet)
    assert isinstance(made, Anonymized)
    return made


def _read_people(targets: Sequence[Target], covering: Covering, outcome: Outcome) -> dict[Path, Persons]:
    """Who is in each video; videos without tables are reported.

    Raises:
        OptionsError: a name is in none of them.
    """
    from ferflow.jobs.lists import read_names, read_persons

    assert covering.tables is not None
    found: dict[Path, Persons] = {}
    tables = find_tables_of([target.source for target in targets], covering.tables)
    for target in targets:
        files = tables.get(target.source)
        if files is None or isinstance(files, NoTables):
            reason = f"{target.source}: not analysed in {covering.tables}, so nobody in it has a name."
            outcome.fail(reason if files is None else files.reason)
            continue
        with outcome.note_errors(target.source):
            found[target.source] = read_persons(files, read_names(files))
    covering.check_names(found.values())
    return found


def _make_exceptions(source: Path, persons: Persons | None, covering: Covering) -> Exceptions | None:
    from ferflow.render.anonymize import Exceptions

    if persons is None:
        return None
    visible = covering.find_visible(persons)
    if not visible:
        print_message(f"{source.name}: nobody in it stays visible.")
    return Exceptions(persons=persons, visible=visible)


def report_residues(path: Path, made: Anonymized, outcome: Outcome) -> None:
    """Write and print what may still show a face, and let the command end with another exit code if there is any."""
    from ferflow.store.atomic_files import atomic_write, remove

    report = path.with_name(path.name + REPORT_SUFFIX)
    residues = made.residues
    if not residues:
        remove(report, out=None)
        if not outcome.quiet:
            print_message(f"{path.name}: checked, {pluralize(made.n_frames, 'frame')}: no face is found.")
        return
    outcome.n_incomplete += 1
    with atomic_write(report) as part:
        part.write_text("".join(_format_report(residues)), encoding="utf-8")
    n_frames = len({residue.number for residue in residues})
    places = ", ".join(f"{timecode(one.time_s)} ({one.score:.2f})" for one in residues[:_SHOWN])
    print_message(
        f"{path.name}: in {pluralize(n_frames, 'frame')} a face may still show, at {places}"
        f"{' and later' if len(residues) > _SHOWN else ''}. All of them: {report.name}"
    )


def _format_report(residues: Sequence[Residue]) -> list[str]:
    rows = [
        f"{one.number},{one.time_s:.3f},{one.score:.3f},{','.join(f'{value:.0f}' for value in one.xyxy)}\n"
        for one in residues
    ]
    return ["frame,time_s,score,x1,y1,x2,y2\n", *rows]
