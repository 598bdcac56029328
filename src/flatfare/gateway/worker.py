"""One worker of the gateway: its listeners, journal, keys, prices and the calls under way.

A call that has been taken in is finished, also when the worker is asked to stop or its
settings change: what began under old settings ends under them.
"""

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

from flatfare.config import Settings
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.core.identity import time_ordered
from flatfare.gateway.admission import Admitted, Denied, admit
from flatfare.gateway.attribution import Attribution
from flatfare.gateway.folders import journal_folder
from flatfare.gateway.forwarding.call import Call
from flatfare.gateway.forwarding.home import UnderWay
from flatfare.gateway.guarding.shaping import shape
from flatfare.gateway.guarding.shares import Shares
from flatfare.gateway.guarding.watching import GuardList
from flatfare.gateway.journal import Journal
from flatfare.gateway.keyring import REFRESH_S, KeyRing
from flatfare.gateway.limiter import Limiter, SharedCounts
from flatfare.gateway.listener import ClientConnection, Served
from flatfare.gateway.logs import log_call
from flatfare.gateway.looking_up import LookUps
from flatfare.gateway.metrics import Metrics, SharedFigures
from flatfare.gateway.newcomers import Newcomer, Newcomers
from flatfare.gateway.operation import answer_of_operation
from flatfare.gateway.prices_said import PricesSaid
from flatfare.gateway.reaching import Reach, reach_of
from flatfare.gateway.records import Ended, Intent, Priced, Result
from flatfare.gateway.refusals import refusal
from flatfare.gateway.reserving.claims import BudgetList, Claim, whose_is
from flatfare.gateway.reserving.reserver import Reserver
from flatfare.gateway.reserving.tiers import DefaultTiers
from flatfare.gateway.reserving.treasurer import socket_path
from flatfare.gateway.reserving.worth import Worth, worth_of
from flatfare.gateway.routes import Routes
from flatfare.gateway.sessions import Session
from flatfare.gateway.tap import nothing
from flatfare.gateway.texts import TextKeeper
from flatfare.gateway.wire import Request, as_asked
from flatfare.service.budgets.bounding import Bounds
from flatfare.store.book import open_book

SWEEP_S = 0.25
EXPIRY_ROUNDS = 240
"""Texts that have expired are erased within a minute."""

_log = logging.getLogger("flatfare.gateway")


class Elsewhere(Protocol):
    """Serves what is not the gateway's: pages and API of other parts."""

    def __call__(self, request: Request, client: ClientConnection) -> Served | None:
        """Begin to serve a request."""

    def close(self) -> None:
        """Serve nothing any more."""


