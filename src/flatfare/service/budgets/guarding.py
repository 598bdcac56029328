"""Guards: agreed, changed and removed, each change on record with who made it and why."""

import re
from collections.abc import Mapping
from dataclasses import replace

from flatfare.core.budget import Scope
from flatfare.core.currency import dollars
from flatfare.core.errors import BadInput
from flatfare.core.guard import DOWNGRADE, EFFORTS, KINDS, Guard, amount_text, effort_rank, span_text
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service.budgets import agreeing
from flatfare.store import chains, guards
from flatfare.store.book import Book
from flatfare.store.guards import Tallied

TERMS = (
    *("kind", "at_most", "per", "scope", "action", "within", "every", "least", "factor", "budget"),
    *("models", "instead", "contact"),
)
"""What a guard may be given, in a file and over HTTP."""

_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def guard_of(name: str, terms: Mapping[str, object]) -> Guard:
    """A guard from its terms as people write them; ``BadInput`` says which cannot be."""
    unknown = set(terms) - set(TERMS)
    if unknown:
        raise BadInput(f"The guard {name!r} has {min(unknown)!r}: it takes {', '.join(TERMS)}.")
    kind = KINDS.get(str(terms.get("kind")))
    if kind is None:
        found = terms.get("kind")
        raise BadInput(f"The guard {name!r} is of the kind {found!r}: write one of {', '.join(KINDS)}.")
    given = terms.get("at_most")
    if given is None and kind.limit is None:
        raise BadInput(f"The guard {name!r} has no limit: write at_most.")
    action = str(terms.get("action", kind.action))
    if kind.name == "models" and "action" not in terms and "instead" not in terms:
        action = "stop"
    return Guard(
        "",
        name,
        kind.name,
        kind.limit if given is None and kind.limit is not None else limit_of(kind.unit, str(given)),
        action,
        str(terms.get("per", kind.per)),
        Scope.of(str(terms.get("scope", "organisation"))),
        window_s=_seconds(terms.get("within"), kind.window_s),
        pace_s=_seconds(terms.get("every"), 10),
        least=_whole(terms.get("least"), kind.least),
        factor=_whole(terms.get("factor"), 3),
        budget=None if terms.get("budget") is None else str(terms["budget"]),
        models=_patterns(terms.get("models")),
        instead=_pairs(terms.get("instead")),
        contact=None if terms.get("contact") is None else str(terms["contact"]),
    )


def limit_of(unit: str, text: str) -> int:
    """A limit as people write it, in its unit: 50, 2.00 (dollars), 30m (seconds), low (effort), 90%."""
    said = text.strip()
    if unit == "dollars":
        return dollars(said)
    if unit == "effort":
        rank = effort_rank(said)
        if rank is None:
            raise BadInput(f"Found the effort {text!r}: write one of {', '.join(EFFORTS)}.")
        return rank
    if unit == "seconds":
        return _seconds(said, 0)
    return _whole(said.rstrip("%").replace(",", "").strip(), 0)


def create(book: Book, guard: Guard, *, at_us: int, by_whom: str, reason: str | None = None) -> Guard:
    """Agree on a guard. One of the same name that stands is a ``Conflict``."""
    with book.writing():
        return agreed(book, guard, at_us=at_us, by_whom=by_whom, reason=reason)


def agreed(book: Book, guard: Guard, *, at_us: int, by_whom: str, reason: str | None = None) -> Guard:
    """As ``create``, as a part of a transaction that is under way."""
    made = agreeing.begun(book, agreeing.GUARD, guard, guards.all_of(book), at_us)
    guards.insert(book, made)
    _record(book, "guard.created", made, terms_of(made), at_us, by_whom, reason)
    return made


def change(
    book: Book,
    id_or_name: str,
    terms: Mapping[str, object],
    *,
    at_us: int,
    by_whom: str,
    reason: str | None = None,
) -> Guard:
    """Change what was agreed, by terms as people write them; whose it is and its kind stay."""
    with book.writing():
        former = one_of(book, id_or_name)
        fixed = [name for name in ("kind", "per") if name in terms and terms[name] != terms_of(former)[name]]
        if fixed:
            raise BadInput(f"The {fixed[0]} of a guard stays: remove {former.name!r} and create another.")
        standing = {name: value for name, value in terms_of(former).items() if value is not None}
        standing.pop("name")
        made = guard_of(former.name, {**standing, **terms})
        changed = replace(
            made,
            id=former.id,
            scope=agreeing.resolved(book, made.scope),
            created_at_us=former.created_at_us,
        )
        if changed == former:
            return former
        guards.update(book, changed)
        before, after = terms_of(former), terms_of(changed)
        content = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
        _record(book, "guard.changed", changed, content, at_us, by_whom, reason)
    return changed


