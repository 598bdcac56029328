"""Events that an SDK wrote down for want of a server: recorded once, by their ids, and then taken away.

A segment leaves the spool only when the book has all of it. What a running process still
holds is read as far as its lines are whole, and left to that process.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.service.access.keys import hash_of
from flatfare.service.importing.order import Imported
from flatfare.service.importing.rejects import rejects_path, write_records
from flatfare.service.importing.run import Stores
from flatfare.service.importing.textual import opened_text
from flatfare.service.tasks.recording import EVENTS_MAX, Refusal, Teller, record
from flatfare.store import keys
from flatfare.store.book import Book
from flatfare_sdk.spool import SUFFIX, Spool

KIND = "events"


@dataclass(slots=True)
class _Tally:
    read: int = 0
    new: int = 0
    known: int = 0
    rejects: list[dict[str, object]] = field(default_factory=list)
    is_cut_short: bool = False  # the last line has no end: somebody is writing it, or was killed


def key_told(book: Book, id_or_name: str | None, secret: str) -> Teller | None:
    """Who tells with a key, by its name or else by its secret; None where the book has no such key."""
    if id_or_name is None:
        known = (one.key_id for one in keys.secrets_of_all(book) if one.hash == hash_of(secret))
        id_or_name = next(known, "")
    found = keys.named(book, id_or_name)
    return (
        Teller(f"the key {found[0].name!r}", project=found[0].project, labels=found[0].labels)
        if found
        else None
    )


def import_events(
    stores: Stores, name: str, path: Path, teller: Teller, now_us: int, *, rejects: str | None = None
) -> Imported:
    """Record the events of a file, one a line; the file stays.

    Raises ``BadInput`` where it cannot be read. What is refused goes to the rejects file.
    """
    tally = _Tally()
    try:
        with opened_text(path) as stream:
            _record(stores, _whole(stream, tally), tally, teller, now_us)
    except FileNotFoundError:
        raise BadInput(f"There is no file {name}.") from None
    except (OSError, EOFError) as problem:
        raise BadInput(f"{name} cannot be read to its end: {problem}.") from problem
    where = rejects_path(name, rejects)
    count, reasons = write_records(tally.rejects, where)
    return _imported(name, tally, str(where) if count else None, reasons)


def drain(
    stores: Stores, folder: str, teller: Teller, now_us: int, *, rejects: str | None = None
) -> Imported:
    """Record what lies in a spool and take it away; what running processes hold is recorded and stays.

    What is refused goes to a rejects file in the spool, of this time alone.
    """
    tally = _Tally()
    spool = Spool(folder, bytes_max=0)
    while (segment := spool.take_orphan()) is not None:
        try:
            _record(stores, segment.lines, tally, teller, now_us)
            segment.remove()
        except OSError as problem:
            raise StoreFailure(
                f"{segment.path} is recorded and cannot be taken away: {problem.strerror}."
            ) from problem
        finally:
            segment.release()
    held = sorted(Path(folder).glob(f"*{SUFFIX}"))
    for path in held:
        try:
            with path.open("rb") as stream:
                _record(stores, _whole(stream, tally), tally, teller, now_us)
        except FileNotFoundError:
            continue  # its process has delivered it
    where = Path(rejects or os.path.join(folder, f"refused-{now_us}.rejects.jsonl"))
    count, reasons = write_records(tally.rejects, where) if tally.rejects else (0, ())
    done = _imported(folder, tally, str(where) if count else None, reasons)
    return replace(done, notes=(*done.notes, *_others(Path(folder))))


def _others(folder: Path) -> Iterator[str]:
    """The spools beside this one that hold events, for another address or key."""
    for other in sorted({path.parent for path in folder.parent.glob(f"*/*{SUFFIX}")} - {folder}):
        yield f"{other} holds events for another address or key: flatfare import events {other}"


def _whole(stream: Iterable[bytes], tally: _Tally) -> Iterator[bytes]:
    """The lines that have an end, or are whole without one."""
    for line in stream:
        stripped = line.strip()
        if line.endswith(b"\n") or stripped.endswith(b"}"):
            if stripped:
                yield stripped
        else:
            tally.is_cut_short = True


def _record(stores: Stores, lines: Iterable[bytes], tally: _Tally, teller: Teller, now_us: int) -> None:
    rest = iter(lines)
    while batch := list(islice(rest, EVENTS_MAX)):
        done = record(stores.book, stores.lake, batch, teller, now_us=now_us)
        tally.rejects += [_reject(refusal, batch, tally.read) for refusal in done.refused]
        tally.read += len(batch)
        tally.new += done.recorded
        tally.known += done.known


def _reject(refusal: Refusal, batch: list[bytes], before: int) -> dict[str, object]:
    said: dict[str, object] = {"reason": refusal.reason, "id": refusal.id}
    if refusal.index >= 0:
        row = batch[refusal.index].decode("utf-8", "backslashreplace")
        said |= {"line": before + refusal.index + 1, "row": row}
    return said


def _imported(name: str, tally: _Tally, rejects: str | None, reasons: tuple[str, ...]) -> Imported:
    note = "Its last line is cut short: left out; whoever writes it may finish it."
    return Imported(
        name,
        KIND,
        read=tally.read,
        new=tally.new,
        known=tally.known,
        rejected=len(tally.rejects),
        rejects_file=rejects,
        first_reasons=reasons,
        notes=(note,) if tally.is_cut_short else (),
    )
