"""When something fails: what then happens to a call, in one table that the code asks and the guide prints.

A call that no hard budget concerns goes on wherever it can be kept; one under a hard budget goes
only where what it costs at most is held. Each exception is a choice that somebody made and named.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Then:
    """What happens to a call: it goes on (no status), or is refused, unless chosen otherwise."""

    said: str
    status: int | None = None
    unless: str | None = None  # the value of the setting by which it goes on all the same

    def refuses(self, chosen: str | None = None) -> int | None:
        """The status that it is refused with; None where it goes on."""
        return None if chosen is not None and chosen == self.unless else self.status


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that fails: what happens without a hard budget, and under one."""

    what: str
    without: Then
    under: Then

    def then(self, *, is_hard: bool) -> Then:
        """What happens to a call."""
        return self.under if is_hard else self.without


UNPRICED = Failure(
    "usage cannot be read, or no price",
    Then("goes through, recorded `unknown` with the reason; unknown is never zero"),
    Then(
        "refused before sending (429) if what it costs at most is not known, or sent with "
        "`--unpriced allow`; afterwards, charged what was held for it until its cost is known",
        429,
        unless="allow",
    ),
)
JOURNAL = Failure(
    "the journal cannot be written (disk full)",
    Then(
        "503, nothing is sent. `on_journal_failure: forward` lets calls through and says at every start and "
        "in `/readyz` that they may be lost",
        503,
        unless="forward",
    ),
    Then("503, nothing is sent, whatever `on_journal_failure` says", 503),
)
BOOK = Failure(
    "the book, or the store that nodes share, is away or locked",
    Then("goes through from the journal, booked when it is back"),
    Then(
        "served from what is leased already; past that refused (503), or with `--fail open` sent and counted "
        "(`flatfare_budget_unasked_total`)",
        503,
        unless="open",
    ),
)
PROVIDER = Failure(
    "the provider fails",
    Then("its error, byte for byte. It costs nothing, and is a row"),
    Then("the same; what was held is released"),
)
TABLE = (UNPRICED, JOURNAL, BOOK, PROVIDER)


def as_markdown() -> str:
    """The table as the guide has it."""
    rows = [f"| {one.what} | {one.without.said} | {one.under.said} |" for one in TABLE]
    head = "| what fails | call without a hard budget | call under a hard budget |"
    return "\n".join([head, "|---|---|---|", *rows])
