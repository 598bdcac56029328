"""Booking: one process folds every worker's journal into the rows of the book.

The rows and the place in the journal up to which they were read are one transaction,
so that each call is booked exactly once whoever dies when. A call whose worker died
before its end is booked as unproven; a live worker's open calls wait.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from flatfare.config import Settings
from flatfare.core.errors import StoreFailure
from flatfare.core.identity import derived
from flatfare.gateway import rows
from flatfare.gateway.folders import is_alive, log_file, log_numbers, node_id, remove_worker, workers
from flatfare.gateway.reading_back import Note, Place, Portion, read_portion
from flatfare.gateway.records import Ended, Intent, Priced, Progress, Result, Told, decode
from flatfare.gateway.reserving.charging import charge, charge_so_far
from flatfare.gateway.telling import Telling, shows
from flatfare.gateway.turns import Turn
from flatfare.store import adjustments, calls, first_calls, journals, price_versions
from flatfare.store.book import Book
from flatfare.store.lake import Lake

RECORDS_MAX = 10_000
"""About how many records one transaction takes at most: others write to the book too."""

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


class Booker:
    """Books the journals below a folder; there must be only one of it, see ``bookkeeping.claimed``."""

    def __init__(self, book: Book, lake: Lake, folder: Path, settings: Settings | None = None) -> None:
        self._book = book
        self._settings = settings or Settings()
        self._telling = Telling(book, lake)
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
        if turn.changes_the_book:
            self._telling.look_ahead(turn)
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

    def _read(self) -> Turn:
        turn = Turn()
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

    def _fold(self, turn: Turn, worker_id: str, start: Place, portion: Portion) -> None:
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
            elif isinstance(record, Priced):
                turn.priced[record.version] = record.terms
            else:
                self._take(turn, record.call_id)

    def _end(self, turn: Turn, intent: Intent | None, result: Result, *, is_again: bool = False) -> None:
        if intent is None or is_again:
            turn.late.append((intent, result))
        elif shows(intent.endpoint, result):
            turn.fetched.append((intent, result))
        else:
            turn.book(rows.row_of(intent, result), intent, result.figures.cost_nano)

    def _go_on(self, turn: Turn, worker_id: str, progress: Progress) -> None:
        """A session has used more: its open intent says what, in place of what it said before."""
        call_id = progress.result.call_id
        intent = self._opened(turn, call_id)
        if intent is None:
            return
        charges = charge_so_far(intent, progress)
        turn.charge(charges)
        charged_nano = charges[0].total_nano if charges else intent.charged_nano
        intent = msgspec.structs.replace(intent, so_far=progress.result, charged_nano=charged_nano)
        turn.opened[call_id] = (worker_id, intent)

    def _opened(self, turn: Turn, call_id: str) -> Intent | None:
        """The open intent of a call, as it stands by now."""
        fresh = turn.opened.get(call_id)
        held = None if call_id in turn.closed else self._open.get(call_id)
        found = fresh or held
        return None if found is None else found[1]

    def _take(self, turn: Turn, call_id: str) -> Intent | None:
        """The open intent of a call, which it closes."""
        intent = self._opened(turn, call_id)
        turn.opened.pop(call_id, None)
        if call_id in self._open:
            turn.closed.add(call_id)
        return intent

    def _give_up(self, turn: Turn, dead: set[str]) -> None:
        """Book the open calls of dead workers: nobody will say how they ended."""
        if not dead:
            return
        held = {call_id: one for call_id, one in self._open.items() if call_id not in turn.closed}
        for call_id, (worker_id, intent) in (held | turn.opened).items():
            if worker_id in dead:
                self._take(turn, call_id)
                so_far = None if intent.so_far is None else intent.so_far.figures.cost_nano
                turn.book(rows.given_up_row(intent), intent, so_far, is_final=False)
                turn.unproven += 1

    def _write(self, turn: Turn) -> None:
        now_us = time.time_ns() // 1000
        self._check_book()
        opened = turn.opened.items()
        with self._book.writing():
            self._telling.resolve(turn)
            calls.insert(self._book, turn.rows.values())
            first_calls.note_booked(self._book, turn.rows.values())
            price_versions.keep(self._book, turn.priced.items(), now_us)
            charge(self._book, turn.charges, self._settings, now_us)
            adjustments.write(
                self._book,
                turn.corrections.values(),
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

    def _tidy(self, turn: Turn) -> None:
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
