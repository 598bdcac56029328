"""Definitions: what makes a task of one kind verified, agreed, versioned and dated.

A task is judged by the definition that was in force when it was opened. Each change
stands in the organisation's chain, with who made it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import zip_longest
from typing import TypeVar

from flatfare.core.definition import UNDECLARED, Definition, Reopening, SignalRule
from flatfare.core.errors import BadInput
from flatfare.core.moments import iso, parse_span, span_text
from flatfare.core.money import decimal_text, nano_of
from flatfare.core.outcome import Judgement, Outcome
from flatfare.service.tasks import sampled
from flatfare.store import chains, definitions
from flatfare.store.book import Book

_FIELDS = (
    *("action", "version", "verified_when", "verifiers", "window", "silence", "reopening"),
    *("signals", "rework_rate", "sampling"),
)
_FROM_REVIEWS = "reviews"
Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class InForce:
    """A version of a definition, and from when it is in force."""

    definition: Definition
    from_us: int
    by_whom: str


def define(
    book: Book,
    definition: Definition,
    *,
    by_whom: str,
    at_us: int,
    reason: str | None = None,
    from_us: int | None = None,
) -> Definition:
    """Put a definition in force from now on, or from a moment to come; returns it with its version.

    The same as the one in force changes nothing. A version that is given must be the next.
    """
    with book.writing():
        begins_us = at_us if from_us is None else max(at_us, from_us)
        former = in_force(book, definition.action, begins_us)
        if former.version and replace(former, version=0) == replace(definition, version=0):
            return former
        versions = definitions.all_of(book, definition.action)
        version = 1 + max((int(str(row[1])) for row in versions), default=0)
        if definition.version not in (0, version):
            raise BadInput(
                f"Found version {definition.version} of the definition of {definition.action!r}: the next is "
                f"{version}. Leave the version out and it is counted."
            )
        made = replace(definition, version=version)
        content = json.dumps(document_of(made), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        definitions.insert(book, made.action, version, content, begins_us, by_whom)
        chains.record_change(
            book,
            "definition.made",
            made.action,
            document_of(made) | ({"in_force_from": iso(begins_us)} if begins_us > at_us else {}),
            at_us=at_us,
            by_whom=by_whom,
            reason=reason,
        )
    return made


def listed(book: Book, action: str | None = None) -> list[InForce]:
    """Every version there was, the oldest first."""
    return [
        InForce(of_document(json.loads(str(content))), int(str(from_us)), str(by_whom))
        for _, _, content, from_us, by_whom in definitions.all_of(book, action)
    ]


def in_force(book: Book, action: str, at_us: int) -> Definition:
    """The definition that judges a task of this kind opened at this moment."""
    return Register(book).of(action, at_us)


class Register:
    """The definitions of a book at one moment, each read once."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._versions: dict[str, list[InForce]] = {}

    @property
    def has_any(self) -> bool:
        """Any kind of task has one."""
        return self._book.value("SELECT 1 FROM definitions LIMIT 1") is not None

    def spans(self) -> list[tuple[InForce, int | None]]:
        """Every version there was, each with the moment when the next of its kind took its place."""
        every = listed(self._book)
        return [
            (one, after.from_us if after and after.definition.action == one.definition.action else None)
            for one, after in zip_longest(every, every[1:])
        ]

    def of(self, action: str, at_us: int) -> Definition:
        """The definition that was in force for a kind of task at a moment."""
        if action not in self._versions:
            self._versions[action] = listed(self._book, action)
        found = UNDECLARED
        for version in self._versions[action]:
            if version.from_us <= at_us:
                found = version.definition
        return found


def of_document(document: object) -> Definition:
    """The definition that a document says. ``BadInput`` names the field, what was found and expected.

    See ``docs/guides/outcomes.md`` for the fields.
    """
    if not isinstance(document, Mapping):
        raise BadInput(f"Found {document!r:.60} where a definition was expected: a mapping with 'action'.")
    unknown = sorted(set(map(str, document)) - set(_FIELDS))
    if unknown:
        raise BadInput(f"Found the field {unknown[0]!r} in a definition: expected {', '.join(_FIELDS)}.")
    action = document.get("action")
    if not isinstance(action, str) or not action:
        raise BadInput(f"Found {action!r} as action: expected the name of the kind of task.")
    required = _required(document.get("verifiers", []))
    return Definition(
        action=action,
        version=_whole("version", document.get("version", 0)),
        required=required,
        needed=_needed(document.get("verified_when", "all"), required),
        window_us=_window(document.get("window")),
        silence=_silence(document.get("silence", "assumed")),
        reopening=_one_of("reopening", document.get("reopening", "reversed"), Reopening),
        signals=_signals(document.get("signals", {})),
        rework_rate_nano=_rate(document.get("rework_rate")),
        sampled=sampled.sampled_of(document.get("sampling"), required),
        reviewed=_reviewed(document.get("verifiers", [])),
    )


def document_of(definition: Definition) -> dict[str, object]:
    """The definition as a document, without what was left at its usual."""
    total = sum(definition.required.values(), Decimal(0))
    is_weighted = any(weight != 1 for weight in definition.required.values())
    needed = total if definition.needed is None else definition.needed
    document: dict[str, object] = {
        "action": definition.action,
        "version": definition.version,
        "verifiers": [
            _verifier_document(name, weight if is_weighted else None, name in definition.reviewed)
            for name, weight in definition.required.items()
        ],
        "verified_when": "all"
        if needed == total
        else {"weight": str(needed)}
        if is_weighted
        else {"quorum": int(needed)},
        "silence": str(definition.silence),
        "reopening": str(definition.reopening),
    }
    if definition.window_us is not None:
        document["window"] = span_text(definition.window_us)
    if definition.signals:
        document["signals"] = {name: _rule_document(rule) for name, rule in definition.signals.items()}
    if definition.rework_rate_nano is not None:
        document["rework_rate"] = decimal_text(definition.rework_rate_nano)
    if definition.sampled is not None:
        document["sampling"] = sampled.document_of(definition.sampled)
    return document


