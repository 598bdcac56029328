"""Whose work a call is: its labels, task, attempt and session, from headers, baggage and the key.

A key's labels win over a request's, a header's over the baggage's. What cannot be read
is left out and said in ``flatfare-note``: attribution never stops a call.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from flatfare.core import identity
from flatfare.core import labels as label_rules
from flatfare.core.errors import BadInput
from flatfare.gateway.wire import Request

PURPOSES = ("work", "verification", "simulation", "test")
_NAMED = ("task", "attempt", "session", "purpose", "labels")
_HEADERS = (
    *(b"flatfare-labels", b"flatfare-task", b"flatfare-attempt", b"flatfare-session", b"flatfare-purpose"),
    b"baggage",
)
NAME_LENGTH_MAX = 512
_REMEMBERED_LENGTH_MAX = 1024  # longer ones are read each time: what clients send must not fill the memory


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a call's row says of whose it is."""

    labels: str = "{}"  # canonical JSON
    task_id: str | None = None
    attempt_id: str | None = None
    session: str | None = None
    purpose: str = "work"
    note: str | None = None  # what could not be read


@lru_cache(maxsize=8192)
def attributed(
    project: str | None,
    key_labels: str,
    labels: str | None,
    task: str | None,
    attempt: str | None,
    session: str | None,
    purpose: str | None,
    baggage: str | None,
) -> Attribution:
    """The attribution that these say; ``key_labels`` is canonical JSON."""
    notes: list[str] = []
    said, carried = _of_baggage(baggage, notes) if baggage else ({}, {})
    for text in (said.get("labels"), labels):
        if text:
            carried = {**carried, **_parsed(text, notes)}
    task, attempt = task or said.get("task"), attempt or said.get("attempt")
    purpose = purpose or said.get("purpose") or "work"
    if purpose not in PURPOSES:
        notes.append(f"found the purpose {purpose[:40]!r}, expected one of {', '.join(PURPOSES)}")
        purpose = "work"
    task, attempt = _plain("task", task, notes), _plain("attempt", attempt, notes)
    session = _plain("session", (session or said.get("session") or "")[:NAME_LENGTH_MAX], notes)
    task_id = None if task is None else identity.task_id(project, task)
    return Attribution(
        labels=_merged(carried, key_labels, notes),
        task_id=None if task_id is None else str(task_id),
        attempt_id=None if attempt is None else str(identity.attempt_id(task_id, attempt)),
        session=session,
        purpose=purpose,
        note="; ".join(notes) or None,
    )


def of_request(request: Request, project: str | None, key_labels: str) -> Attribution:
    """The attribution of a request made with a key of this project and these labels."""
    fields = request.fields
    given = [fields.get(name) for name in _HEADERS]
    if not any(given):
        return attributed(project, key_labels, None, None, None, None, None, None)
    texts = [None if value is None else _text(value) for value in given]
    if sum(map(len, filter(None, given))) > _REMEMBERED_LENGTH_MAX:
        return attributed.__wrapped__(project, key_labels, *texts)
    return attributed(project, key_labels, *texts)


def _text(value: bytes) -> str:
    """What a header says: UTF-8, as curl, Go and others send it; else Latin-1, the older way."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@lru_cache(maxsize=8192)
def labels_of(canonical: str) -> Mapping[str, str]:
    """The labels that an attribution's text says."""
    labels: dict[str, str] = json.loads(canonical)
    return labels


def foreign_baggage(baggage: bytes) -> bytes:
    """The members of a ``baggage`` header that are not the gateway's own, as they were written."""
    if b"flatfare" not in baggage:
        return baggage
    members = (member for member in baggage.split(b",") if not member.lstrip().startswith(b"flatfare"))
    return b",".join(members).strip()


def _of_baggage(baggage: str, notes: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """What W3C baggage says: ``flatfare.task=…``, and ``flatfare.<key>=…`` for a label."""
    said: dict[str, str] = {}
    carried: dict[str, str] = {}
    for member in baggage.split(","):
        name, _, value = member.partition(";")[0].strip().partition("=")
        name = name.strip()
        if not name.startswith(("flatfare.", "flatfare-")):
            continue
        name, value = name[9:], unquote(value.strip())
        if name in _NAMED:
            said[name] = value
        else:
            carried.update(_checked({name: value}, notes))
    return said, carried


def _parsed(text: str, notes: list[str]) -> dict[str, str]:
    """The labels that can be read; one that cannot takes no other with it."""
    try:
        return label_rules.parse(text)
    except BadInput as problem:
        if "," not in text:
            notes.append(f"label left out: {problem}")
            return {}
    found: dict[str, str] = {}
    for part in text.split(","):
        found.update(_parsed(part, notes))
    return found


def _checked(given: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    try:
        return label_rules.checked(given)
    except BadInput as problem:
        notes.append(f"label left out: {problem}")
        return {}


def _merged(carried: Mapping[str, str], key_labels: str, notes: list[str]) -> str:
    if not carried:
        return key_labels
    merged = _checked({**carried, **json.loads(key_labels)}, notes)
    return label_rules.canonical(merged) if merged else key_labels


def _plain(kind: str, name: str | None, notes: list[str]) -> str | None:
    """The name as the client wrote it; None, and a note, where it cannot be one."""
    if name and (len(name) > NAME_LENGTH_MAX or any(sign < " " for sign in name)):
        notes.append(
            f"{kind} left out: its name is longer than {NAME_LENGTH_MAX} characters or no plain text"
        )
        return None
    return name or None
