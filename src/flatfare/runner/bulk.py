"""Many inputs to one action: results as they come, rejects beside them, and a start again where it stopped.

Each row's run has an id made of the job's name and the row's, so that a row that was billed is
never run again. No more rows are held in memory than are under way.
"""

import asyncio
import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from flatfare.config import Provider
from flatfare.core.action import Action, Reading
from flatfare.core.checks.submission import Json, NotJson, read_json
from flatfare.core.errors import BadInput, BadUsage, Conflict, FlatfareError
from flatfare.runner.batching.wires import wire_of
from flatfare.runner.books import Shelf
from flatfare.runner.inputs import File, TooLarge
from flatfare.runner.models import check_provider
from flatfare.runner.running import Order, Result, Runner
from flatfare.service.actions.receipts import document_of
from flatfare.store.runs import Run

ENTERING = 16
"""Rows that are entered at the same time: no more than these are open when the credit is used up."""

csv.field_size_limit(64 << 20)


@dataclass(frozen=True, slots=True)
class Row:
    """One input, and what it is called."""

    name: str
    values: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with every row."""

    action: Action
    name: str  # the same again goes on where it stopped
    customer: str | None
    results: Path
    rejects: Path
    together: int = 8


class Told:
    """How far a job has come."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.stopped: str | None = None

    @property
    def done(self) -> int:
        """Rows that are through."""
        return sum(self.counts.values())


def check_batches(action: Action, providers: Mapping[str, Provider]) -> None:
    """``BadUsage`` where a rung's provider has no batch mode here."""
    if not action.ladder:
        raise BadUsage(f"{action.name} asks no model: there is nothing to send in batches.")
    for rung in action.ladder:
        name = str(rung.model.provider)
        check_provider(providers, name)
        if wire_of(providers[name].dialect) is None:
            raise BadUsage(
                f"The rung {rung.name!r} asks {name}, which has no batch mode here: batches go to OpenAI and "
                "Anthropic. Run it without --batch, or name other models."
            )


def rows_of(source: Path, action: Action) -> Iterator[Row]:
    """The rows of a CSV, of lines of JSON, or of a folder of files; one that cannot be read says why."""
    if source.is_dir():
        yield from _of_folder(source, action)
    elif source.suffix in (".jsonl", ".ndjson"):
        yield from _of_lines(source)
    elif source.suffix in (".csv", ".tsv"):
        yield from _of_csv(source, action)
    else:
        raise BadUsage(f"Found {source}: expected a .csv, a .jsonl or a folder of files.")


def _of_csv(source: Path, action: Action) -> Iterator[Row]:
    properties = action.input_schema.get("properties", {})
    types = {
        name: member.get("type") if isinstance(member, Mapping) else None
        for name, member in (properties.items() if isinstance(properties, Mapping) else ())
    }
    with source.open(newline="", encoding="utf-8-sig") as lines:
        for number, row in enumerate(
            csv.DictReader(lines, delimiter="\t" if source.suffix == ".tsv" else ","), 1
        ):
            name = str(row.pop("id", None) or number)
            if None in row or None in row.values():
                yield Row(name, problem="the row has more or fewer fields than the header")
                continue
            values = {key: _typed(text, types.get(key)) for key, text in row.items() if text != ""}
            yield Row(name, values)


def _typed(text: str, kind: Json) -> Json:
    """A field as the input's schema wants it; what cannot be is left to the schema to refuse."""
    if kind in ("integer", "number", "boolean", "object", "array"):
        try:
            return read_json(text)
        except NotJson:
            return text
    return text


def _of_lines(source: Path) -> Iterator[Row]:
    with source.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                read = read_json(line)
            except NotJson as problem:
                yield Row(str(number), problem=f"the line is no JSON: {problem}")
                continue
            if not isinstance(read, Mapping):
                yield Row(str(number), problem="the line is no JSON object")
                continue
            inner = read.get("input")
            is_wrapped = isinstance(inner, Mapping) and set(read) <= {"id", "input"}
            name = str(read.get("id", number)) if is_wrapped else str(number)
            yield Row(name, inner if is_wrapped and isinstance(inner, Mapping) else read)


