"""Gathering the boards of a book: its own tasks and the aggregates it imported, by benchmark and domain.

Where a benchmark has several domains, those paths that ran all of them are also
ranked on the domains together; a path that ran only the easy ones is not.
"""

import difflib
from collections.abc import Sequence

from flatfare.core.errors import NotFound
from flatfare.service.leaderboard.ranking import Board, board_of
from flatfare.service.leaderboard.showing import Showing, pooled

POOLED_RANKED_MIN = 2
"""Below, a board over several domains says nothing that its parts do not."""


def boards_of(
    showings: Sequence[Showing],
    *,
    benchmark: str | None = None,
    domain: str | None = None,
    pool: bool = False,
    handoff_nano: int = 0,
) -> list[Board]:
    """The boards of what was shown, by name; with ``pool`` those over all domains of a benchmark come first.

    Raises ``NotFound`` for a benchmark or domain that nothing was shown on.
    """
    chosen = _chosen(_chosen(showings, "benchmark", benchmark), "domain", domain)
    boards = []
    for name, of_benchmark in _grouped(chosen, "benchmark"):
        domains = list(_grouped(of_benchmark, "domain"))
        if pool and len(domains) > 1:
            board = _over_all(name, of_benchmark, tuple(key for key, _ in domains), handoff_nano)
            boards += [board] if len(board.ranked) >= POOLED_RANKED_MIN else []
        boards += [board_of(name, key, of_domain, handoff_nano=handoff_nano) for key, of_domain in domains]
    return boards


def over_all_domains(showings: Sequence[Showing], benchmark: str) -> Board:
    """One benchmark's domains taken together."""
    chosen = _chosen(showings, "benchmark", benchmark)
    domains = tuple(key for key, _ in _grouped(chosen, "domain"))
    return _over_all(benchmark, chosen, domains, handoff_nano=0)


def _over_all(
    benchmark: str, showings: Sequence[Showing], domains: tuple[str, ...], handoff_nano: int
) -> Board:
    seen: dict[tuple[str, tuple[str, ...]], int] = {}
    for showing in showings:
        key = (showing.path, showing.sources)
        seen[key] = seen.get(key, 0) + 1
    whole = [showing for showing in showings if seen[showing.path, showing.sources] == len(domains)]
    return board_of(benchmark, "", pooled(whole), handoff_nano=handoff_nano, domains=domains)


def _grouped(showings: Sequence[Showing], key: str) -> list[tuple[str, list[Showing]]]:
    groups: dict[str, list[Showing]] = {}
    for showing in showings:
        groups.setdefault(getattr(showing, key), []).append(showing)
    return sorted(groups.items(), key=lambda group: (group[0].casefold(), group[0]))


def _chosen(showings: Sequence[Showing], key: str, wanted: str | None) -> list[Showing]:
    if wanted is None:
        return list(showings)
    found = [showing for showing in showings if getattr(showing, key).casefold() == wanted.casefold()]
    if not found:
        known = sorted({getattr(showing, key) for showing in showings} - {""})
        near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known) or 'none yet'}."
        raise NotFound(f"Nothing is known of the {key} {wanted!r}.{hint}")
    return found
