"""Figures of a worker's own life, in the text that Prometheus reads (exposition format 0.0.4).

The book is the truth of cost; these are for watching. They hold no names but those of
providers, endpoints and states: no model, key or label, whose number is not bounded.
"""

from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path

import msgspec

from flatfare.core.money import decimal_text

BUCKETS_S = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)


class Histogram(msgspec.Struct):
    """How many took how long."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.total += seconds
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1

    def add_all(self, other: "Histogram") -> None:
        """Add another's counts."""
        self.total += other.total
        self.counts = [own + theirs for own, theirs in zip(self.counts, other.counts, strict=True)]


class Metrics(msgspec.Struct):
    """Counts of one worker since it started."""

    calls: dict[str, int] = {}  # by provider, endpoint and status, tab between
    cost_nano: dict[str, int] = {}  # by provider
    unknown: dict[str, int] = {}  # calls of unknown cost, by provider
    tokens: dict[str, int] = {}  # by provider and unit
    added: Histogram = msgspec.field(default_factory=Histogram)
    provider: Histogram = msgspec.field(default_factory=Histogram)
    denied: dict[str, int] = {}  # by status
    turned_away: int = 0
    journal_refusals: int = 0
    budget_refusals: int = 0
    guard_refusals: int = 0
    budget_open: int = 0  # sent although budgets could not be asked
    journal_waiting: int = 0
    under_way: int = 0
    connections: int = 0
    upstream_connections: int = 0

    def add_all(self, other: "Metrics") -> None:
        """Add another worker's."""
        for name in ("calls", "cost_nano", "unknown", "tokens", "denied"):
            own, theirs = getattr(self, name), getattr(other, name)
            for key, count in theirs.items():
                own[key] = own.get(key, 0) + count
        self.added.add_all(other.added)
        self.provider.add_all(other.provider)
        for name in (
            "turned_away",
            "journal_refusals",
            "budget_refusals",
            "guard_refusals",
            "budget_open",
            "journal_waiting",
            "under_way",
            "connections",
            "upstream_connections",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def text(self) -> str:
        """All of them, as Prometheus reads them."""
        lines: list[str] = []
        calls = {
            f'provider="{_safe(provider)}",endpoint="{_safe(endpoint)}",status="{status}"': count
            for (provider, endpoint, status), count in (
                (key.split("\t"), count) for key, count in self.calls.items()
            )
        }
        _counter(lines, "flatfare_calls_total", "Calls by provider, endpoint and status.", calls)
        _counter(
            lines,
            "flatfare_cost_dollars_total",
            "Known cost of calls.",
            {f'provider="{_safe(key)}"': decimal_text(nano) for key, nano in self.cost_nano.items()},
        )
        _counter(
            lines,
            "flatfare_unknown_cost_calls_total",
            "Calls whose cost is unknown.",
            {f'provider="{_safe(key)}"': count for key, count in self.unknown.items()},
        )
        tokens = {
            f'provider="{_safe(provider)}",unit="{unit}"': count
            for (provider, unit), count in ((key.split("\t"), count) for key, count in self.tokens.items())
        }
        _counter(lines, "flatfare_usage_total", "What was used, by unit.", tokens)
        denied = {f'status="{status}"': count for status, count in self.denied.items()}
        _counter(lines, "flatfare_denied_total", "Requests that the gateway refused.", denied)
        for field, (name, text) in _ALONE.items():
            _counter(lines, f"flatfare_{name}_total", text, {"": getattr(self, field)})
        _histogram(lines, "flatfare_added_seconds", "Time that the gateway added to a call.", self.added)
        _histogram(lines, "flatfare_provider_seconds", "Time that the provider took.", self.provider)
        for name, text in _GAUGES.items():
            lines += [f"# HELP flatfare_{name} {text}", f"# TYPE flatfare_{name} gauge"]
            lines.append(f"flatfare_{name} {getattr(self, name)}")
        return "\n".join(lines) + "\n"


class SharedFigures:
    """The figures of all workers: each writes its own into a folder now and then, and reads the others'."""

    def __init__(self, folder: Path | None, number: int) -> None:
        self._folder = folder  # None where there is one worker
        self._number = number

    def write(self, own: Metrics) -> None:
        """Let the others see these."""
        if self._folder is not None:
            file = self._folder / f"{self._number}.new"
            file.write_bytes(msgspec.json.encode(own))
            file.rename(self._folder / f"{self._number}.json")

    def with_others(self, own: Metrics) -> Metrics:
        """Own figures and what the others last wrote of theirs."""
        sums = msgspec.json.decode(msgspec.json.encode(own), type=Metrics)
        if self._folder is not None:
            for file in self._folder.glob("*.json"):
                if file.stem != str(self._number):
                    sums.add_all(msgspec.json.decode(file.read_bytes(), type=Metrics))
        return sums


_ALONE = {
    "turned_away": ("connections_refused", "Connections beyond the limit."),
    "journal_refusals": ("journal_refusals", "Calls refused since the journal failed."),
    "budget_refusals": ("budget_refusals", "Calls that a budget did not allow."),
    "guard_refusals": ("guard_refusals", "Calls that a guard stopped."),
    "budget_open": ("budget_unasked", "Calls sent with budgets unasked."),
}
"""Counts without a label: the name and the meaning of each."""

_GAUGES = {
    "under_way": "Calls under way.",
    "journal_waiting": "Records that wait to be written.",
    "connections": "Connections of clients.",
    "upstream_connections": "Connections to providers.",
}


def _counter(lines: list[str], name: str, text: str, values: Mapping[str, int | str]) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} counter"]
    lines += [
        f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()
    ]


def _histogram(lines: list[str], name: str, text: str, histogram: Histogram) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
    running = 0
    for bound, count in zip((*BUCKETS_S, "+Inf"), histogram.counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{le="{bound}"}} {running}')
    lines += [f"{name}_sum {histogram.total:.6f}", f"{name}_count {running}"]


def _safe(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "._-:/" else "_" for sign in text)
