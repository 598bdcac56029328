"""Taking answers in: a batch is looked at until it has ended, and who waits for an answer has it.

Each with the cost that it was booked with, as far as that is known by then.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from flatfare.core.action import Ending
from flatfare.core.identity import within
from flatfare.runner.batching import shelving
from flatfare.runner.batching.asking import Reply, unanswered
from flatfare.runner.batching.talking import GONE
from flatfare.runner.batching.under_way import Means, Under
from flatfare.runner.batching.wires import Looked

BOOKED_S = 15.0
"""How long the booking of answers is waited for; what is not booked by then has its cost told later."""


class Fetcher:
    """Follows batches to their end."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def follow(self, under: Under) -> None:
        """Wait until a batch has ended, and give its answers to those who wait for them."""
        looked = await self._ended(under)
        if looked is None:
            under.reply_all(unanswered(Ending.ERROR, "The provider does not know the batch any more."))
            return
        while under.waiting:
            await self._quiet(under)
            asked = list(under.waiting)
            if not await self._fetched(under, looked):
                await asyncio.sleep(self._means.pace.retry_s)
                continue
            if not under.sent.is_over:
                self._means.log.step(under.sent.id, is_over=True)
            for name in asked:  # not those who began to wait while it was fetched
                under.reply(name, looked.otherwise)

    async def fetch_unasked(self, under: Under) -> bool:
        """Fetch answers that nobody waits for any more; whether nothing of it is left to fetch later."""
        sent = under.sent
        path = f"{sent.base}{under.wire.looks_at(str(sent.batch_id))}"
        status, document = await self._means.talk.get(path, under.wire)
        looked = None if document is None else under.wire.looked(document, len(sent.lines))
        if looked is not None and looked.is_over and await self._fetched(under, looked):
            self._means.log.step(sent.id, is_over=True)
            return True
        return status in GONE

    async def _ended(self, under: Under) -> Looked | None:
        """What its provider says of it at its end; None where that is not known any more."""
        means, wire, sent, told = self._means, under.wire, under.sent, -1
        pause = means.pace.first_s
        path = f"{sent.base}{wire.looks_at(str(sent.batch_id))}"
        while True:
            status, document = await means.talk.get(path, wire)
            if status in GONE:
                return None
            if document is None:
                means.say(f"batch {under.number} cannot be looked at now ({status or 'no answer'})")
            else:
                looked = wire.looked(document, len(sent.lines))
                if looked.done != told:
                    told = looked.done
                    means.say(f"batch {under.number}: {told:,} of {len(sent.lines):,} done")
                if looked.is_over:
                    return looked
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, means.pace.longest_s)

    async def _quiet(self, under: Under) -> None:
        """Until nobody more asks for an answer: then one fetching serves them all."""
        if not under.asked_at:
            return
        while (left := under.asked_at + self._means.pace.linger_s - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _fetched(self, under: Under, looked: Looked) -> bool:
        """Fetch what was answered, and hand it out; whether all of it came."""
        import httpx2

        for path in looked.outputs:
            try:
                async with self._means.talk.lines(under.sent.base + path, under.wire) as (status, chunks):
                    if status in GONE:
                        continue
                    if status != 200:
                        return False
                    async for lines in chunks:
                        await self._hand_out(under, lines)
            except httpx2.HTTPError:
                return False
        return True

    async def _hand_out(self, under: Under, lines: list[bytes]) -> None:
        """Give replies to those who wait for them, each with what it was booked with."""
        replies: dict[str, Reply] = {}
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):
                read = under.wire.read(line)
                if read is not None and read[0] in under.waiting:
                    replies[read[0]] = read[1]
        call_id = under.sent.call_id
        ids = {} if call_id is None else {name: str(within(call_id, name)) for name in replies}
        costs = await self._costs(list(ids.values()), under.sent.at_us)
        for name, reply in replies.items():
            own_id = ids.get(name)
            cost_nano = None if own_id is None else costs.get(own_id)
            under.reply(name, replace(reply, call_id=own_id, cost_nano=cost_nano))

    async def _costs(self, call_ids: list[str], sent_at_us: int) -> Mapping[str, int | None]:
        until = time.monotonic() + BOOKED_S
        found: dict[str, int | None] = {}
        while call_ids:
            await self._means.book_calls()
            found |= await self._means.books.do(shelving.costs_of, call_ids, sent_at_us)
            call_ids = [one for one in call_ids if one not in found]
            if not call_ids or time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        return found
