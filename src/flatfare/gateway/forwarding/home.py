"""What a call needs of the worker it belongs to."""

import asyncio
from typing import Protocol

from flatfare.config import Settings
from flatfare.gateway.admission import Admitted
from flatfare.gateway.guarding.shares import Shares
from flatfare.gateway.guarding.watching import GuardList
from flatfare.gateway.journal import Journal
from flatfare.gateway.looking_up import LookUps
from flatfare.gateway.metrics import Metrics
from flatfare.gateway.records import Result
from flatfare.gateway.reserving.claims import Claim
from flatfare.gateway.reserving.reserver import Reserver
from flatfare.gateway.reserving.tiers import DefaultTiers
from flatfare.gateway.reserving.worth import Worth
from flatfare.gateway.texts import TextKeeper
from flatfare.gateway.wire import Request
from flatfare.prices.book import PriceBook


class UnderWay(Protocol):
    """A call that has begun and not ended, as its worker sees it."""

    def check(self, now: float) -> None:
        """End what has taken too long; called every so often."""

    def break_off(self) -> None:
        """The worker ends and waits no longer."""


class Home(Protocol):
    """What a call needs of the worker it belongs to."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    journal: Journal
    prices: PriceBook
    metrics: Metrics
    is_ending: bool
    reserver: Reserver
    tiers: DefaultTiers
    guards: GuardList
    shares: Shares
    look_ups: LookUps
    texts: TextKeeper

    def new_id(self, at_us: int) -> str:
        """An id for a call, that sorts by its moment."""

    def tried_again(self, call: UnderWay, again: UnderWay) -> None:
        """A request goes on as another call."""

    def ended(self, call: UnderWay, admitted: Admitted, tokens: int) -> None:
        """A request is over: what it used counts against its key's limits."""

    def count(self, admitted: Admitted, result: Result) -> None:
        """Take a result into the figures."""

    def note_problem(self, call_id: str, problem: str) -> None:
        """A call did not go as it should."""

    def worth_of(self, admitted: Admitted, request: Request, at_us: int) -> Worth:
        """The budgets that a call falls under, and what it costs at most."""

    def counted(self, worth: Worth, admitted: Admitted, at_us: int) -> Worth:
        """The same, with what it reads counted token by token, where it did not fit by its bytes."""

    def claim_of(self, admitted: Admitted, at_us: int) -> Claim | None:
        """The budgets that a call falls under."""