class Worker:
    """What one process of the gateway holds. Make it inside its running event loop, after forking."""

    def __init__(
        self,
        settings: Settings,
        *,
        is_loopback: bool,
        counts: SharedCounts,
        number: int = 0,
        elsewhere: Elsewhere | None = None,
        figures: Path | None = None,
    ) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.is_loopback = is_loopback
        self.number = number
        self.loop = asyncio.get_running_loop()
        self.is_ending = False
        self.connections: set[ClientConnection] = set()
        self.calls: set[UnderWay] = set()
        self.metrics = Metrics()
        self.limiter = Limiter(counts, number)
        self._randomness = b""
        self._randomness_used = 0
        self._elsewhere = elsewhere
        self._figures = SharedFigures(figures, number)
        self._book_thread = ThreadPoolExecutor(1, thread_name_prefix="book")
        self.texts = TextKeeper(settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._servers: list[asyncio.AbstractServer] = []
        self._retired: list[Reach] = []
        self._prices_said = PricesSaid(self._write_prices)
        self.prices = self._prices_said.open_book(settings)
        self.bounds = Bounds(self.prices)
        self.tiers = DefaultTiers()
        self.routes = Routes(settings)
        self.reaches = _reaches(self.routes, settings)
        self.keyring_failure: StoreFailure | None = None
        self.newcomers = Newcomers(self._look_at_book)

    async def open(self) -> None:
        """Open the book and the journal, and begin to watch."""
        self._book = await self.loop.run_in_executor(self._book_thread, open_book, self.settings.database)
        self.keyring = await self.loop.run_in_executor(self._book_thread, KeyRing, self._book)
        self.journal = Journal(journal_folder(self.settings), sync=self.settings.journal_sync)
        self.budgets = await self.loop.run_in_executor(self._book_thread, BudgetList, self._book)
        self.look_ups = await LookUps.opened(self.settings.database, self.budgets)
        self.guards = await self.loop.run_in_executor(self._book_thread, GuardList, self._book)
        self.shares = Shares(self._book)
        await self.loop.run_in_executor(self._book_thread, self._refresh_shares)
        treasurer = socket_path(journal_folder(self.settings))
        self.reserver = Reserver(treasurer, self.journal.worker_id)
        self._tasks = [self.loop.create_task(self._watch_keys()), self.loop.create_task(self._sweep())]

    async def listen(self, sock: "object") -> None:
        """Take connections from a socket that is bound and listens."""
        server = await self.loop.create_server(lambda: ClientConnection(self), sock=sock)  # type: ignore[call-overload]
        self._servers.append(server)

    def turned_away(self) -> None:
        """A connection beyond the limit was refused."""
        self.metrics.turned_away += 1

    def serve(self, request: Request, client: ClientConnection, was_looked_up: bool = False) -> Served | None:
        """Begin to serve a request; its key is looked up in the book once, where it is not known."""
        try:
            return self._serve(request, client, was_looked_up)
        except Exception:  # noqa: BLE001 - the outermost door: one request's bug must not end the worker
            _log.exception("A request could not be served.")
            client.write(refusal("openai", 500, "The gateway failed; its log says how."))
            client.finished(False)
            return None

    def _serve(self, request: Request, client: ClientConnection, was_looked_up: bool) -> Served | None:
        if not self.routes.is_mounted(request.target):
            return self._serve_own(request, client)
        if len(self.calls) >= self.limits.calls:
            self.metrics.denied["503"] = self.metrics.denied.get("503", 0) + 1
            client.write(
                refusal("openai", 503, f"{len(self.calls)} calls are under way, the limit.", None, 1)
            )
            client.finished(request.keep_alive)
            return None
        admitted = admit(self, request)
        if isinstance(admitted, Denied):
            if admitted.may_be_new and not was_looked_up:
                return Newcomer(self.newcomers, self.serve, request, client)
            self._deny(admitted, request, client)
            return None
        if self.guards.shaping and (denied := self._shape(admitted, request)) is not None:
            self._deny(denied, request, client)
            return None
        kind = Session if admitted.is_session else Call
        call = kind(self, client, request, admitted)
        self.calls.add(call)
        try:
            call.start()
        except BaseException:
            self.ended(call, admitted, 0)
            raise
        return call

    def _shape(self, admitted: Admitted, request: Request) -> Denied | None:
        """Have guards look at what a request asks for; why it is refused, where they cannot."""
        whose = whose_is(admitted.key, admitted.attribution)
        claim = self.budgets.claim(whose, time.time_ns() // 1000) if len(self.budgets) else None
        reason: str | None = "A guard could not look at this request: the gateway's log says why."
        try:
            reason = shape(self.guards.shaping, admitted, request, whose, self.shares, claim)
        except Exception:  # noqa: BLE001 - an outermost door: what a guard cannot look at does not pass it
            _log.exception("A request could not be looked at.")
        if reason is None:
            return None
        if admitted.key is not None:
            self.limiter.ended(admitted.key, 0)
        place, upstream = admitted.place, admitted.place.upstream
        return Denied(
            400,
            reason,
            upstream.dialect.provider,
            None,
            upstream,
            place.endpoint,
            admitted.key,
            admitted.asked,
            admitted.attribution,
            True,
        )

    def _serve_own(self, request: Request, client: ClientConnection) -> Served | None:
        path = request.target.partition(b"?")[0]
        answer = answer_of_operation(self, path, request)
        if answer is None and self._elsewhere is not None:
            return self._elsewhere(request, client)
        if answer is None:
            reason = f"{request.method} {path[:200].decode('latin-1')} is not served here."
            answer = refusal("openai", 404, reason)
        client.write(as_asked(answer, request))
        client.finished(request.keep_alive)
        return None

    def _deny(self, denied: Denied, request: Request, client: ClientConnection) -> None:
        status = str(denied.status)
        self.metrics.denied[status] = self.metrics.denied.get(status, 0) + 1
        call_id = self._record_denied(denied) if denied.is_recorded else None
        refused = refusal(denied.dialect, denied.status, denied.reason, call_id, denied.retry_after_s)
        client.write(as_asked(refused, request))
        client.finished(request.keep_alive)

    def _record_denied(self, denied: Denied) -> str | None:
        """A refused call is a row of cost 0; nobody waits for it."""
        assert denied.upstream is not None
        at_us = time.time_ns() // 1000
        call_id = self.new_id(at_us)
        asked, whose = denied.asked, denied.attribution or Attribution()
        intent = Intent(
            call_id,
            at_us,
            denied.upstream.priced_as,
            denied.endpoint,
            None if asked is None else asked.model,
            key_id=None if denied.key is None else denied.key.id,
            labels=whose.labels,
            task_id=whose.task_id,
            attempt_id=whose.attempt_id,
            session=whose.session,
            purpose=whose.purpose,
        )
        figures = nothing(f"refused: {denied.reason[:300]}")
        try:
            result = Result(call_id, at_us, figures, "refused", denied.status, None)
            self.journal.write(Ended(intent, result))
            if self.settings.log == "calls":
                log_call(denied.upstream.name, denied.endpoint, intent.key_id, result)
        except (StoreFailure, BadInput) as problem:
            _log.warning("A refused call could not be kept: %s", problem, extra={"call": call_id})
        return call_id

    # for calls

    def new_id(self, at_us: int) -> str:
        """An id for a call, that sorts by its moment; randomness is fetched for many at a time."""
        at = self._randomness_used
        if at + 10 > len(self._randomness):
            self._randomness, at = os.urandom(4000), 0
        self._randomness_used = at + 10
        return str(time_ordered(at_us, self._randomness[at : at + 10]))

    def worth_of(self, admitted: Admitted, request: Request, at_us: int) -> Worth:
        """The budgets that a call falls under, and what it costs at most."""
        return worth_of(self.budgets, self.bounds, self.tiers, admitted, request, at_us)

    def counted(self, worth: Worth, admitted: Admitted, at_us: int) -> Worth:
        """The same, with what it reads counted token by token, where it did not fit by its bytes."""
        return worth.counted(self.bounds, admitted, at_us)

    def tried_again(self, call: UnderWay, again: UnderWay) -> None:
        """A request goes on as another call."""
        self.calls.discard(call)
        self.calls.add(again)

    def ended(self, call: UnderWay, admitted: Admitted, tokens: int) -> None:
        """A request is over: what it used counts against its key's limits."""
        self.calls.discard(call)
        if admitted.key is not None:
            self.limiter.ended(admitted.key, tokens)

    def count(self, admitted: Admitted, result: Result) -> None:
        """Take a result into the figures."""
        metrics, figures = self.metrics, result.figures
        provider = admitted.place.upstream.name
        name = f"{provider}\t{admitted.place.endpoint}\t{result.status}"
        metrics.calls[name] = metrics.calls.get(name, 0) + 1
        if figures.cost_nano is None:
            metrics.unknown[provider] = metrics.unknown.get(provider, 0) + 1
        else:
            metrics.cost_nano[provider] = metrics.cost_nano.get(provider, 0) + figures.cost_nano
        for unit, amount in figures.usage.items():
            if isinstance(amount, int):
                counted = f"{provider}\t{unit}"
                metrics.tokens[counted] = metrics.tokens.get(counted, 0) + amount
        if self.settings.log == "calls":
            log_call(provider, admitted.place.endpoint, admitted.key_id, result)

    def note_problem(self, call_id: str, problem: str) -> None:
        """A call did not go as it should."""
        _log.warning("%s", problem, extra={"call": call_id})

    def claim_of(self, admitted: Admitted, at_us: int) -> Claim | None:
        """The budgets that a call falls under."""
        return self.budgets.claim_of(admitted.key, admitted.attribution, at_us) if len(self.budgets) else None

    # from time to time

    async def _watch_keys(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._look_at_book()

    async def _look_at_book(self) -> None:
        """Take in keys that are new or changed, with what limits them."""
        try:
            refresh = partial(self.keyring.refresh, before=self._refresh_limits)
            await self.loop.run_in_executor(self._book_thread, refresh)
            self.keyring_failure = None
        except StoreFailure as problem:
            self.keyring_failure = problem

    def _refresh_limits(self) -> None:
        self.budgets.refresh()
        self.guards.refresh()
        self._refresh_shares()

    def _refresh_shares(self) -> None:
        self.shares.refresh(self.budgets.held, self.guards.held, time.time_ns() // 1000)

    async def _sweep(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            rounds += 1
            now = time.monotonic()
            for call in list(self.calls):
                call.check(now)
            for connection in list(self.connections):
                connection.check(now)
            for reach in (*self.reaches.values(), *self._retired):
                reach.pool.close_rested(now)
            if rounds % 4 == 0:
                self._write_figures()
            self._prices_said.say()
            if self.number == 0 and rounds % EXPIRY_ROUNDS == 1:
                self.texts.expire()

    # settings and end

    def take_settings(self, settings: Settings) -> None:
        """Take new settings for the calls to come; where they are wrong (``BadInput``) the old ones stay."""
        routes = Routes(settings)
        reaches = _reaches(routes, settings)
        prices = self._prices_said.open_book(settings)
        self._retired = [*self._retired[-8:], *self.reaches.values()]
        self.settings, self.limits = settings, settings.limits
        self.routes, self.reaches, self.prices = routes, reaches, prices
        self.bounds = Bounds(prices)

    def _write_prices(self, said: Priced) -> None:
        self.journal.write(said)

    async def stop(self) -> None:
        """Take no more, finish what is under way within a bound, and close the journal."""
        self.is_ending = True
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            if not connection.is_busy:
                connection.close()
        deadline = time.monotonic() + self.settings.timeouts.stop
        while self.calls and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for call in list(self.calls):
            call.break_off()
        while self.calls and time.monotonic() < deadline + 2:
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        for reach in (*self.reaches.values(), *self._retired):
            reach.pool.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
        for connection in list(self.connections):
            connection.close()
        self.reserver.close()
        await self.journal.close()
        self._write_figures()
        await self.loop.run_in_executor(None, self.texts.close)
        self._book_thread.submit(self._book.close)
        self._book_thread.shutdown()
        self.look_ups.close()

    # figures of all workers

    def _own_metrics(self) -> Metrics:
        metrics = self.metrics
        metrics.journal_waiting = self.journal.waiting
        metrics.under_way = len(self.calls)
        metrics.connections = len(self.connections)
        metrics.upstream_connections = sum(reach.pool.connections for reach in self.reaches.values())
        return metrics

    def _write_figures(self) -> None:
        self._figures.write(self._own_metrics())

    def all_metrics(self) -> Metrics:
        """Own figures and what the other workers last wrote of theirs."""
        return self._figures.with_others(self._own_metrics())


def _reaches(routes: Routes, settings: Settings) -> dict[str, Reach]:
    return {name: reach_of(upstream, settings) for name, upstream in routes.upstreams.items()}
