"""JSON Lines, a JSON list, or a document that holds one list of records; nested fields are joined by dots.

Numbers keep the digits that the source wrote.
"""

import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from flatfare.core.errors import BadInput
from flatfare.service.importing.order import Order
from flatfare.service.importing.spans import is_batch, is_call, spans_of
from flatfare.service.importing.textual import TextTable, encoding_of, lines

_DOCUMENT_BYTES_MAX = 256 << 20
_CHUNK = 1 << 20
_DEPTH_MAX = 8
_DECODER = msgspec.json.Decoder(float_hook=str)
_SPACE = " \t\r\n"


def document_rows(stream: BinaryIO, name: str, order: Order, table: TextTable) -> None:
    """Read every record into the table."""
    head = stream.read(_CHUNK)
    stream.seek(0)
    encoding = encoding_of(head, order.encoding)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"["):
        table.place = "item"
        _items(_calls_of(_list_items(stream, encoding, name, order.line_bytes_max), order), table)
    elif _is_lines(start):
        _json_lines(stream, encoding, order, table)
    else:
        table.place = "item"
        _items(_calls_of(_listed_in(stream, encoding, name), order), table)


def _is_lines(start: bytes) -> bool:
    """Whether each line is a record: the first is one by itself, or at least no opening of a longer one."""
    first, _, rest = start.partition(b"\n")
    try:
        value = _DECODER.decode(first)
    except (msgspec.DecodeError, ValueError):
        return not first.rstrip().endswith((b"{", b"[", b","))
    return bool(rest.strip()) or not isinstance(value, dict) or _list_of(value) is None


def _json_lines(stream: BinaryIO, encoding: str, order: Order, table: TextTable) -> None:
    last = 0
    for line in lines(stream, encoding, order.line_bytes_max):
        if line.problem:
            table.reject(line.number, line.problem, line.text[:400])
            continue
        text = line.text.strip()
        if not text:
            continue
        try:
            value = _DECODER.decode(text)
        except (msgspec.DecodeError, ValueError, RecursionError) as problem:
            table.reject(line.number, f"The line is no JSON: {problem}.", text[:400])
            continue
        for record in _calls_of(spans_of(value) if is_batch(value) else (value,), order):
            last = max(line.number, last + 1)  # of several in a line, each has a number of its own
            _take(last, record, table)


def _calls_of(records: Iterable[object], order: Order) -> Iterator[object]:
    """The records, but for those of a trace that are no calls, where calls are wanted."""
    for record in records:
        if order.kind != "calls" or not isinstance(record, dict) or is_call(record):
            yield record


def _items(items: Iterator[object], table: TextTable) -> None:
    for number, value in enumerate(items, start=1):
        _take(number, value, table)


def _take(number: int, value: object, table: TextTable) -> None:
    if not isinstance(value, dict):
        table.reject(number, 'Found no record: expected an object like {"model": …}.', value)
        return
    if any(type(part) is dict for part in value.values()):
        named = dict(_flat("", value, 0))
    else:
        named = {name: part if type(part) is str else _as_text(part) for name, part in value.items()}
    table.add(number, table.in_places(named))


def _as_text(part: object) -> str | None:
    """A value that is no record, as the source wrote it; numbers with a fraction are text already."""
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, bool):
        return "true" if part else "false"
    return str(part) if isinstance(part, int | float) else json.dumps(part, ensure_ascii=False)


def _flat(prefix: str, value: dict[str, object], depth: int) -> Iterator[tuple[str, str | None]]:
    for key, part in value.items():
        name = f"{prefix}{key}"
        if isinstance(part, dict) and depth < _DEPTH_MAX:
            yield from _flat(f"{name}.", part, depth + 1)
        else:
            yield name, _as_text(part)


def _list_items(stream: BinaryIO, encoding: str, name: str, bytes_max: int) -> Iterator[object]:
    """The items of a JSON list, read one by one in bounded memory."""
    import codecs

    decoder = json.JSONDecoder(parse_float=str)
    utf = codecs.getincrementaldecoder(encoding)("strict")
    buffer, place, number, want = "", 0, 0, _CHUNK
    is_open = is_end = False
    while True:
        while place < len(buffer) and (buffer[place] in _SPACE or (buffer[place] == "," and is_open)):
            place += 1
        if place < len(buffer) and not is_open:
            place, is_open = place + 1, True  # past the bracket
            continue
        if place < len(buffer) and buffer[place] == "]":
            return
        try:
            if place >= len(buffer):
                raise json.JSONDecodeError("it ends within the list", buffer[-40:], 0)
            value, end = decoder.raw_decode(buffer, place)
            if end == len(buffer) and not is_end:
                raise json.JSONDecodeError("it may go on", buffer[-40:], 0)
        except json.JSONDecodeError as problem:
            if is_end or len(buffer) - place > bytes_max:
                raise BadInput(
                    f"{name} is broken at item {number + 1} of its list: {problem.msg}. Nothing was imported."
                ) from problem
            more = stream.read(want)
            is_end, want = not more, want * 2
            try:
                buffer, place = buffer[place:] + utf.decode(more, is_end), 0
            except UnicodeDecodeError as wrong:
                raise BadInput(
                    f"{name} is not {encoding.upper()}: {wrong.reason}. Nothing was imported."
                ) from wrong
            buffer = buffer.removeprefix("\ufeff") if not number else buffer
            continue
        number, place, want = number + 1, end, _CHUNK
        yield value


def _listed_in(stream: BinaryIO, encoding: str, name: str) -> list[object]:
    """The records of one JSON document."""
    raw = stream.read(_DOCUMENT_BYTES_MAX + 1)
    if len(raw) > _DOCUMENT_BYTES_MAX:
        raise BadInput(
            f"{name} is one JSON document of more than 256 MB: write it as JSON Lines (jq -c '.data[]')."
        )
    try:
        value = _DECODER.decode(raw.decode(encoding).removeprefix("\ufeff"))
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BadInput(f"{name} is no JSON: {problem}. Nothing was imported.") from problem
    if is_batch(value):
        return list(spans_of(value))
    rows = _list_of(value) if isinstance(value, dict) else None
    if rows is None:
        return [value]
    return rows


def _list_of(document: dict[str, object]) -> list[object] | None:
    """The list of records that a document holds, under whatever name; or its named records."""
    lists = [
        value
        for value in document.values()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    if lists:
        rows: list[object] = max(lists, key=len)
        nested = [row.get("results") for row in rows if isinstance(row, dict)]
        if all(isinstance(part, list) for part in nested):  # buckets of results, as usage exports have them
            return [
                {**{key: value for key, value in row.items() if key != "results"}, **part}
                for row in rows
                if isinstance(row, dict)
                for part in row["results"]
                if isinstance(part, dict)
            ]
        return rows
    if "resolved_ids" in document:  # the report of a SWE-bench style evaluation
        return _by_outcome(document)
    records = list(document.items())
    if len(records) > 1 and all(isinstance(value, dict) for _, value in records):
        return [{"id": key, **value} for key, value in records if isinstance(value, dict)]
    return None


def _by_outcome(document: dict[str, object]) -> list[object]:
    rows: list[object] = []
    for key, word in (("resolved_ids", "resolved"), ("unresolved_ids", "failed"), ("error_ids", "failed")):
        named = document.get(key)
        rows += [{"instance_id": item, "outcome": word} for item in named] if isinstance(named, list) else []
    return rows
