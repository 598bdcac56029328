"""Advice on ``default_tier``: where every answer says that what names no tier is served at standard rates.

It is advice and no more: what a project is set to is known to its owner alone, and may change.
"""

from collections.abc import Iterator, Mapping

from flatfare.service.budgets.terms import TIER_UNSAID
from flatfare.service.doctoring import Finding
from flatfare.store import reading
from flatfare.store.book import Book
from flatfare.store.lake import Lake

CALLS_MIN = 20
"""Fewer answers are no ground for advice."""

_SERVED = """SELECT provider, SUM(n), SUM(n) FILTER (WHERE service_tier IN ('default', 'standard')),
    SUM(n) FILTER (WHERE service_tier NOT IN ('default', 'standard'))
    FROM calls WHERE source = 'gateway' AND status = 'ok' AND contains(traits, ?)
    GROUP BY provider ORDER BY provider"""


def advice(book: Book, lake: Lake, providers: Mapping[str, str]) -> Iterator[Finding]:
    """What may be set, as all calls show; ``providers`` has configured names by those whose prices apply."""
    if not providers:
        return
    with reading.opened(book, lake, "calls") as engine:
        rows = engine.execute(_SERVED, [TIER_UNSAID]).fetchall()
    for provider, count, standard, other in rows:
        if provider in providers and int(standard or 0) >= CALLS_MIN and not other:
            yield Finding(
                "note",
                "budgets",
                f"all {int(count):,} calls to {provider} under a hard budget that named no service tier were "
                "served at standard rates; the priority rate is held for them wherever no answer of the last "
                "quarter of an hour says so",
                f"If its project is set so, say it in flatfare.yaml: providers: {{{providers[provider]}: "
                "{…, default_tier: standard}}",
            )