def remove(book: Book, id_or_name: str, *, at_us: int, by_whom: str, reason: str | None = None) -> Guard:
    """End a guard: it concerns nobody any more."""
    with book.writing():
        guard = replace(one_of(book, id_or_name), removed_at_us=at_us)
        guards.update(book, guard)
        _record(book, "guard.removed", guard, {}, at_us, by_whom, reason)
    return guard


def one_of(book: Book, id_or_name: str) -> Guard:
    """The guard of that id or name that stands; ``NotFound`` names those there are."""
    return agreeing.named(agreeing.GUARD, guards.all_of(book), id_or_name)


def listed(book: Book) -> list[dict[str, object]]:
    """Every guard that stands, as a document, with how often calls went past it."""
    hits = guards.hits_of(book)
    return [
        {
            **_head_of(guard),
            "hits": hits.get(guard.id, (0, 0))[0],
            "subjects_hit": hits.get(guard.id, (0, 0))[1],
        }
        for guard in guards.all_of(book)
    ]


def document_of(book: Book, guard: Guard, *, subjects_max: int = 100) -> dict[str, object]:
    """A guard as command line and API show it, with who went past it, the last first."""
    hits, subjects = guards.hits_of(book).get(guard.id, (0, 0))
    found = guards.past_the_limit(book, guard.id, subjects_max)
    return {
        **_head_of(guard),
        "hits": hits,
        "subjects_hit": subjects,
        "past": [_past_of(guard, one) for one in found],
    }


def _past_of(guard: Guard, one: Tallied) -> dict[str, object]:
    return {
        "subject": one.subject,
        "hits": one.hits,
        "value": None if one.hit_value is None else amount_text(guard, one.hit_value),
        "calls": one.calls,
        "tokens": one.tokens,
        "cost": decimal_text(one.cost_nano),
        "since": iso(one.began_at_us) if one.began_at_us else None,
        "last": iso(one.hit_at_us),
        "last_call": one.last_call,
    }


def _head_of(guard: Guard) -> dict[str, object]:
    return {"id": guard.id, **terms_of(guard), "created": iso(guard.created_at_us)}


def terms_of(guard: Guard) -> dict[str, object]:
    """What was agreed, as people write it."""
    kind = KINDS[guard.kind]
    return {
        "name": guard.name,
        "kind": guard.kind,
        "at_most": _limit_text(guard),
        "per": guard.per,
        "scope": str(guard.scope),
        "action": guard.action,
        "within": span_text(guard.window_s) if guard.window_s else None,
        "every": span_text(guard.pace_s),
        "least": guard.least if kind.least else None,
        "factor": guard.factor if guard.kind == "retries" else None,
        "budget": guard.budget,
        "models": list(guard.models) or None,
        "instead": dict(guard.instead) or None,
        "contact": guard.contact,
    }


def said_of(guard: Guard) -> str:
    """A guard in one line."""
    limit = (
        f"from {_limit_text(guard)} % of a budget"
        if guard.kind == "models"
        else f"at most {_limit_text(guard)}"
    )
    instead = ", ".join(f"{pattern} → {other}" for pattern, other in guard.instead)
    what = f"{guard.action} {instead}" if guard.action == DOWNGRADE else guard.action
    where = "" if str(guard.scope) == "organisation" else f", {guard.scope}"
    return f"{guard.kind}: {limit} per {guard.per}{where}: {what}"


def _limit_text(guard: Guard) -> str:
    if guard.unit == "dollars":
        return decimal_text(guard.limit)
    return amount_text(guard, guard.limit) if guard.unit in ("effort", "seconds") else str(guard.limit)


def _seconds(given: object, otherwise: int) -> int:
    if given is None:
        return otherwise
    found = _SPAN.fullmatch(str(given).strip())
    if found is None:
        raise BadInput(f"{given!r} is no length of time: write it like 30s, 10m or 2h.")
    return int(found[1]) * _SECONDS[found[2] or "s"]


def _whole(given: object, otherwise: int) -> int:
    if given is None:
        return otherwise
    try:
        return int(str(given))
    except ValueError:
        raise BadInput(f"Found {given!r} where a whole number was expected.") from None


def _patterns(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list | tuple):
        raise BadInput(f"Found the models {given!r}: write a list such as [gpt-4o-mini, 'claude-haiku*'].")
    return tuple(str(one) for one in given)


def _pairs(given: object) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise BadInput(f"Found instead: {given!r}: write pairs such as {{gpt-4o: gpt-4o-mini}}.")
    return tuple((str(pattern), str(other)) for pattern, other in given.items())


def _record(
    book: Book,
    kind: str,
    guard: Guard,
    content: Mapping[str, object],
    at_us: int,
    by_whom: str,
    reason: str | None,
) -> None:
    chains.record_change(
        book,
        kind,
        guard.id,
        {name: value for name, value in content.items() if value is not None},
        at_us=at_us,
        by_whom=by_whom,
        reason=reason,
    )
