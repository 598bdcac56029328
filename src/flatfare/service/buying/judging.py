"""What each billed line turned out to be, by the buyer's own definition and verifiers.

The vendor's word makes a conversation ``assumed``; only a verdict of somebody else makes it verified.
A line is one thing: a second line for a conversation is a duplicate whatever became of the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.definition import Definition, Standing, standing_of
from flatfare.core.outcome import Judgement, Outcome, Verdict, VerifierKind
from flatfare.service.buying.vendors import vendor_of
from flatfare.service.tasks.defining import Register
from flatfare.store import bought, reading
from flatfare.store.book import Book
from flatfare.store.bought import BilledLine, TicketRow
from flatfare.store.engine import translated
from flatfare.store.home import Value
from flatfare.store.lake import Lake
from flatfare.store.layout import VERDICTS

OF_TICKETS = ("signal:", "ticket:")
"""How verdicts begin that tickets gave; all others are a verifier's."""


class State(StrEnum):
    """What a billed line was."""

    VERIFIED = "verified"
    ASSUMED = "assumed"
    REOPENED = "reopened"
    HANDED_OFF = "handed_off"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    UNMATCHED = "unmatched"
    OPEN = "open"
    CREDIT = "credit"


DISPUTABLE = (State.DUPLICATE, State.UNMATCHED, State.REOPENED, State.HANDED_OFF, State.FAILED)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation that was billed, and where it stands."""

    task_id: str
    name: str
    path: str
    lines: tuple[BilledLine, ...]
    ticket: TicketRow | None  # None: no tickets were given
    verdicts: tuple[Mapping[str, Value], ...]  # in the order of their chain
    definition: Definition
    standing: Standing
    is_matured: bool

    @property
    def net_nano(self) -> int:
        """What it cost, with what was credited taken off."""
        return sum(line.nano for line in self.lines)

    @property
    def is_judged(self) -> bool:
        """A verifier of its own has spoken, not only the vendor and the ticket."""
        return any(
            not str(said["verifier"]).startswith(OF_TICKETS) and said["judgement"] != "abstain"
            for said in self.verdicts
        )

    @property
    def state(self) -> State:
        """What the conversation was, apart from duplicates."""
        if self.standing.outcome is Outcome.VERIFIED:
            return State.VERIFIED
        ticket = self.ticket
        if self.lines[0].conversation is None or (ticket is not None and ticket.name is None):
            return State.UNMATCHED
        if ticket is not None and ticket.is_reopened and self.standing.outcome in _TURNED:
            return State.REOPENED
        if ticket is not None and ticket.is_handed_off and self.standing.outcome in _TURNED:
            return State.HANDED_OFF
        if self.standing.outcome in _TURNED:
            return State.FAILED
        return State.ASSUMED if self.is_matured else State.OPEN


_TURNED = (Outcome.FAILED, Outcome.REVERSED)


@dataclass(frozen=True, slots=True)
class Judged:
    """One line, and what it was."""

    line: BilledLine
    conversation: Conversation
    state: State
    duplicate_of: BilledLine | None = None


def judged_lines(conversations: Iterable[Conversation]) -> list[Judged]:
    """Each line with its state, the oldest first."""
    found = [judged for one in conversations for judged in _lines_of(one)]
    return sorted(found, key=lambda judged: (judged.line.at_us, int(judged.line.place or 0), judged.line.id))


def _lines_of(one: Conversation) -> Iterable[Judged]:
    is_once = vendor_of(one.lines[0].vendor).is_one_per_conversation
    first: BilledLine | None = None
    for line in one.lines:
        if line.nano < 0:
            yield Judged(line, one, State.CREDIT)
        elif first is not None and is_once:
            yield Judged(line, one, State.DUPLICATE, first)
        else:
            first = first or line
            yield Judged(line, one, one.state)


def conversations_of(
    book: Book,
    lake: Lake,
    *,
    now_us: int,
    vendor: str | None = None,
    since_us: int | None = None,
    until_us: int | None = None,
    definition: Definition | None = None,
) -> list[Conversation]:
    """The conversations that were billed in a period, judged by ``definition``.

    Without one, each is judged by what was in force when it was opened. A conversation that has a line in
    the period comes with all its lines, so that a duplicate of last month's shows.
    """
    asked = {line.task_id for line in bought.lines(book, vendor, since_us, until_us)}
    by_task: dict[str, list[BilledLine]] = {}
    for line in bought.lines(book, vendor):
        if line.task_id in asked:
            by_task.setdefault(line.task_id, []).append(line)
    tickets, register = bought.tickets(book), Register(book)
    tasks, verdicts = _known(book, lake, list(by_task))
    found = []
    for task_id, lines in by_task.items():
        task = tasks.get(task_id, {})
        name, opened_at_us = (
            str(task.get("name", "resolution")),
            int(task.get("opened_at_us") or lines[0].at_us),
        )
        own = definition or register.of(name, opened_at_us)
        closes_at_us = int(task.get("closed_at_us") or lines[0].at_us)
        said = verdicts.get(task_id, [])
        standing = standing_of(map(_verdict, said), own, closes_at_us=closes_at_us, now_us=now_us)
        found.append(
            Conversation(
                task_id,
                name,
                str(task.get("path") or lines[0].vendor),
                tuple(lines),
                tickets.get(task_id),
                tuple(said),
                own,
                standing,
                is_matured=closes_at_us + (own.window_us or 0) <= now_us,
            )
        )
    return found


def _known(
    book: Book, lake: Lake, ids: Sequence[str]
) -> tuple[dict[str, dict[str, Value]], dict[str, list[dict[str, Value]]]]:
    """The tasks of these ids and the verdicts on each, in the order of its chain."""
    tasks: dict[str, dict[str, Value]] = {}
    verdicts: dict[str, list[dict[str, Value]]] = {}
    if not ids:
        return tasks, verdicts
    with reading.opened(book, lake, "tasks", "verdicts") as engine, translated("Reading what was bought"):
        engine.execute("CREATE TEMP TABLE asked (id UUID)")
        with engine.appender("asked") as appender:
            appender.append_rows([(one,) for one in ids])
        keys = ["id", "name", "path", "opened_at_us", "closed_at_us"]
        for row in engine.execute(
            f"SELECT CAST(id AS VARCHAR), {', '.join(keys[1:])} FROM tasks WHERE id IN (SELECT id FROM asked)"
        ).fetchall():
            tasks[str(row[0])] = dict(zip(keys, row, strict=True))
        keys = [column.name for column in VERDICTS]
        cast = ", ".join(f"CAST({c.name} AS VARCHAR)" if c.kind == "uuid" else c.name for c in VERDICTS)
        for row in engine.execute(
            f"SELECT {cast} FROM verdicts WHERE task_id IN (SELECT id FROM asked) ORDER BY task_id, position"
        ).fetchall():
            said = dict(zip(keys, row, strict=True))
            verdicts.setdefault(str(said["task_id"]), []).append(said)
    return tasks, verdicts


def _verdict(said: Mapping[str, Value]) -> Verdict:
    attempt = said["attempt_number"]
    return Verdict(
        str(said["verifier"]),
        str(said["verifier_version"]),
        VerifierKind(str(said["kind"])),
        Judgement(str(said["judgement"])),
        str(said["evidence_hash"]),
        int(said["at_us"] or 0),
        attempt=None if attempt is None else int(attempt),
        id=str(said["id"]),
        score=None if said["score"] is None else str(said["score"]),
        source=str(said["source"]),
    )
