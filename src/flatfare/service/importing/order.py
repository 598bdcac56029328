"""What a person asks of an import, and what comes of it.

All that can change how a row reads stands in the order, so that the same file under
the same order is known again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from flatfare.core.definition import REVIEWS, RUNS
from flatfare.core.errors import BadInput

LINE_BYTES_MAX = 16 << 20
"""No record is longer; what is would only be held in memory to be refused."""


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """So many of the book's currency for one of another, on a day."""

    rate: Decimal
    day: str

    def __str__(self) -> str:
        return f"{self.rate} on {self.day}"


@dataclass(frozen=True, slots=True)
class Order:
    """One import as it was asked for."""

    kind: str  # calls, tasks, verdicts, leaderboard, or a tool whose results these are
    source: str = "import"
    maps: Mapping[str, str] = field(default_factory=dict)  # ours → theirs, as given
    fixed: Mapping[str, str] = field(default_factory=dict)  # ours → one value for every row
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # ours → their word → our word
    ignored: tuple[str, ...] = ()  # columns to leave out
    pass_at: Decimal | None = None  # a score from here on is a pass
    at_us: int | None = None  # the moment of rows that name none
    verifier: str | None = None
    verifier_kind: str | None = None  # code, model, human, customer, signal: where no column says so
    encoding: str | None = None
    time_format: str | None = None  # how times are written that the core does not read, as strptime has it
    rework_nano_per_hour: int | None = None
    exchange: Mapping[str, ExchangeRate] = field(default_factory=dict)  # currency → rate
    zero_is_free: bool = False
    keep_unknown: bool = False
    decimal_comma: bool | None = None
    update: bool = False
    is_at_now: bool = False  # no row names a time and nobody gave one: the moment of the import stands in
    choices: Mapping[str, str] = field(default_factory=dict)  # what one tool's results alone ask
    url: str | None = None
    licence: str | None = None
    line_bytes_max: int = LINE_BYTES_MAX

    def __post_init__(self) -> None:
        if self.kind != "calls" and self.source in (REVIEWS, RUNS):
            raise BadInput(
                f"Found the source {self.source!r}: it says that a verdict came from the review queue or "
                "from a run, and no file is one. Choose another --source."
            )

    def settings(self) -> str:
        """All that changes how a row reads, as canonical JSON."""
        said = {
            "maps": dict(self.maps),
            "fixed": dict(self.fixed),
            "values": {ours: dict(words) for ours, words in self.values.items()},
            "ignored": sorted(self.ignored),
            "pass_at": str(self.pass_at) if self.pass_at is not None else None,
            "at_us": self.at_us,
            "verifier": self.verifier,
            "verifier_kind": self.verifier_kind,
            "encoding": self.encoding,
            "time_format": self.time_format,
            "rework_nano_per_hour": self.rework_nano_per_hour,
            "exchange": {currency: str(rate) for currency, rate in self.exchange.items()},
            "zero_is_free": self.zero_is_free,
            "keep_unknown": self.keep_unknown,
            "decimal_comma": self.decimal_comma,
            "choices": dict(self.choices),
        }
        return json.dumps({key: value for key, value in said.items() if value}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of one file."""

    file: str
    kind: str
    read: int = 0
    new: int = 0
    updated: int = 0
    known: int = 0
    rejected: int = 0
    already_at_us: int | None = None  # it was imported then, under the same order: nothing to do
    rejects_file: str | None = None
    first_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    more: Mapping[str, int] = field(default_factory=dict)  # counts of what came with it, such as verdicts
