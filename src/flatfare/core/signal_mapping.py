"""Mappings: how a message of some other system says of which task something is so, and what.

A mapping is declared once for a source, in dotted paths into its JSON. A message that no rule
means is none of ours; one that a rule means and that names no task is an error, never a guess.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType

from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment

ITEMS_MAX = 1000
_STEP = re.compile(r"(?:[^.\\]|\\.)+")
_PATH = re.compile(r"(?:[^.\\]|\\.)+(?:\.(?:[^.\\]|\\.)+)*")
_KEYS = ("task", "at", "each", "signals")
_RULE_KEYS = ("signal", "from", "names", "when", "value", "values", "task", "at")


@dataclass(frozen=True, slots=True)
class Rule:
    """When a message is a signal, which one, and what it is worth."""

    signal: str | None = None  # its name, or
    named_by: str | None = None  # the path of its name, which
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # may be called otherwise
    when: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    value: str | None = None
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    task: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class SignalMapping:
    """How a source's messages are read; paths within ``each`` begin at one of its items."""

    task: str
    rules: tuple[Rule, ...]
    at: str | None = None
    each: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """What a message says of one task."""

    task: str
    name: str
    value: str | None = None
    at_us: int | None = None


def mapping_of(document: object) -> SignalMapping:
    """A mapping as it is written; ``BadInput`` names the key that cannot be.

    >>> mapping_of({"task": "ticket.id", "signals": [{"signal": "reopened"}]}).task
    'ticket.id'
    """
    given = _table(document, "The mapping", _KEYS)
    rules = given.get("signals")
    if not isinstance(rules, Sequence) or isinstance(rules, str) or not rules:
        raise BadInput("The mapping names no 'signals': list when a message is one, and which.")
    task = _path(given.get("task"), "task")
    found = SignalMapping(
        task=task or "",
        rules=tuple(_rule(rule, number) for number, rule in enumerate(rules, 1)),
        at=_path(given.get("at"), "at"),
        each=_path(given.get("each"), "each"),
    )
    if task is None and any(rule.task is None for rule in found.rules):
        raise BadInput("The mapping names no 'task': the path of the task's name, such as data.ticket.id.")
    return found


def signals_in(mapping: SignalMapping, message: object) -> list[Signal]:
    """What a message says; empty where it is none of ours. ``BadInput`` where it cannot be read."""
    items: list[object] = [message]
    if mapping.each is not None:
        found = _at(message, mapping.each)
        if found is None:
            return []
        if not isinstance(found, list):
            raise BadInput(f"The message has no list at {mapping.each!r}, where one was expected.")
        items = found
    if len(items) > ITEMS_MAX:
        raise BadInput(f"Found {len(items)} items in a message: at most {ITEMS_MAX}.")
    said = (_signal(mapping, item, message) for item in items)
    return [signal for signal in said if signal is not None]


def _signal(mapping: SignalMapping, item: object, message: object) -> Signal | None:
    """What the first rule that means an item says of it."""
    for rule in mapping.rules:
        if not all(_text(_found(item, message, path)) in words for path, words in rule.when.items()):
            continue
        name = rule.signal or _name(rule, item, message)
        if name is None:
            continue
        path = rule.task or mapping.task
        task = _text(_found(item, message, path))
        if not task:
            raise BadInput(f"The message names no task: there is nothing at {path!r}.")
        return Signal(task, name, _value(rule, item, message), _moment(rule.at or mapping.at, item, message))
    return None


def _name(rule: Rule, item: object, message: object) -> str | None:
    assert rule.named_by is not None
    given = _text(_found(item, message, rule.named_by))
    if given is None or not rule.names:
        return given
    return rule.names.get(given)  # what is not listed is none of ours


def _value(rule: Rule, item: object, message: object) -> str | None:
    if rule.value is None:
        return None
    given = _text(_found(item, message, rule.value))
    return given if given is None else rule.values.get(given, given)


def _moment(path: str | None, item: object, message: object) -> int | None:
    if path is None:
        return None
    given = _text(_found(item, message, path))
    return None if given is None else parse_moment(given)[0]


# --- paths


def _found(item: object, message: object, path: str) -> object:
    """What stands at a path of an item; one that begins with ``$.`` begins at the message itself."""
    return _at(message, path[2:]) if path.startswith("$.") else _at(item, path)


def _at(value: object, path: str) -> object:
    for step in _STEP.findall(path):
        key = re.sub(r"\\(.)", r"\1", step)
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 7 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _text(value: object) -> str | None:
    """A value of JSON in words; None for null and for what has parts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return f"{Decimal(str(value)).normalize():f}" if isinstance(value, int | float | Decimal) else None


# --- reading a mapping


def _rule(document: object, number: int) -> Rule:
    where = f"Signal {number} of the mapping"
    given = _table(document, where, _RULE_KEYS)
    signal, named_by = given.get("signal"), _path(given.get("from"), "from")
    if (signal is None) == (named_by is None):
        raise BadInput(f"{where} has either 'signal', its name, or 'from', the path of its name.")
    if signal is not None and (not isinstance(signal, str) or not signal.strip()):
        raise BadInput(f"{where} has the name {signal!r}: expected one such as reopened.")
    return Rule(
        signal=signal,
        named_by=named_by,
        names=_words(given.get("names"), f"{where}: 'names'"),
        when={
            _path(path, "when") or "": _any_of(words, f"{where}: 'when'")
            for path, words in _table(given.get("when") or {}, f"{where}: 'when'", None).items()
        },
        value=_path(given.get("value"), "value"),
        values=_words(given.get("values"), f"{where}: 'values'"),
        task=_path(given.get("task"), "task"),
        at=_path(given.get("at"), "at"),
    )


def _table(document: object, where: str, known: Sequence[str] | None) -> dict[str, object]:
    if not isinstance(document, Mapping):
        raise BadInput(f"{where} is {document!r}: expected names and values.")
    for key in document:
        if known is not None and key not in known:
            near = get_close_matches(str(key), known, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(f"{where} has {key!r}: it takes {', '.join(known)}.{meant}")
    return {str(key): value for key, value in document.items()}


def _path(given: object, key: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or not _PATH.fullmatch(given):
        raise BadInput(
            f"Found the path {given!r} as {key!r}: write names parted by dots, as in data.ticket.id."
        )
    return given


def _words(given: object, where: str) -> dict[str, str]:
    found = {}
    for key, value in _table(given or {}, where, None).items():
        text = _text(value)
        if text is None:
            raise BadInput(f"{where} gives {key!r} as {value!r}: expected a word or a number.")
        found[key] = text
    return found


def _any_of(given: object, where: str) -> tuple[str, ...]:
    words = [_text(word) for word in (given if isinstance(given, list) else [given])]
    if not words or None in words:
        raise BadInput(f"{where} holds {given!r}: expected a word, a number, or a list of them.")
    return tuple(word for word in words if word is not None)