def _of_folder(source: Path, action: Action) -> Iterator[Row]:
    if len(action.files) != 1:
        raise BadUsage(
            f"A folder is for an action that takes one file: {action.name} takes {len(action.files)}."
        )
    name, how = next(iter(action.files.items()))
    for entry in sorted(os.scandir(source), key=lambda one: one.name):
        if entry.is_file() and not entry.name.startswith("."):
            is_json = entry.name.endswith(".json") and how is not Reading.TEXT
            if not is_json:
                yield Row(entry.name, {}, {name: File(entry.name, Path(entry.path).read_bytes())})


async def carry_out(runner: Runner, job: Job, rows: Iterator[Row], told: Told) -> None:
    """Carry every row out that is not through yet; no credit left ends the job after those under way."""
    known = _through(job.results) | _through(job.rejects)
    waiting: set[asyncio.Task[None]] = set()
    turn, entering = asyncio.Semaphore(job.together), asyncio.Semaphore(ENTERING)

    def over(task: asyncio.Task[None]) -> None:
        waiting.discard(task)
        turn.release()

    with (
        job.results.open("a", encoding="utf-8") as results,
        job.rejects.open("a", encoding="utf-8") as rejects,
    ):
        for row in rows:
            if told.stopped is not None:
                break
            if row.name in known:
                told.counts["known"] += 1
                continue
            await turn.acquire()
            task = asyncio.get_running_loop().create_task(
                _one(runner, job, row, results, rejects, told, entering)
            )
            waiting.add(task)
            task.add_done_callback(over)
        if waiting:
            await asyncio.wait(waiting)
    if runner.models.desk is not None:
        runner.models.desk.is_done = told.stopped is None


async def _one(
    runner: Runner,
    job: Job,
    row: Row,
    results: IO[str],
    rejects: IO[str],
    told: Told,
    entering: asyncio.Semaphore,
) -> None:
    """One row: its line in the results, or in the rejects."""
    if row.problem is not None:
        _reject(rejects, row.name, row.problem, told)
        return
    key = f"{job.name}/{row.name}"
    order = Order(job.action.name, row.values, row.files, job.customer, key, job.action.version)
    try:
        async with entering:
            if told.stopped is not None:
                return
            run = await runner.begin(order)
        result = await runner.result(run)
    except (BadInput, Conflict, TooLarge) as problem:
        _reject(rejects, row.name, str(problem), told)
    except FlatfareError as problem:
        told.stopped = str(problem)
    else:
        document = await runner.books.do(_document, result)
        _line(results, {"row": row.name, **document})
        await runner.handed_over(result.run)
        told.counts[str(result.run.ending)] += 1


def _document(shelf: Shelf, result: Result) -> dict[str, object]:
    run: Run = result.run
    found = document_of(
        shelf.book, shelf.lake, run, for_operator=False, output=result.output, reasons=result.reasons
    )
    receipt = found.pop("receipt")
    billed = receipt["billed"] if isinstance(receipt, dict) else None
    kept = ("id", "outcome", "ending", "settlement", "attempts", "output", "reasons")
    return {name: found[name] for name in kept} | {"billed": billed}


def _reject(rejects: IO[str], name: str, reason: str, told: Told) -> None:
    _line(rejects, {"row": name, "reason": reason})
    told.counts["rejected"] += 1


def _line(file: IO[str], document: Mapping[str, object]) -> None:
    file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    file.flush()


def _through(file: Path) -> set[str]:
    """The rows that a file of results has; a line that was cut by a crash is cut off."""
    if not file.exists():
        return set()
    found, whole = set(), 0
    with file.open("rb+") as lines:
        for line in lines:
            try:
                found.add(str(json.loads(line)["row"]))
            except (ValueError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            whole += len(line)
        else:
            return found
        lines.truncate(whole)
    return _through(file)
