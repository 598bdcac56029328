"""Publishing actions: a version stands as it was published, with the definition that judges it.

Publishing the same file again changes nothing; another file needs another version.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from difflib import get_close_matches

from flatfare.core.action import Action
from flatfare.core.checks.submission import canonical
from flatfare.core.errors import BadInput, Conflict, NotFound
from flatfare.core.moments import iso
from flatfare.service.actions import reading
from flatfare.service.tasks import defining
from flatfare.store import actions, chains
from flatfare.store.actions import ActionRow
from flatfare.store.book import Book


@dataclass(frozen=True, slots=True)
class Published:
    """A version of an action, as it was published."""

    action: Action
    hash: str
    definition_version: int
    at_us: int
    by_whom: str
    begins_us: int  # from when on it is what is sold

    def is_to_come(self, at_us: int) -> bool:
        """It is not what is sold yet."""
        return self.begins_us > at_us


def publish(
    book: Book,
    action: Action,
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
    from_us: int | None = None,
) -> Published:
    """Publish a version, and put the definition of its outcomes in force: now, or from a moment to come.

    The same again is a no-op. ``Conflict`` where this version was published with other content or from
    another moment, where a version was left out, or where the one before is to come later than this.
    ``BadInput`` for a moment that has passed.
    """
    content = content_of(action)
    digest = hashlib.sha256(content.encode()).hexdigest()
    with book.writing():
        standing = _standing(book, action, digest, from_us)
        if standing is not None:
            return _read(standing)
        begins_us = _begins(at_us, from_us)
        _check_is_next(book, action, begins_us)
    # the definition is agreed on in a transaction of its own; agreeing on the same twice is a no-op
    defined = defining.define(
        book, replace(action.definition, version=0), by_whom=by_whom, at_us=at_us, from_us=begins_us
    )
    row = ActionRow(action.name, action.version, content, digest, defined.version, at_us, by_whom, from_us)
    with book.writing():
        if actions.find(book, action.name, action.version) is not None:
            raise Conflict(f"Version {action.version} of {action.name!r} was published a moment ago.")
        actions.insert(book, row)
        chains.append(
            book,
            chains.ORGANISATION,
            kind="action.published",
            subject=f"{action.name} {action.version}",
            by_whom=by_whom,
            at_us=at_us,
            content=canonical({"hash": digest, "definition_version": defined.version, "from_us": from_us}),
            reason=reason,
        )
    return _read(row)


def _standing(book: Book, action: Action, digest: str, from_us: int | None) -> ActionRow | None:
    """The same version as it was published before; ``Conflict`` where it said something else."""
    standing = actions.find(book, action.name, action.version)
    if standing is None:
        return None
    expected = _next_version(actions.find(book, action.name))
    if standing.hash != digest:
        raise Conflict(
            f"Version {action.version} of {action.name!r} was published with other content, and a "
            f"published version never changes. Give the file version {expected}."
        )
    if from_us not in (None, standing.begins_us):
        raise Conflict(
            f"Version {action.version} of {action.name!r} was published to hold from "
            f"{iso(standing.begins_us)} on. For another day, publish it under the number {expected}."
        )
    return standing


def _check_is_next(book: Book, action: Action, begins_us: int) -> None:
    """The version follows the newest, and begins no sooner."""
    newest = actions.find(book, action.name)
    if newest is not None and begins_us < newest.begins_us:
        raise Conflict(
            f"Version {newest.version} of {action.name!r} holds from {iso(newest.begins_us)} on, and the "
            "next cannot begin before it. Publish this one from then on too, or later."
        )
    expected = _next_version(newest)
    if action.version != expected:
        raise Conflict(
            f"Found version {action.version} of {action.name!r}: the next to be published is {expected}."
        )


def _next_version(newest: ActionRow | None) -> int:
    return newest.version + 1 if newest else 1


def _begins(at_us: int, from_us: int | None) -> int:
    if from_us is not None and from_us < at_us:
        raise BadInput(
            f"Found {iso(from_us)} as the beginning: what has passed keeps its version. Name a time to come."
        )
    return at_us if from_us is None else from_us


def valid(book: Book, name: str, version: int | None = None, *, at_us: int) -> Published:
    """The version that is sold at a moment, or the one that is named, which must have begun by then.

    ``NotFound`` where there is none, ``Conflict`` where it is still to come.
    """
    row = actions.find(book, name, version, at_us=at_us)
    if row is None and version is None:
        row = actions.find(book, name)
    if row is not None and row.begins_us > at_us:
        raise Conflict(
            f"Version {row.version} of {name!r} holds from {iso(row.begins_us)} on: it cannot be sold yet."
        )
    return published(book, name, version) if row is None else _read(row)


def shown(book: Book, name: str, version: int | None = None, *, at_us: int) -> Published:
    """The version that is named, else the one that is sold at a moment, else the first that is to come."""
    row = actions.find(book, name, version, at_us=at_us)
    if row is None and version is None:
        row = next((one for one in actions.all_of(book) if one.name == name), None)
    return published(book, name, version) if row is None else _read(row)


def published(book: Book, name: str, version: int | None = None) -> Published:
    """A published version, the newest unless one is named; ``NotFound`` says which there are."""
    row = actions.find(book, name, version)
    if row is not None:
        return _read(row)
    known = sorted({one.name for one in actions.all_of(book)})
    if version is not None and name in known:
        raise NotFound(f"Version {version} of {name!r} was never published: flatfare actions list")
    near = get_close_matches(name, known, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise NotFound(f"No action {name!r} is published. Published: {', '.join(known) or 'none'}.{meant}")


def listed(book: Book) -> list[Published]:
    """Every version of every action, by name and version."""
    return [_read(row) for row in actions.all_of(book)]


def content_of(action: Action) -> str:
    """All that decides, in one writing: the file's text and the files that go with it."""
    bundle = {path: base64.b64encode(content).decode() for path, content in sorted(action.bundle.items())}
    return canonical({"source": action.source, "files": bundle})


def _read(row: ActionRow) -> Published:
    content = json.loads(row.content)
    bundle = {path: base64.b64decode(text) for path, text in content["files"].items()}
    action = reading.read(content["source"], f"{row.name} version {row.version}", bundle=bundle)
    return Published(
        action, row.hash, row.definition_version, row.published_at_us, row.by_whom, row.begins_us
    )
