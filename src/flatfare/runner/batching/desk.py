"""Where questions wait for their batch: gathered, sent once, looked at, and each given its reply.

A batch is sent when nothing more has come for a while, or when it is full. What was sent is on
record before it goes, so that a question that is asked again after a stop gets the answer that
was paid for.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flatfare.core.action import Ending
from flatfare.core.batch_names import OWN_LENGTH, request_name
from flatfare.core.identity import time_ordered, within
from flatfare.runner.batching import shelving
from flatfare.runner.batching.asking import Question, Reply, unanswered
from flatfare.runner.batching.log import BatchLog, Line, Sent
from flatfare.runner.batching.wires import Looked, Wire, wire_of
from flatfare.runner.books import Books
from flatfare.runner.gate import Gate

if TYPE_CHECKING:
    import httpx2

CHUNK = 500
"""Replies whose costs are looked up together."""

BOOKED_S = 15.0
"""How long the booking of answers is waited for; what is not booked by then has its cost told later."""

TRIES = 4
_FRAME_BYTES = 256  # around each request
_MARGIN_BYTES = 1 << 20
_PAGES_MAX = 10
_KEY_TAKES_S = 0.7
_UNHEARD = "Whether its batch was sent nobody heard"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long more questions are waited for, and how often a batch is looked at."""

    linger_s: float = 3.0
    first_s: float = 5.0
    longest_s: float = 60.0
    retry_s: float = 2.0
    late_s: float = 5.0


@dataclass(slots=True)
class _Open:
    """A batch that questions still come into."""

    under: "_Under"
    questions: dict[str, Question] = field(default_factory=dict)
    size_bytes: int = 0
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Under:
    """A batch that was sent, and who waits for its answers."""

    sent: Sent
    wire: Wire
    number: int
    waiting: dict[str, "asyncio.Future[Reply]"] = field(default_factory=dict)
    task: "asyncio.Task[None] | None" = None
    asked_at: float = 0.0


