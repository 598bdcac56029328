"""What calls ask of the book while they are under way: whose things are, and what batches are.

The book is asked in a thread of its own: other calls go on. What cannot be seen lets nothing pass.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

from flatfare.core.errors import StoreFailure
from flatfare.gateway.admission import Admitted
from flatfare.gateway.batching.answers import Source, Writer
from flatfare.gateway.batching.known import Known, counted, keep, looked_up, of_single_tasks
from flatfare.gateway.batching.steps import Step
from flatfare.gateway.ownership import NAMED_MAX, Owners, made_in
from flatfare.gateway.reserving.claims import BudgetList
from flatfare.gateway.wire import Request
from flatfare.prices.book import PriceBook
from flatfare.service.budgets.bounding import Bounds
from flatfare.store.book import Book, open_book

OWNER_TRIES, OWNER_RETRY_S = 20, 0.05
_log = logging.getLogger("flatfare.gateway")

Problem = tuple[int, str]
"""Status and reason why a call may not go."""

OnOwned = Callable[[Problem | None], None]
OnBatch = Callable[[Known, Problem | None], None]


class LookUps:
    """The book as calls ask it."""

    def __init__(self, book: Book, thread: ThreadPoolExecutor, budgets: BudgetList) -> None:
        self._book = book
        self._thread = thread
        self._budgets = budgets
        self._owners = Owners(book, thread)
        self._asking: set[asyncio.Task[None]] = set()

    @classmethod
    async def opened(cls, database: str, budgets: BudgetList) -> "LookUps":
        """Open the book in a thread for them alone."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="look-ups")
        book = await asyncio.get_running_loop().run_in_executor(thread, open_book, database)
        return cls(book, thread, budgets)

    def close(self) -> None:
        """Close the book once what was asked is answered."""
        self._thread.submit(self._book.close)
        self._thread.shutdown()

    def _ask(self, question: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(question)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    # whose things are

    def ask_owners(self, admitted: Admitted, then: OnOwned) -> None:
        """Tell whether the things that a call names are its key's."""
        assert admitted.key is not None
        if self._owners.all_known(admitted.place.upstream.name, admitted.things, admitted.key.id):
            then(None)
        else:
            self._ask(self._tell_owners(admitted, admitted.key.id, then))

    async def _tell_owners(self, admitted: Admitted, key_id: str, then: OnOwned) -> None:
        """What is not known is asked for again, for a second: another worker may be keeping it just now."""
        owners, provider, things = self._owners, admitted.place.upstream.name, admitted.things
        if len(things) > NAMED_MAX:
            then((400, f"Found {len(things)} files and the like in one request: at most {NAMED_MAX}."))
            return
        for _ in range(OWNER_TRIES):
            try:
                owners.learn(provider, await asyncio.wrap_future(owners.ask(provider, things)))
            except StoreFailure as problem:
                then((503, f"Whose the things are that the request names cannot be seen: {problem}"))
                return
            if owners.all_known(provider, things, key_id):
                then(None)
                return
            if owners.is_anothers(provider, things, key_id):
                break
            if not admitted.refuses_unknown:
                then(None)
                return
            await asyncio.sleep(OWNER_RETRY_S)
        then((404, "The request names a file, batch, answer or the like that this key has not made here."))

    def keep_owner(self, admitted: Admitted, beginning: bytes) -> "asyncio.Future[None] | None":
        """Keep what an answer says was made; what to wait for, if anything.

        Answers that a provider keeps are many, and not waited for.
        """
        things = made_in(beginning)
        if admitted.key is None or not things:
            return None
        now_us = time.time_ns() // 1000
        kept = self._owners.add(admitted.place.upstream.name, things, admitted.key.id, now_us)
        waited = asyncio.wrap_future(kept)
        waited.add_done_callback(_note_unkept)
        return None if admitted.place.endpoint.startswith("responses") else waited

    # what batches are

    def learn_batch(self, admitted: Admitted, request: Request, prices: PriceBook, then: OnBatch) -> None:
        """Tell what is known of the batch that a call is about."""
        self._ask(self._tell_batch(admitted, request, Bounds(prices), then))

    async def _tell_batch(self, admitted: Admitted, request: Request, bounds: Bounds, then: OnBatch) -> None:
        """Large files are counted in a thread: other calls go on."""
        at_us = time.time_ns() // 1000
        try:
            known = await asyncio.to_thread(counted, admitted, request, bounds, at_us)
            if known is None:
                lookup = self._thread.submit(looked_up, self._book, admitted, request)
                known = await asyncio.wrap_future(lookup)
        except StoreFailure as problem:
            then(Known(), (503, f"What the batch is cannot be seen: {problem}"))
            return
        except Exception:  # noqa: BLE001 - an outermost door: a client waits for its answer
            _log.exception("A batch could not be looked at.")
            then(Known(), (500, "The gateway failed; its log says how."))
            return
        budget = of_single_tasks(known, self._budgets.held) if admitted.batch is Step.MAKE else None
        if budget is None:
            then(known, None)
            return
        said = f"The hard budget {budget.name!r} is of single tasks, and cannot be held for those of a batch"
        then(known, (400, f"{said}: send its requests one by one."))

    def answers_of(self, admitted: Admitted, known: Known, at_us: int) -> Writer:
        """Makes the records of a batch's answers."""
        upstream = admitted.place.upstream
        source = Source(
            *(upstream.name, upstream.priced_as, known.thing_id, known.batch),
            *(admitted.key, admitted.attribution, at_us),
        )
        return Writer(source, self._budgets)

    def keep_batch(
        self, admitted: Admitted, known: Known, beginning: bytes, call: tuple[str, int], body: bytes
    ) -> "asyncio.Future[None]":
        """Keep what an answer says of a batch; what to wait for."""
        kept = self._thread.submit(keep, self._book, admitted, known, beginning, call, body)
        waited = asyncio.wrap_future(kept)
        waited.add_done_callback(_note_unkept)
        return waited


def _note_unkept(kept: "asyncio.Future[None]") -> None:
    if not kept.cancelled() and kept.exception() is not None:
        _log.warning("Whose a thing is could not be kept: %s", kept.exception())
