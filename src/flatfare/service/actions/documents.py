"""Actions as people and programs are shown them, and what changed from one version to the next."""

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping

from flatfare.core.action import Action, Command, Rung, Step
from flatfare.core.action_price import ActionPrice, price_document
from flatfare.core.checks.submission import Json
from flatfare.core.currency import payable_text
from flatfare.core.moments import iso, span_text
from flatfare.core.money import decimal_text
from flatfare.service.actions.publishing import Published
from flatfare.service.tasks.defining import document_of as definition_document


def document_of(action: Action) -> dict[str, object]:
    """The whole action as a document: what was left at its usual is written out."""
    return {
        "action": action.name,
        "version": action.version,
        "description": action.description,
        "input": plain(action.input_schema),
        "output": None if action.output_schema is None else plain(action.output_schema),
        "files": {name: str(how) for name, how in action.files.items()},
        "steps": [_step(step) for step in action.steps],
        "path": action.path.name,
        "ladder": [_rung(rung) for rung in action.ladder],
        "verifiers": [
            {"name": check.name, "awaits": check.kind}
            if check.is_awaited
            else {"name": check.name, "kind": check.kind, "parameters": plain(check.parameters)}
            for check in action.checks
        ],
        "definition": {
            key: value
            for key, value in definition_document(action.definition).items()
            if key not in ("action", "version")
        },
        "limits": {
            "cost": decimal_text(action.limits.cost_nano),
            "attempts": action.limits.attempts,
            "deadline": span_text(action.limits.deadline_us),
            "input_bytes": action.limits.input_bytes,
        },
        "price": price_document(action.price),
        "privacy": {"keep": span_text(action.keep_us) if action.keep_us else "none"},
    }


def published_document(version: Published) -> dict[str, object]:
    """A published version with who published it when."""
    return {
        **document_of(version.action),
        "hash": version.hash,
        "definition_version": version.definition_version,
        "published_at": iso(version.at_us),
        "published_by": version.by_whom,
        "valid_from": iso(version.begins_us),
    }


def catalogue(versions: Iterable[Published], at_us: int) -> list[dict[str, object]]:
    """Each action by the version that is sold at a moment, with those there are and those to come."""
    found: dict[str, list[Published]] = {}
    for version in versions:
        found.setdefault(version.action.name, []).append(version)
    return [_entry(name, held, at_us) for name, held in sorted(found.items())]


def sold_at(held: list[Published], at_us: int) -> Published:
    """Of the versions of one action the one that is sold at a moment, else the first that is to come."""
    in_order = sorted(held, key=lambda one: one.action.version)
    begun = [one for one in in_order if not one.is_to_come(at_us)]
    return begun[-1] if begun else in_order[0]


def _entry(name: str, held: list[Published], at_us: int) -> dict[str, object]:
    newest = sold_at(held, at_us)
    to_come = [one for one in held if one.is_to_come(at_us)]
    return {
        "name": name,
        "version": newest.action.version,
        "description": newest.action.description,
        "price": price_words(newest.action.price),
        "path": newest.action.path.name,
        "published_at": iso(newest.at_us),
        "published_by": newest.by_whom,
        "valid_from": iso(newest.begins_us),
        "versions": sorted(one.action.version for one in held),
        "to_come": [
            {
                "version": one.action.version,
                "price": price_words(one.action.price),
                "valid_from": iso(one.begins_us),
            }
            for one in sorted(to_come, key=lambda one: one.action.version)
        ],
    }


def price_words(price: ActionPrice) -> str:
    """A price in one line.

    >>> from flatfare.core.action_price import parse_price
    >>> price_words(parse_price("5.00"))
    '5.00 USD per verified outcome'
    """
    parts = []
    if price.tiers:
        first = price.tiers[0]
        each = f" + {payable_text(first.each_nano, price.currency)} each" if first.each_nano else ""
        amount = payable_text(first.flat_nano, price.currency) + each
        parts.append(f"from {amount} {price.currency} per verified outcome, by {price.size}")
    elif price.per_verified_nano:
        amount = payable_text(price.per_verified_nano, price.currency)
        parts.append(f"{amount} {price.currency} per verified outcome")
    if price.per_attempt_nano:
        parts.append(f"{payable_text(price.per_attempt_nano, price.currency)} {price.currency} per attempt")
    return " and ".join(parts) or "free"


def differences(former: Action, new: Action) -> list[str]:
    """What changed, a line each: ``price.per_verified: '5.00' → '6.00'``."""
    before, after = dict(_leaves(document_of(former))), dict(_leaves(document_of(new)))
    before |= {f"files/{path}": _sized(content) for path, content in former.bundle.items()}
    after |= {f"files/{path}": _sized(content) for path, content in new.bundle.items()}
    lines = []
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key), after.get(key)
        if was != now and isinstance(was, str) and isinstance(now, str) and "\n" in was + now:
            lines += [f"{key}:", *(f"    {line}" for line in _changed_lines(was, now))]
        elif was != now:
            lines.append(f"{key}: {_told(was, key in before)} → {_told(now, key in after)}")
    return lines


def _changed_lines(was: str, now: str) -> Iterator[str]:
    for line in difflib.ndiff(was.splitlines(), now.splitlines()):
        if line[:2] in ("- ", "+ "):
            yield line


def _told(value: object, is_there: bool) -> str:
    return repr(value) if is_there else "nothing"


def _sized(content: bytes) -> str:
    return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()[:16]}"


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _leaves(member, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            named = item.get("name") if isinstance(item, Mapping) else None
            yield from _leaves(item, f"{place}[{named or number}]")
    else:
        yield place, value


def plain(value: Json) -> object:
    """A value of JSON with its numbers as JSON writes them."""
    if isinstance(value, Mapping):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    number = float(str(value))
    return int(number) if number.is_integer() else number


def _rung(rung: Rung) -> dict[str, object]:
    return {
        "name": rung.name,
        "model": f"{rung.model.provider}/{rung.model.model}",
        "effort": rung.model.effort,
        "output_tokens": rung.output_tokens,
        "tries": rung.tries,
        "seconds": rung.seconds,
        "answer": str(rung.answer),
        "temperature": None if rung.temperature is None else str(rung.temperature),
        "climb": {str(ending): target for ending, target in rung.climb.items()},
    }


def _step(step: Step) -> dict[str, object]:
    if step.command is not None:
        return {"name": step.name, **_command(step.command)}
    document: dict[str, object] = {"name": step.name, "system": step.system, "prompt": step.prompt}
    if step.each is not None:
        document |= {"each": step.each, "characters": step.characters}
    return document | ({"output_tokens": step.output_tokens} if step.output_tokens else {})


def _command(command: Command) -> dict[str, object]:
    return {
        "run": [*command.argv],
        "files": [*command.files],
        "seconds": command.seconds,
        "readable": [*command.readable],
        "uncontained": not command.is_contained,
        "cost": decimal_text(command.cost_nano),
    }
