"""Booking: one process folds every worker's journal into the rows of the book.

The rows and the place in the journal up to which they were read are one transaction,
so that each call is booked exactly once whoever dies when. A call whose worker died
before its end is booked as unproven; a live worker's open calls wait.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flatfare.config import Settings
from flatfare.core.cost import CostState
from flatfare.core.errors import StoreFailure
from flatfare.core.identity import derived
from flatfare.gateway import rows
from flatfare.gateway.folders import is_alive, log_file, log_numbers, node_id, remove_worker, workers
from flatfare.gateway.reading_back import Note, Place, Portion, read_portion
from flatfare.gateway.records import Ended, Figures, Intent, Progress, Result, Told, decode
from flatfare.gateway.reserving.charging import Charge, charge, charge_of, charge_so_far
from flatfare.gateway.tap import nothing
from flatfare.store import adjustments, calls, journals
from flatfare.store.adjustments import Correction
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake

RECORDS_MAX = 10_000
"""About how many records one transaction takes at most: others write to the book too."""

FETCHING = ("responses.retrieve", "responses.cancel")
"""Endpoints that show what another call began: as often as somebody looks, and it is billed once."""

_AT_ITS_BEGINNING = "counted at the call that began it"
_BEFORE = "counted when it was fetched first"

_INTENT_AS_TEXT = msgspec.json.Encoder()
_TEXT_AS_INTENT = msgspec.json.Decoder(Intent)


@dataclass(frozen=True, slots=True)
class Booked:
    """What one turn did."""

    calls: int = 0  # rows of calls that ended
    unproven: int = 0  # rows of calls whose worker died before their end
    corrected: int = 0  # unproven rows whose result came after all
    repeated: int = 0  # results that were booked already
    open: int = 0  # calls of live workers that have no result yet
    notes: tuple[Note, ...] = ()
    problems: tuple[str, ...] = ()  # what cannot be read or removed for now
    is_idle: bool = True  # every journal has been read to its end


@dataclass(slots=True)
class _Turn:
    """What will be written in one transaction."""

    rows: list[dict[str, Value]] = field(default_factory=list)
    row_ids: set[str] = field(default_factory=set)
    opened: dict[str, tuple[str, Intent]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)  # of those that were open in the book
    late: list[tuple[Intent | None, Result]] = field(default_factory=list)  # perhaps booked already
    fetched: list[tuple[Intent, Result]] = field(default_factory=list)  # answers that were begun before
    told: list[Told] = field(default_factory=list)  # costs of calls that ended before
    places: dict[str, Place] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    finished: list[Path] = field(default_factory=list)  # folders of dead workers, read to their end
    corrections: list[Correction] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unproven: int = 0
    repeated: int = 0
    is_idle: bool = True

    @property
    def changes_the_book(self) -> bool:
        return bool(self.places or self.rows or self.closed or self.notes)


class Booker:
    """Books the journals below a folder; there must be only one of it, see ``bookkeeping.claimed``."""

    def __init__(self, book: Book, lake: Lake, folder: Path, settings: Settings | None = None) -> None:
        self._book = book
        self._settings = settings or Settings()
        self._lake = lake
        self._folder = folder
        self._book_file = _identity_of(book)
        self._node = node_id(folder) if book.is_shared else ""  # whose journals these are
        self._places = {
            worker_id: Place(number, offset)
            for worker_id, (number, offset) in journals.positions(book, self._node).items()
        }
        self._open: dict[str, tuple[str, Intent]] = {
            str(call_id): (str(worker_id), _TEXT_AS_INTENT.decode(str(intent)))
            for call_id, worker_id, intent in journals.open_calls(book, self._node)
        }
        self._first = 0

    def book_once(self) -> Booked:
        """Book what the journals hold now, a bounded part at a time.

        Raises ``StoreFailure`` where book or lake cannot be read or written; then nothing
        was booked, and this booker must not be used again. A journal that cannot be read
        is named in ``problems`` and holds up no other.
        """
        turn = self._read()
        self._resolve_fetched(turn)
        self._resolve_late(turn)
        if turn.changes_the_book:
            self._write(turn)
        self._tidy(turn)
        return Booked(
            calls=len(turn.rows) - turn.unproven,
            unproven=turn.unproven,
            corrected=len(turn.corrections),
            repeated=turn.repeated,
            open=len(self._open),
            notes=tuple(turn.notes),
            problems=tuple(turn.problems),
            is_idle=turn.is_idle,
        )

    def _read(self) -> _Turn:
        turn = _Turn()
        found = workers(self._folder)
        count = 0
        self._first = (self._first + 1) % max(1, len(found))  # none is always the last in a full turn
        for worker in found[self._first :] + found[: self._first]:
            if count >= RECORDS_MAX:
                turn.is_idle = False
                break
            lives = is_alive(worker)  # asked first: what a dead worker left is complete
            start = self._places.get(worker.name, Place())
            try:
                portion = read_portion(worker, start, is_alive=lives)
            except OSError as problem:
                turn.problems.append(
                    f"The journal {worker} cannot be read, and waits: {problem.strerror or problem}."
                )
                continue
            count += len(portion.records)
            self._fold(turn, worker.name, start, portion)
            if not portion.is_end:
                turn.is_idle = False
            elif not lives:
                self._give_up(turn, {worker.name})
                turn.finished.append(worker)
        if turn.is_idle:
            self._give_up(turn, {worker for worker, _ in self._open.values()} - {one.name for one in found})
        return turn

    def _fold(self, turn: _Turn, worker_id: str, start: Place, portion: Portion) -> None:
        """Take a worker's next records in: a call that opened and ended is a row."""
        if portion.place != start:
            turn.places[worker_id] = portion.place
        turn.notes += portion.notes
        for payload in portion.records:
            try:
                record = decode(payload)
            except msgspec.MsgspecError as problem:
                turn.notes.append(_unreadable(worker_id, start, payload, problem))
                continue
            if isinstance(record, Intent):
                turn.opened[record.call_id] = (worker_id, record)
            elif isinstance(record, Result):
                self._end(turn, self._take(turn, record.call_id), record)
            elif isinstance(record, Progress):
                self._go_on(turn, worker_id, record)
            elif isinstance(record, Ended):
                self._take(turn, record.intent.call_id)
                self._end(turn, record.intent, record.result, is_again=record.is_again)
            elif isinstance(record, Told):
                turn.told.append(record)
            else:
                self._take(turn, record.call_id)

    def _end(self, turn: _Turn, intent: Intent | None, result: Result, *, is_again: bool = False) -> None:
        if intent is None or is_again:
            turn.late.append((intent, result))
        elif intent.endpoint in FETCHING and result.external_id and result.figures.cost_nano:
            turn.fetched.append((intent, result))
        else:
            self._add(turn, intent, result)

    def _add(self, turn: _Turn, intent: Intent, result: Result) -> None:
        turn.rows.append(rows.row_of(intent, result))
        turn.row_ids.add(result.call_id)
        turn.charges += charge_of(intent, result.figures.cost_nano)

    def _resolve_fetched(self, turn: _Turn) -> None:
        """What one call began and others fetch costs once: at the call that began it, where that is here."""
        for intent, result in turn.fetched:
            begun = self._named(turn, intent.provider, result.external_id, ("responses",))
            seen = begun or self._named(turn, intent.provider, result.external_id, FETCHING)
            if begun is not None:
                turn.told.append(Told(begun, result.figures))
            elsewhere = nothing(_BEFORE if begun is None else _AT_ITS_BEGINNING)
            figures = result.figures if seen is None else elsewhere
            self._add(turn, intent, msgspec.structs.replace(result, figures=figures))

    def _named(
        self, turn: _Turn, provider: str, external_id: str | None, endpoints: tuple[str, ...]
    ) -> str | None:
        """The call of one of these endpoints that has an answer of that id, and may have a cost."""
        for row in turn.rows:
            is_it = (row["external_id"], row["provider"]) == (external_id, provider)
            if is_it and row["endpoint"] in endpoints and row["cost_nano"] != 0:
                return str(row["id"])
        marks = ", ".join("?" * len(endpoints))
        found = self._book.value(
            f"SELECT id FROM calls WHERE external_id = ? AND {calls.BEGUN} AND provider = ? "
            f"AND endpoint IN ({marks}) AND (cost_nano IS NULL OR cost_nano <> 0) LIMIT 1",
            (external_id, provider, *endpoints),
        )
        return None if found is None else str(found)

    def _go_on(self, turn: _Turn, worker_id: str, progress: Progress) -> None:
        """A session has used more: its open intent says what, in place of what it said before."""
        call_id = progress.result.call_id
        intent = self._opened(turn, call_id)
        if intent is None:
            return
        charges = charge_so_far(intent, progress)
        turn.charges += charges
        charged_nano = charges[0].total_nano if charges else intent.charged_nano
        intent = msgspec.structs.replace(intent, so_far=progress.result, charged_nano=charged_nano)
        turn.opened[call_id] = (worker_id, intent)

    def _opened(self, turn: _Turn, call_id: str) -> Intent | None:
        """The open intent of a call, as it stands by now."""
        fresh = turn.opened.get(call_id)
        held = None if call_id in turn.closed else self._open.get(call_id)
        found = fresh or held
        return None if found is None else found[1]

    def _take(self, turn: _Turn, call_id: str) -> Intent | None:
        """The open intent of a call, which it closes."""
        intent = self._opened(turn, call_id)
        turn.opened.pop(call_id, None)
        if call_id in self._open:
            turn.closed.add(call_id)
        return intent

    def _give_up(self, turn: _Turn, dead: set[str]) -> None:
        """Book the open calls of dead workers: nobody will say how they ended."""
        if not dead:
            return
        held = {call_id: one for call_id, one in self._open.items() if call_id not in turn.closed}
        for call_id, (worker_id, intent) in (held | turn.opened).items():
            if worker_id in dead:
                self._take(turn, call_id)
                turn.rows.append(rows.given_up_row(intent))
                so_far = None if intent.so_far is None else intent.so_far.figures.cost_nano
                turn.charges += charge_of(intent, so_far)
                turn.row_ids.add(call_id)
                turn.unproven += 1

    def _resolve_late(self, turn: _Turn) -> None:
        """Results without an open intent: of a call given up too soon, booked already, or damaged."""
        asked = {result.call_id for _, result in turn.late} | {told.call_id for told in turn.told}
        asked -= turn.row_ids
        near_us = {call_id: rows.moment_in(call_id) for call_id in asked}
        present = journals.present(self._book, self._lake, near_us) if near_us else {}
        for intent, result in turn.late:
            if result.call_id in turn.row_ids:
                turn.repeated += 1
                continue
            turn.row_ids.add(result.call_id)
            call = present.get(result.call_id)
            if call is None:
                turn.rows.append(rows.lone_row(result) if intent is None else rows.row_of(intent, result))
                turn.charges += () if intent is None else charge_of(intent, result.figures.cost_nano)
                continue
            correction = Correction(call, rows.change_of(call, result))
            if rows.is_given_up(call) and correction.is_needed:
                turn.corrections.append(correction)
            else:
                turn.repeated += 1
        for call_id, figures in {told.call_id: told.figures for told in turn.told}.items():
            self._tell(turn, call_id, figures, present.get(call_id))

    def _tell(self, turn: _Turn, call_id: str, figures: Figures, call: Mapping[str, Value] | None) -> None:
        """A cost that is told later: of a call that is booked just now, or that has an uncertain cost."""
        change, cost_nano = rows.told_change(figures), figures.cost_nano or 0
        fresh = next((row for row in turn.rows if row["id"] == call_id), None)
        if fresh is not None:
            fresh.update(change)
            turn.charges = [
                Charge(one.call_id, one.key_id, one.reservation, cost_nano, True, cost_nano)
                if one.call_id == call_id
                else one
                for one in turn.charges
            ]
        elif call is not None and call["cost_state"] != CostState.MEASURED:
            turn.corrections.append(Correction(call, change))
        else:
            turn.repeated += 1

    def _write(self, turn: _Turn) -> None:
        now_us = time.time_ns() // 1000
        self._check_book()
        opened = turn.opened.items()
        with self._book.writing():
            calls.insert(self._book, turn.rows)
            charge(self._book, turn.charges, self._settings, now_us)
            adjustments.write(
                self._book,
                turn.corrections,
                kind="result",
                reason="what it cost came after it was booked",
                by_whom="gateway",
                at_us=now_us,
            )
            journals.remove_open_calls(self._book, turn.closed)
            journals.add_open_calls(
                self._book,
                (
                    (call_id, worker_id, _INTENT_AS_TEXT.encode(intent).decode())
                    for call_id, (worker_id, intent) in opened
                ),
                self._node,
            )
            journals.add_notes(self._book, (_note_row(note, now_us) for note in turn.notes))
            for worker_id, place in turn.places.items():
                journals.set_position(self._book, worker_id, place.number, place.offset, self._node)
        self._check_book()
        self._places.update(turn.places)
        for call_id in turn.closed:
            del self._open[call_id]
        self._open.update(turn.opened)

    def _tidy(self, turn: _Turn) -> None:
        """Remove what is booked: whole files, and the folders of the dead. It may be cut short anywhere."""
        try:
            for worker_id, place in turn.places.items():
                _remove_before(self._folder / worker_id, place.number)
            for worker in turn.finished:
                remove_worker(worker)
        except OSError as problem:
            turn.problems.append(
                f"Booked journals below {self._folder} cannot be removed: {problem.strerror or problem}."
            )
        if turn.is_idle:
            gone = set(self._places) - {worker.name for worker in workers(self._folder)}
            for worker_id in gone:
                journals.forget_position(self._book, worker_id)
                del self._places[worker_id]

    def _check_book(self) -> None:
        """The file that is open is the one that stands at the book's place; else journals must stay."""
        if _identity_of(self._book) != self._book_file:
            raise StoreFailure(
                f"The book {self._book.place} was moved or replaced. Journals are kept until one is there."
            )


def _identity_of(book: Book) -> tuple[int, int] | None:
    try:
        found = Path(book.place).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remove_before(worker: Path, number: int) -> None:
    for booked in log_numbers(worker):
        if booked < number:
            log_file(worker, booked).unlink(missing_ok=True)


def _unreadable(worker_id: str, start: Place, payload: bytes, problem: Exception) -> Note:
    said = (
        f"A record of {len(payload)} bytes behind {start.offset} of file {start.number} is whole but says "
        f"nothing that this version knows ({problem}). A newer flatfare may have written it."
    )
    return Note(worker_id, start, len(payload), "unreadable", said)


def _note_row(note: Note, at_us: int) -> tuple[str, str, int, int, int, str, str, int]:
    place = (str(note.place.number), str(note.place.offset))
    note_id = str(derived("journal note", note.worker_id, *place, note.kind, str(note.size_bytes)))
    return (
        note_id,
        note.worker_id,
        note.place.number,
        note.place.offset,
        note.size_bytes,
        note.kind,
        note.said,
        at_us,
    )