def _verifier_document(name: str, weight: Decimal | None, is_reviewed: bool) -> object:
    more = {"weight": str(weight)} if weight is not None else {}
    more |= {"from": _FROM_REVIEWS} if is_reviewed else {}
    return {"name": name, **more} if more else name


def shown(version: InForce) -> dict[str, object]:
    """A version as commands and API show it."""
    return {
        **document_of(version.definition),
        "in_force_from": iso(version.from_us),
        "by_whom": version.by_whom,
    }


def _required(given: object) -> dict[str, Decimal]:
    if not isinstance(given, list):
        raise BadInput(f"Found {given!r:.60} as verifiers: expected a list of names.")
    required: dict[str, Decimal] = {}
    for one in given:
        name, weight = (one.get("name"), one.get("weight", 1)) if isinstance(one, Mapping) else (one, 1)
        if not isinstance(name, str) or not name:
            raise BadInput(f"Found {one!r:.60} among the verifiers: expected a name, or name and weight.")
        if name in required:
            raise BadInput(f"Found the verifier {name!r} twice: each is named once.")
        number = _decimal(f"the weight of {name!r}", weight)
        if number <= 0:
            raise BadInput(f"Found {weight} as the weight of {name!r}: expected more than 0.")
        required[name] = number
    return required


def _reviewed(given: object) -> frozenset[str]:
    """The verifiers of which the definition says that their word comes from the review queue."""
    found: set[str] = set()
    for one in given if isinstance(given, list) else ():
        if not isinstance(one, Mapping):
            continue
        unknown = sorted(set(map(str, one)) - {"name", "weight", "from"})
        if unknown:
            raise BadInput(f"Found {unknown[0]!r} of a verifier: expected name, weight, from.")
        if one.get("from") not in (None, _FROM_REVIEWS):
            raise BadInput(
                f"Found from {one['from']!r:.60} of a verifier: expected {_FROM_REVIEWS}, or leave it out."
            )
        if one.get("from") is not None:
            found.add(str(one.get("name")))
    return frozenset(found)


def _needed(rule: object, required: Mapping[str, Decimal]) -> Decimal | None:
    if rule == "all":
        return None
    if not required:
        raise BadInput(f"Found verified_when {rule!r:.60} and no verifiers: name those that it speaks of.")
    if rule == "any":
        return min(required.values())
    if isinstance(rule, Mapping) and len(rule) == 1:
        (word, figure), total = next(iter(rule.items())), sum(required.values(), Decimal(0))
        needed = _decimal(str(word), figure)
        if word == "quorum" and any(weight != 1 for weight in required.values()):
            raise BadInput("Found a quorum of verifiers that have weights: say verified_when: {weight: …}.")
        if word in ("quorum", "weight"):
            if not 0 < needed <= total or (word == "quorum" and needed % 1):
                raise BadInput(f"Found {word} {figure}: expected more than 0 and at most {total}.")
            return needed
    raise BadInput(
        f"Found {rule!r:.60} as verified_when: expected all, any, {{quorum: 2}} or {{weight: 1.5}}."
    )


def _window(given: object) -> int | None:
    if given is None:
        return None
    return parse_span(str(given))


def _silence(given: object) -> Outcome:
    if given not in ("assumed", "failed"):
        raise BadInput(
            f"Found {given!r:.60} as silence: expected assumed or failed. Silence verifies nothing."
        )
    return Outcome(str(given))


def _signals(given: object) -> dict[str, SignalRule]:
    if not isinstance(given, Mapping):
        raise BadInput(f"Found {given!r:.60} as signals: expected names and what each says.")
    return {str(name): _rule(str(name), rule) for name, rule in given.items()}


def _rule(name: str, given: object) -> SignalRule:
    if not isinstance(given, Mapping):
        return SignalRule(_one_of(f"the signal {name!r}", given, Judgement))
    unknown = set(map(str, given)) - {"says", "below", "above"}
    if unknown:
        raise BadInput(f"Found {min(unknown)!r} for the signal {name!r}: expected says, below, above.")
    bounds = {
        side: None if given.get(side) is None else _decimal(f"{side} of {name!r}", given[side])
        for side in ("below", "above")
    }
    return SignalRule(_one_of(f"the signal {name!r}", given.get("says", "fail"), Judgement), **bounds)


def _rule_document(rule: SignalRule) -> object:
    if rule.below is None and rule.above is None:
        return str(rule.says)
    bounds = {"below": rule.below, "above": rule.above}
    return {"says": str(rule.says), **{side: str(at) for side, at in bounds.items() if at is not None}}


def _rate(given: object) -> int | None:
    if given is None:
        return None
    rate = _decimal("rework_rate", given)
    if rate < 0:
        raise BadInput(f"Found {given} as rework_rate: expected dollars for an hour, 0 or more.")
    return nano_of(rate)


def _one_of(what: str, given: object, words: type[Word]) -> Word:
    try:
        return words(str(given))
    except ValueError:
        raise BadInput(f"Found {given!r:.60} as {what}: expected {', '.join(words)}.") from None


def _whole(what: str, given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise BadInput(f"Found {given!r:.60} as {what}: expected a whole number.")
    return given


def _decimal(what: str, given: object) -> Decimal:
    try:
        number = Decimal(str(given)) if not isinstance(given, bool) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadInput(f"Found {given!r:.60} as {what}: expected a number.")
    return number
