"""What a page is asked, as it stands in its address: period, comparison, filters, grouping, order.

All state of a page is in its address: whoever is sent the link sees the same figures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from flatfare.core.errors import BadUsage
from flatfare.core.moments import DAY_US
from flatfare.service.reporting.extent import Extent
from flatfare.service.reporting.question import checked_zone
from flatfare.web.pages import periods
from flatfare.web.pages.periods import Period

DEFAULT_PERIOD = "30d"
NO_COMPARISON = "none"
FILTERS_MAX = 20
_SHARED = ("period", "since", "until", "compare", "filter", "zone")
"""What goes along from page to page."""

_OWN = ("by", "sort", "limit", "theme", "frame", "table", "token")
"""What every page takes and none hands on."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """One question, read and checked."""

    path: str
    pairs: Pairs  # as they stand in the address
    period: Period
    zone: str
    filters: Pairs = ()
    by: str | None = None
    sort: str | None = None
    limit: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)  # what only this page takes

    @property
    def compares(self) -> bool:
        """Figures are shown against the period before."""
        return self.period.before is not None and ("compare", NO_COMPARISON) not in self.pairs

    def url(self, path: str | None = None, **changes: str | None) -> str:
        """This question with some of it changed; None takes a part away."""
        kept = [(name, value) for name, value in self.pairs if name not in changes]
        added = [(name, value) for name, value in changes.items() if value is not None]
        return _address(path or self.path, [*kept, *added])

    def elsewhere(self, path: str, **changes: str | None) -> str:
        """Another page, asked for the same period and filters."""
        kept = [(name, value) for name, value in self.pairs if name in _SHARED and name not in changes]
        return _address(
            path, [*kept, *((name, value) for name, value in changes.items() if value is not None)]
        )

    def filtered(self, key: str, value: str, path: str | None = None) -> str:
        """This question of one value of a key alone."""
        kept = [pair for pair in self.pairs if pair[0] not in ("limit", "sort")]
        if path is not None:
            kept = [pair for pair in kept if pair[0] in _SHARED]
        chosen = ("filter", f"{key}={value}")
        return _address(path or self.path, [*kept, *([] if chosen in kept else [chosen])])

    def unfiltered(self, key: str, value: str) -> str:
        """This question without one of its filters."""
        return _address(self.path, [pair for pair in self.pairs if pair != ("filter", f"{key}={value}")])

    def beside(self, ending: str, **changes: str | None) -> str:
        """The same question at the same address with another ending."""
        return self.url(f"{'/overview' if self.path == '/' else self.path}{ending}", **changes)

    def kept(self, *without: str) -> Pairs:
        """The parts of the address that a form hands on."""
        return tuple(pair for pair in self.pairs if pair[0] not in without)


def _address(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    query = urlencode(list(pairs), quote_via=quote, safe=":/=,")
    return f"{path}?{query}" if query else path


def asked(
    path: str,
    pairs: Iterable[tuple[str, str]],
    *,
    now_us: int,
    zone: str,
    extent: Extent,
    takes: Iterable[str] = (),
) -> Asking:
    """Read the question; ``BadUsage`` for a parameter that the page does not know."""
    found = tuple((name, value.strip()) for name, value in pairs if value.strip())
    given: dict[str, str] = {}
    own = tuple(takes)
    for name, value in found:
        if name not in (*_SHARED, *_OWN, *own):
            known = ", ".join((*_SHARED, "by", "sort", "limit", *own))
            raise BadUsage(
                f"Found the parameter {name[:40]!r}, which this page does not take. Known: {known}."
            )
        if name != "filter" and name in given:
            raise BadUsage(f"Found the parameter {name!r} more than once: it is given once.")
        given[name] = value
    time_zone = checked_zone(given.get("zone", zone))
    return Asking(
        path,
        tuple(pair for pair in found if pair[0] not in ("theme", "frame", "token")),
        _period(given, now_us, ZoneInfo(time_zone), extent),
        time_zone,
        _filters(value for name, value in found if name == "filter"),
        given.get("by"),
        given.get("sort"),
        _limit(given.get("limit")),
        {name: given[name] for name in own if name in given},
    )


def _period(given: Mapping[str, str], now_us: int, zone: ZoneInfo, extent: Extent) -> Period:
    if "since" in given or "until" in given:
        return periods.between(given.get("since"), given.get("until"), zone)
    if "period" in given:
        return periods.named(given["period"], now_us, zone)
    usual = periods.named(DEFAULT_PERIOD, now_us, zone)
    last = extent.last_at_us
    is_quiet = last is None or usual.since_us is None or last < usual.since_us
    has_future = last is not None and last > now_us + DAY_US
    return periods.named(periods.ALL, now_us, zone) if is_quiet or has_future else usual


def _filters(texts: Iterable[str]) -> Pairs:
    found = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise BadUsage(f"Found the filter {text[:60]!r}: write key=value, such as team=search.")
        found.append((key.strip(), value))
    if len(found) > FILTERS_MAX:
        raise BadUsage(f"Found {len(found)} filters: at most {FILTERS_MAX} fit.")
    return tuple(dict.fromkeys(found))


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise BadUsage(f"Found the limit {text[:20]!r}: write a number of rows from 1 up; 0 shows all.")
    return int(text)