class Desk:
    """Takes questions and gives replies. Open it in the event loop that asks."""

    def __init__(
        self, gate: Gate, books: Books, log: BatchLog, say: Callable[[str], None], pace: Pace | None = None
    ) -> None:
        self._gate = gate
        self._books = books
        self._log = log
        self._say = say
        self._pace = pace or Pace()
        self._open: dict[tuple[object, ...], _Open] = {}
        self._under: dict[str, _Under] = {}
        self._known: dict[str, list[Line]] = {}  # lines of earlier batches, by digest
        self._batch_of: dict[str, str] = {}  # the batch of each of those
        self._count = 0
        self._client: httpx2.AsyncClient | None = None
        self.began_at_us = log.began_at_us
        self.is_done = False  # the job is, and nothing of it is fetched any more

    async def open(self, client: "httpx2.AsyncClient") -> None:
        """Have a key, and see what was sent before."""
        self._client = client
        key_id = await self._books.do(shelving.take_key, self._gate, self._log.key_id, _now_us())
        if key_id is not None:
            if key_id != self._log.key_id:
                self._log.keep_key(key_id)
            await asyncio.sleep(_KEY_TAKES_S)  # until every worker of a gateway knows it
        if self._gate.book is not None and self._log.sent:
            await self._gate.book()  # what a killed process left in its journal
        for sent in self._log.sent.values():
            if sent.batch_id is None and not sent.is_dropped:
                await self._restore(sent)
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
            await self._books.do(shelving.give_up_key, self._log.key_id, _now_us())
            self._log.keep_key(None)
        self._log.close()

    async def _fetch_the_rest(self) -> None:
        """Fetch answers that nobody waits for any more: what is held for their batches ends with that."""
        for sent in list(self._log.sent.values()):
            if sent.is_over or sent.is_dropped or sent.batch_id is None:
                continue
            under = self._under.get(sent.id) or self._begun(sent)
            path = f"{sent.base}{under.wire.looks_at(sent.batch_id)}"
            status, document = await self._get(path, under.wire)
            looked = None if document is None else under.wire.looked(document, len(sent.lines))
            if looked is not None and looked.is_over and await self._fetched(under, looked):
                self._log.step(sent.id, is_over=True)
            elif status not in (403, 404, 410):
                self.is_done = False
                self._say(
                    f"batch {under.number} is not over, and nothing waits for it: the same command, later, "
                    "fetches what was held for it."
                )

    # asking

    async def ask(self, question: Question) -> Reply:
        """The reply to a question, when its batch is answered."""
        earlier = await self._earlier(question)
        if earlier is not None:
            self._log.use(earlier.name, question.attempt_id)
            reply = await self._awaited(self._revived(earlier), earlier.name)
            if earlier.attempt_id != question.attempt_id:  # its call is on the attempt that made it
                return replace(reply, call_id=None)
            return reply
        under, name = self._added(question)
        return await self._awaited(under, name)

    async def _awaited(self, under: _Under, name: str) -> Reply:
        future = under.waiting.get(name)
        if future is None:
            future = under.waiting[name] = asyncio.get_running_loop().create_future()
        under.asked_at = time.monotonic()
        return await asyncio.shield(future)

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

    def _revived(self, line: Line) -> _Under:
        """The batch of an earlier line, looked at again."""
        sent = self._log.sent[self._batch_of[line.name]]
        under = self._under.get(sent.id)
        if under is None:
            under = self._begun(sent)
        if under.task is None or under.task.done():
            under.task = asyncio.get_running_loop().create_task(self._carry(under, {}))
        return under

    def _begun(self, sent: Sent) -> _Under:
        wire = wire_of(sent.kind)
        assert wire is not None, "only what has a batch API is sent in batches"
        self._count += 1
        under = self._under[sent.id] = _Under(sent, wire, self._count)
        return under

    def _added(self, question: Question) -> tuple[_Under, str]:
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
            own_id = str(time_ordered(_now_us(), secrets.token_bytes(10)))
            under = self._begun(Sent(own_id, question.base, question.kind, _now_us()))
            group = self._open[question.group] = _Open(under)
        group.questions[name] = question
        group.size_bytes += size
        self._linger(question.group, group)
        return group.under, name

    def _linger(self, key: tuple[object, ...], group: _Open) -> None:
        if group.timer is not None:
            group.timer.cancel()
        loop = asyncio.get_running_loop()
        group.timer = loop.call_later(self._pace.linger_s, self._close_group, key)

    def _close_group(self, key: tuple[object, ...]) -> None:
        """Nothing more comes into this batch: it is sent."""
        group = self._open.pop(key)
        if group.timer is not None:
            group.timer.cancel()
        group.under.task = asyncio.get_running_loop().create_task(self._carry(group.under, group.questions))

    # sending

    async def _carry(self, under: _Under, questions: Mapping[str, Question]) -> None:
        """Send a batch, and follow it to its end; whatever fails, nobody waits for ever."""
        try:
            refused = await self._send(under, questions) if questions else None
            if refused is not None:
                self._log.step(under.sent.id, is_dropped=True)
                self._reply_all(under, refused)
            else:
                await self._follow(under)
            if questions:  # what waited for it has it: nothing of it is asked for again in this process
                self._log.forget(under.sent.id)
                self._under.pop(under.sent.id, None)
        except Exception as problem:  # noqa: BLE001 - the outermost door of this task: rows wait for it
            said = f"The batch could not be carried out: {type(problem).__name__}."
            self._reply_all(under, unanswered(Ending.ERROR, said))

    async def _send(self, under: _Under, questions: Mapping[str, Question]) -> Reply | None:
        """Send it; the reply to all of its questions where that cannot be."""
        wire, base = under.wire, under.sent.base
        lines = [Line(name, one.digest, one.task_id, one.attempt_id) for name, one in questions.items()]
        sent = self._log.plan(under.sent.id, base, wire.kind, lines, _now_us())
        under.sent = sent
        requests = [(name, one.body) for name, one in questions.items()]
        first = next(iter(questions.values()))
        headers = _headers(first, sent.id)
        file_id: str | None = None
        if wire.uploads_at is not None:
            uploaded = await self._uploaded(base + wire.uploads_at, wire.upload(requests), headers)
            if uploaded.status >= 400:
                return uploaded
            file_id = str(json.loads(uploaded.body)["id"])
        body = wire.making(sent.id, file_id, requests)
        self._log.step(sent.id, request_hash=sha256(body).hexdigest())
        refused = await self._made(under, body, {**headers, "content-type": "application/json"})
        if refused is None:
            self._say(f"batch {under.number}: {len(requests):,} sent")
        return refused

    async def _made(self, under: _Under, body: bytes, headers: Mapping[str, str]) -> Reply | None:
        """Have the batch made, once; what stands in the way, where it cannot be."""
        sent = under.sent
        reply: Reply | None = None
        for number in range(TRIES):
            reply = await self._post(sent.base + under.wire.makes_at, body, headers)
            if reply is not None and reply.status < 400:
                self._log.step(sent.id, batch_id=str(json.loads(reply.body)["id"]), call_id=reply.call_id)
                return None
            is_busy = reply is not None and reply.status == 429 and reply.refused is None
            if reply is not None and reply.status < 500 and not is_busy:
                return reply
            if not is_busy and not await self._search(sent):
                self._warn(sent)
                break
            if sent.batch_id is not None:
                return None
            await asyncio.sleep(self._pace.retry_s * 2**number)
        return reply or unanswered(Ending.ERROR, f"{_UNHEARD}.")

    async def _uploaded(self, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Upload a file; that may be done twice: a file costs nothing."""
        boundary = secrets.token_hex(16)
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        body = (
            (
                f'{part}"purpose"\r\n\r\nbatch\r\n{part}"file"; filename="requests.jsonl"\r\n'
                "Content-Type: application/jsonl\r\n\r\n"
            ).encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        said = {**headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        for number in range(TRIES):
            reply = await self._post(path, body, said)
            if reply is not None and reply.status < 500:
                return reply
            await asyncio.sleep(self._pace.retry_s * 2**number)
        return reply or unanswered(Ending.ERROR, "The file of the batch could not be sent.")

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply | None:
        """The answer as it came; None where none did."""
        import httpx2

        try:
            response = await self._at_provider().post(
                self._gate.url + path, content=body, headers={**headers, **self._credential()}
            )
        except httpx2.HTTPError:
            return None
        return Reply(
            response.status_code,
            response.content,
            response.headers.get("flatfare-call"),
            0,
            response.headers.get("flatfare-refused"),
        )

    # finding again

    async def _search(self, sent: Sent) -> bool:
        """Find a batch of which nobody heard whether it was made, by what the book and the provider know.

        Whether it is certain by now what became of it.
        """
        if sent.request_hash is None:
            return True
        if self._gate.book is not None:
            await self._gate.book()
        made = await self._books.do(shelving.made_by, sent.request_hash)
        if made is not None:
            self._log.step(sent.id, batch_id=made.batch_id, call_id=made.call_id)
            return True
        found, is_certain = await self._listed(sent)
        if not found and is_certain:  # what was on its way when it broke off may be there a little later
            await asyncio.sleep(self._pace.late_s)
            found, is_certain = await self._listed(sent)
        for batch_id in found:
            provider, key_id = self._provider(sent), self._log.key_id
            call_id = await self._books.do(shelving.adopt, provider, sent, batch_id, key_id)
            if call_id is not None:
                self._log.step(sent.id, batch_id=batch_id, call_id=call_id)
                return True
        if is_certain:
            await self._books.do(shelving.not_made, sent, _now_us())
        return is_certain

    async def _restore(self, sent: Sent) -> None:
        """See what became of a batch that was about to be made when its process ended."""
        is_certain = await self._search(sent)
        if sent.batch_id is None:
            self._log.step(sent.id, is_dropped=True)
        if not is_certain:
            self._warn(sent)

    def _warn(self, sent: Sent) -> None:
        self._say(
            f"{_UNHEARD}, and its provider cannot be asked: its {len(sent.lines):,} requests are sent again. "
            f"Look for a batch with the label batch={sent.id} there."
        )

    async def _listed(self, sent: Sent) -> tuple[list[str], bool]:
        """Those of the provider's batches that may be it, and whether all of its could be seen."""
        wire = wire_of(sent.kind)
        assert wire is not None
        found: list[str] = []
        after = ""
        for _ in range(_PAGES_MAX):
            path = f"{sent.base}{wire.makes_at}?limit=100{after}"
            status, document = await self._get(path, wire)
            listed = [] if document is None else document.get("data") or []
            found += wire.found(listed, sent.id, len(sent.lines), sent.at_us)
            if document is None or not document.get("has_more") or not listed:
                return found, status == 200
            name = "after" if wire.kind == "openai" else "after_id"
            after = f"&{name}={quote(str(listed[-1]['id']))}"
        return found, bool(found)

    def _provider(self, sent: Sent) -> str:
        """The name of the provider that stands below a base."""
        first, _, rest = sent.base.lstrip("/").partition("/")
        named = rest.partition("/")[0] if first == "p" else {"v1": "openai"}.get(first, first)
        providers = self._gate.settings.providers
        speakers = (name for name, one in providers.items() if one.dialect == sent.kind)
        return named if named in providers else next(speakers, named)

    # following

    async def _follow(self, under: _Under) -> None:
        """Wait until a batch has ended, and give its answers to those who wait for them."""
        looked = await self._ended(under)
        if looked is None:
            self._reply_all(under, unanswered(Ending.ERROR, "The provider does not know the batch any more."))
            return
        while under.waiting:
            await self._quiet(under)
            asked = list(under.waiting)
            if not await self._fetched(under, looked):
                await asyncio.sleep(self._pace.retry_s)
                continue
            if not under.sent.is_over:
                self._log.step(under.sent.id, is_over=True)
            for name in asked:  # not those who began to wait while it was fetched
                self._reply(under, name, looked.otherwise)

    async def _ended(self, under: _Under) -> Looked | None:
        """What its provider says of it at its end; None where that is not known any more."""
        wire, sent, pause, told = under.wire, under.sent, self._pace.first_s, -1
        path = f"{sent.base}{wire.looks_at(str(sent.batch_id))}"
        while True:
            status, document = await self._get(path, wire)
            if status in (403, 404, 410):
                return None
            if document is None:
                self._say(f"batch {under.number} cannot be looked at now ({status or 'no answer'})")
            else:
                looked = wire.looked(document, len(sent.lines))
                if looked.done != told:
                    told = looked.done
                    self._say(f"batch {under.number}: {told:,} of {len(sent.lines):,} done")
                if looked.is_over:
                    return looked
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, self._pace.longest_s)

    async def _quiet(self, under: _Under) -> None:
        """Until nobody more asks for an answer: then one fetching serves them all."""
        if not under.asked_at:
            return
        while (left := under.asked_at + self._pace.linger_s - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _fetched(self, under: _Under, looked: Looked) -> bool:
        """Fetch what was answered, and hand it out; whether all of it came."""
        import httpx2

        for path in looked.outputs:
            try:
                async with self._at_provider().stream(
                    "GET", f"{self._gate.url}{under.sent.base}{path}", headers=self._headers_of(under.wire)
                ) as response:
                    if response.status_code in (403, 404, 410):
                        continue
                    if response.status_code != 200:
                        return False
                    async for chunk in _chunks(response.aiter_bytes()):
                        await self._hand_out(under, chunk)
            except httpx2.HTTPError:
                return False
        return True

    async def _hand_out(self, under: _Under, lines: list[bytes]) -> None:
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
            self._reply(under, name, replace(reply, call_id=own_id, cost_nano=cost_nano))

    async def _costs(self, call_ids: list[str], sent_at_us: int) -> Mapping[str, int | None]:
        until = time.monotonic() + BOOKED_S
        found: dict[str, int | None] = {}
        while call_ids:
            if self._gate.book is not None:
                await self._gate.book()
            found |= await self._books.do(shelving.costs_of, call_ids, sent_at_us)
            call_ids = [one for one in call_ids if one not in found]
            if not call_ids or time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        return found

    def _reply(self, under: _Under, name: str, reply: Reply) -> None:
        future = under.waiting.pop(name, None)
        if future is not None and not future.done():
            future.set_result(reply)

    def _reply_all(self, under: _Under, reply: Reply) -> None:
        for name in list(under.waiting):
            self._reply(under, name, reply)

    # the gateway

    async def _get(self, path: str, wire: Wire) -> tuple[int, Mapping[str, Any] | None]:
        import httpx2

        try:
            response = await self._at_provider().get(self._gate.url + path, headers=self._headers_of(wire))
            return response.status_code, response.json() if response.status_code == 200 else None
        except (httpx2.HTTPError, ValueError):
            return 0, None

    def _at_provider(self) -> "httpx2.AsyncClient":
        assert self._client is not None, "the desk is open"
        return self._client

    def _headers_of(self, wire: Wire) -> dict[str, str]:
        return {**wire.headers, **self._credential()}

    def _credential(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._gate.key or 'none'}"}


def _headers(question: Question, own_id: str) -> dict[str, str]:
    """What a batch carries: the labels of its questions, and its own id as one more."""
    headers = dict(question.headers)
    mark = f"flatfare.batch={own_id}"
    headers["baggage"] = f"{headers['baggage']},{mark}" if headers.get("baggage") else mark
    return headers


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Lines, so many at a time; only a line feed ends one, whatever else stands in its texts."""
    rest, held = b"", list[bytes]()
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        held += [line for line in whole if line.strip()]
        if len(held) >= CHUNK:
            yield held
            held = []
    held += [rest] if rest.strip() else []
    if held:
        yield held


def _now_us() -> int:
    return time.time_ns() // 1000
