"""Where questions wait for their batch: gathered, sent once, looked at, and each given its reply.

A batch is sent when nothing more has come for a while, or when it is full. What was sent is on
record before it goes, so that a question that is asked again after a stop gets the answer that
was paid for.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flatfare.core.action import Ending
from flatfare.core.batch_names import OWN_LENGTH, request_name
from flatfare.core.identity import time_ordered
from flatfare.runner.batching import shelving
from flatfare.runner.batching.asking import Question, Reply, unanswered
from flatfare.runner.batching.fetching import Fetcher
from flatfare.runner.batching.finding import Finder
from flatfare.runner.batching.log import BatchLog, Line, Sent
from flatfare.runner.batching.sending import send
from flatfare.runner.batching.talking import Talk
from flatfare.runner.batching.under_way import Means, Pace, Under
from flatfare.runner.batching.wires import wire_of
from flatfare.runner.books import Books
from flatfare.runner.gate import Gate
from flatfare.service import clock

if TYPE_CHECKING:
    import httpx2

_FRAME_BYTES = 256  # around each request
_MARGIN_BYTES = 1 << 20
_KEY_TAKES_S = 0.7


@dataclass(slots=True)
class _Open:
    """A batch that questions still come into."""

    under: Under
    questions: dict[str, Question] = field(default_factory=dict)
    size_bytes: int = 0
    timer: asyncio.TimerHandle | None = None


class Desk:
    """Takes questions and gives replies. Open it in the event loop that asks."""

    def __init__(
        self, gate: Gate, books: Books, log: BatchLog, say: Callable[[str], None], pace: Pace | None = None
    ) -> None:
        own_pace = pace or Pace()
        self._talk = Talk(gate, own_pace.retry_s)
        self._means = Means(gate, books, log, say, own_pace, self._talk)
        self._finder, self._fetcher = Finder(self._means), Fetcher(self._means)
        self._gate = gate
        self._books = books
        self._log = log
        self._open: dict[tuple[object, ...], _Open] = {}
        self._under: dict[str, Under] = {}
        self._known: dict[str, list[Line]] = {}  # lines of earlier batches, by digest
        self._batch_of: dict[str, str] = {}  # the batch of each of those
        self._count = 0
        self.began_at_us = log.began_at_us
        self.is_done = False  # the job is, and nothing of it is fetched any more

    async def open(self, client: "httpx2.AsyncClient") -> None:
        """Have a key, and see what was sent before."""
        self._talk.begin(client)
        key_id = await self._books.do(shelving.take_key, self._gate, self._log.key_id, clock.now_us())
        if key_id is not None:
            if key_id != self._log.key_id:
                self._log.keep_key(key_id)
            await asyncio.sleep(_KEY_TAKES_S)  # until every worker of a gateway knows it
        if self._log.sent:
            await self._means.book_calls()  # what a killed process left in its journal
        for sent in self._log.sent.values():
            if sent.batch_id is None and not sent.is_dropped:
                await self._finder.restore(sent)
            if not sent.is_dropped:
                for line in sent.lines.values():
                    self._known.setdefault(line.digest, []).append(line)
                    self._batch_of[line.name] = sent.id

    async def close(self) -> None:
        """Wait for nothing more. What was sent goes on at the provider."""
        tasks = [one.task for one in self._under.values() if one.task is not None]
        for group in self._open.values():
            if group.timer is not None:
                group.timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.is_done:
            await self._fetch_the_rest()
        if self._log.key_id is not None and self.is_done:
            await self._books.do(shelving.give_up_key, self._log.key_id, clock.now_us())
            self._log.keep_key(None)
        self._log.close()

    async def _fetch_the_rest(self) -> None:
        """Fetch answers that nobody waits for any more: what is held for their batches ends with that."""
        for sent in list(self._log.sent.values()):
            if sent.is_over or sent.is_dropped or sent.batch_id is None:
                continue
            under = self._under.get(sent.id) or self._begun(sent)
            if not await self._fetcher.fetch_unasked(under):
                self.is_done = False
                self._means.say(
                    f"batch {under.number} is not over, and nothing waits for it: the same command, later, "
                    "fetches what was held for it."
                )

    # asking

    async def ask(self, question: Question) -> Reply:
        """The reply to a question, when its batch is answered."""
        earlier = await self._earlier(question)
        if earlier is not None:
            self._log.use(earlier.name, question.attempt_id)
            reply = await self._revived(earlier).awaited(earlier.name)
            if earlier.attempt_id != question.attempt_id:  # its call is on the attempt that made it
                return replace(reply, call_id=None)
            return reply
        under, name = self._added(question)
        return await under.awaited(name)

    async def _earlier(self, question: Question) -> Line | None:
        """A line that was sent for the same question of the same run, and that no attempt has used up."""
        lines = self._known.get(question.digest)
        if not lines:
            return None
        run = await self._books.do(shelving.run_of, question.task_id)
        spent = run.ended | {question.attempt_id}
        for line in lines:
            is_own = line.task_id in run.task_ids
            if is_own and not self._log.users.get(line.name, set()) & spent:
                return line
        return None

    def _revived(self, line: Line) -> Under:
        """The batch of an earlier line, looked at again."""
        sent = self._log.sent[self._batch_of[line.name]]
        under = self._under.get(sent.id)
        if under is None:
            under = self._begun(sent)
        if under.task is None or under.task.done():
            under.task = asyncio.get_running_loop().create_task(self._carry(under, {}))
        return under

    def _begun(self, sent: Sent) -> Under:
        wire = wire_of(sent.kind)
        assert wire is not None, "only what has a batch API is sent in batches"
        self._count += 1
        under = self._under[sent.id] = Under(sent, wire, self._count)
        return under

    def _added(self, question: Question) -> tuple[Under, str]:
        """Put a question into the batch that is open for its kind."""
        own = secrets.token_hex(OWN_LENGTH // 2)
        name = request_name(question.task_id, question.attempt_id, own)
        size = len(question.body) + _FRAME_BYTES
        wire = wire_of(question.kind)
        assert wire is not None
        most = self._gate.settings.limits.body_bytes - _MARGIN_BYTES
        group = self._open.get(question.group)
        if group is not None and (
            len(group.questions) >= wire.requests_max or group.size_bytes + size > most
        ):
            self._close_group(question.group)
            group = None
        if group is None:
            own_id = str(time_ordered(clock.now_us(), secrets.token_bytes(10)))
            under = self._begun(Sent(own_id, question.base, question.kind, clock.now_us()))
            group = self._open[question.group] = _Open(under)
        group.questions[name] = question
        group.size_bytes += size
        self._linger(question.group, group)
        return group.under, name

    def _linger(self, key: tuple[object, ...], group: _Open) -> None:
        if group.timer is not None:
            group.timer.cancel()
        loop = asyncio.get_running_loop()
        group.timer = loop.call_later(self._means.pace.linger_s, self._close_group, key)

    def _close_group(self, key: tuple[object, ...]) -> None:
        """Nothing more comes into this batch: it is sent."""
        group = self._open.pop(key)
        if group.timer is not None:
            group.timer.cancel()
        group.under.task = asyncio.get_running_loop().create_task(self._carry(group.under, group.questions))

    async def _carry(self, under: Under, questions: Mapping[str, Question]) -> None:
        """Send a batch, and follow it to its end; whatever fails, nobody waits for ever."""
        try:
            refused = await send(self._means, self._finder, under, questions) if questions else None
            if refused is not None:
                self._log.step(under.sent.id, is_dropped=True)
                under.reply_all(refused)
            else:
                await self._fetcher.follow(under)
            if questions:  # what waited for it has it: nothing of it is asked for again in this process
                self._log.forget(under.sent.id)
                self._under.pop(under.sent.id, None)
        except Exception as problem:  # noqa: BLE001 - the outermost door of this task: rows wait for it
            said = f"The batch could not be carried out: {type(problem).__name__}."
            under.reply_all(unanswered(Ending.ERROR, said))
