"""Carrying out an action: quote, hold, attempts up the ladder, each verified, settle or void.

What a run has come to is written before the money moves, and money moves once: a run that is
cut short is taken up where it stood, or given back. Work that failed is never billed unless
the price says so; its cost is in the books all the same.
"""

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from flatfare.config import Settings
from flatfare.core import identity, labels
from flatfare.core.action import Action, Ending, climbed
from flatfare.core.checks.submission import Json
from flatfare.core.errors import BadInput, FlatfareError, LimitExceeded
from flatfare.core.identity import derived, time_ordered
from flatfare.core.moments import HOUR_US
from flatfare.runner import entering, judging, recovering, telling
from flatfare.runner.batching.desk import Desk
from flatfare.runner.books import Books, Shelf
from flatfare.runner.gate import Gate, gate
from flatfare.runner.inputs import File, Prepared, prepared
from flatfare.runner.models import Made, Models, Unanswered, Whose, check_provider, models
from flatfare.runner.ownership import LEASE_US, own_name
from flatfare.runner.progress import Progress
from flatfare.runner.proving import Proof, Prover
from flatfare.runner.purse import Purse
from flatfare.runner.questions import asker
from flatfare.runner.till import Till
from flatfare.runner.working import PART_TRIES, Work, Workshop, carried_out
from flatfare.service import clock
from flatfare.service.actions import keeping
from flatfare.service.actions.publishing import Published
from flatfare.service.budgets.bounding import Bounds
from flatfare.service.costing.pricing import open_price_book
from flatfare.store import runs
from flatfare.store.runs import Attempt, Run, State

KEY_LENGTH_MAX = 512
UNDER_WAY_MAX = 1000
"""Runs that one process works at; each holds its input in memory."""

UNDER_WAY_IN_BATCHES_MAX = 50_000
"""The same where they wait for batches, whose requests they are."""

GRACE_S = 20.0
"""How long runs under way are waited for when the runner ends."""

GRACE_IN_BATCHES_S = 1.0

FINISHED_MAX = 1000
"""Results that are held until they are handed over."""

BATCH_US = 25 * HOUR_US
"""How long one question may wait for its batch: providers answer within 24 hours, or not at all."""

_POLL_S = 0.1
_KEY_TAKES_S = 0.7  # until every worker of a gateway knows a key that was made


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants done."""

    action: str
    input: Mapping[str, Json]
    files: Mapping[str, File] = field(default_factory=lambda: MappingProxyType({}))
    customer: str | None = None
    key: str | None = None  # the client's own id of this run: the same again is the same run
    version: int | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    project: str | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A run, and its output where it is at hand."""

    run: Run
    output: str | None = None
    reasons: tuple[str, ...] = ()  # why it was not verified; may quote the output


@dataclass(frozen=True, slots=True)
class Ready:
    """A run that may be worked at: its action, its input, and where the clock stands."""

    run: Run
    version: Published
    given: Prepared
    prover: Prover


class Runner:
    """Carries out runs in this event loop, any number at a time. Made by ``running``."""

    def __init__(
        self, settings: Settings, own_gate: Gate, asked: Models, books: Books, now: Callable[[], int]
    ) -> None:
        self.settings = settings
        self.gate = own_gate
        self.books = books
        self.progress = Progress()
        self.owner = own_name()
        self.now = now
        self.till = Till(books, now)
        self.models = asked
        self.bounds = Bounds(open_price_book(settings))
        self._provers: dict[str, Prover] = {}
        self._shop = entering.Shop()
        self._finished: OrderedDict[str, Result] = OrderedDict()  # not handed over yet
        self._under_way: dict[str, asyncio.Task[Result]] = {}
        self._under_way_max = UNDER_WAY_MAX if asked.desk is None else UNDER_WAY_IN_BATCHES_MAX

    async def run(self, order: Order) -> Result:
        """Carry an order out and give its result; the same key again gives the same run.

        Raises what is wrong with the order (``BadInput``, ``NotFound``, ``Conflict``) and
        ``NotEnoughCredit`` before anything is done. A run that fails is a result.
        """
        return await self.result(await self.begin(order))

    async def begin(self, order: Order) -> Run:
        """Accept an order and hold its price; its work goes on by itself.

        ``LimitExceeded`` where this process has as many runs under way as it takes.
        """
        if self.under_way >= self._under_way_max:
            raise LimitExceeded(f"{self._under_way_max} runs are under way: ask again when some are done.")
        ready = await self._accepted(order)
        if isinstance(ready, Run):
            return ready
        return self._start(ready)

    async def result(self, run: Run) -> Result:
        """The run when it is done, whoever carries it out."""
        task = self._under_way.get(run.id)
        if task is not None:
            return await asyncio.shield(task)
        if run.id in self._finished:
            return self._finished[run.id]
        while True:
            found = await self.books.do(entering.standing, run.id)
            if (
                found.state in (State.DONE, State.INTERRUPTED, State.REFUSED)
                or found.ending == Ending.AWAITED
            ):
                text = keeping.read(found.output, found.id, "output")
                return Result(found, text, tuple(json.loads(found.reasons)))
            await asyncio.sleep(_POLL_S)

    async def resume(self, run: Run) -> Run:
        """Take up a run that was cut short and whose input was kept; where that fails, anybody may."""
        try:
            version = await self.books.do(self._shop.published, run.action, run.action_version, self.now())
            kept = keeping.read(run.input, run.id, "input")
            assert kept is not None
            given, prover = Prepared.from_json(kept), self._prover(version)
            run = await self.books.do(entering.begin, run, version, self.now())
        except FlatfareError:
            await self.books.do(recovering.let_go, run, self.owner)
            raise
        return self._start(Ready(run, version, given, prover))

    async def handed_over(self, run: Run) -> None:
        """The result reached whoever asked for it: from now on it is theirs."""
        self._finished.pop(run.id, None)
        if not run.is_delivered and run.state is State.DONE:
            await self.books.do(_delivered, run)

    async def not_handed_over(self, run: Run) -> None:
        """Who asked has left before the result was there.

        Asked for again by its key it is handed over then; without a key nobody can, and it is given back.
        """
        if run.request_key is None and run.state is State.DONE and not run.is_delivered:
            self._finished.pop(run.id, None)
            await self.books.do(judging.give_back, run, self.now())

    @property
    def under_way(self) -> int:
        """How many runs are worked at in this process."""
        return len(self._under_way)

    # --- accepting

    async def _accepted(self, order: Order) -> Ready | Run:
        version = await self.books.do(self._shop.published, order.action, order.version, self.now())
        action = version.action
        for rung in action.ladder:
            check_provider(self.gate.settings.providers, str(rung.model.provider))
        own_labels = labels.checked(dict(order.labels))
        if order.key is not None and not 0 < len(order.key) <= KEY_LENGTH_MAX:
            raise BadInput(f"Found a key of {len(order.key)} characters: expected 1 to {KEY_LENGTH_MAX}.")
        given = await asyncio.to_thread(prepared, action, order.input, order.files)
        prover = self._prover(version)
        if await self.books.do(_ensure_key, self.gate):
            await asyncio.sleep(_KEY_TAKES_S)
        run = self._new_run(order, version, given, own_labels)
        entered = await self.books.do(entering.enter, run, version, self.now())
        if not entered.is_to_start:
            return entered.run
        self.progress.tell(entered.run.id, "held" if order.customer else "accepted", self.now())
        return Ready(entered.run, version, given, prover)

    def _new_run(
        self, order: Order, version: Published, given: Prepared, own_labels: Mapping[str, str]
    ) -> Run:
        at_us = self.now()
        own = time_ordered(at_us, secrets.token_bytes(10))
        if order.key is not None:
            own = derived("run", order.project or "", order.action, order.key.replace("\x1f", " "))
        size = given.size
        carried = dict(own_labels) | {"action": order.action}
        return Run(
            id=str(own),
            action=order.action,
            action_version=version.action.version,
            task_id=str(identity.task_id(order.project, str(own))),
            state=State.ACCEPTED,
            input_hash=given.hash,
            started_at_us=at_us,
            project=order.project,
            request_key=order.key,
            customer=order.customer,
            labels=labels.canonical(carried | ({"customer": order.customer} if order.customer else {})),
            size=json.dumps([size.bytes, size.characters, size.words, size.pages]),
            input=keeping.kept(given.to_json(), str(own), "input") if version.action.keep_us else None,
            owner=self.owner,
            alive_until_us=at_us + LEASE_US,
            webhook=order.webhook,
            patience_us=self._patience_us(version.action),
        )

    def _patience_us(self, action: Action) -> int:
        """How much longer than its deadline a run may take, since its questions wait for batches."""
        if self.models.desk is None:
            return 0
        asking = (step for step in action.steps if step.command is None)
        waits = sum(PART_TRIES if step.each is not None else 1 for step in asking)
        return BATCH_US * waits * action.limits.attempts

    def _prover(self, version: Published) -> Prover:
        held = self._provers.get(version.hash)
        if held is None:
            held = self._provers[version.hash] = Prover(version.action)
        return held

    def _start(self, ready: Ready) -> Run:
        task = asyncio.get_running_loop().create_task(self._carry(ready), name=f"run {ready.run.id}")
        self._under_way[ready.run.id] = task
        task.add_done_callback(lambda _: self._under_way.pop(ready.run.id, None))
        task.add_done_callback(_looked_at)
        return ready.run

    # --- carrying out

    async def _carry(self, ready: Ready) -> Result:
        """Carry a run to its end; where that fails or is cut short, anybody may take it up."""
        try:
            return await self._climb(ready)
        except BaseException:
            with suppress(FlatfareError):
                await self.books.do(_let_go, ready.run)
            raise

    async def _climb(self, ready: Ready) -> Result:
        """Attempt after attempt, until one is verified or none is left."""
        run, action = ready.run, ready.version.action
        loop = asyncio.get_running_loop()
        left_us = run.started_at_us + action.limits.deadline_us + run.patience_us - self.now()
        ends_at = loop.time() + left_us / 1e6
        course = await self.books.do(entering.course_of, run, action)
        limit_nano = None if action.limits.cost_nano is None else action.limits.cost_nano - course.spent_nano
        tier = None if self.models.desk is None else "batch"
        purse = Purse(limit_nano, self.bounds, self.gate.settings.providers, tier)
        shop = Workshop(action, ready.given, self.models, purse, self.gate, self.till)
        rung, tried, made = course.rung, course.tried, course.made
        while True:
            run, attempt = await self.books.do(
                judging.begin, run, _rung_name(action, rung), action.path.name, self.now()
            )
            self._progress(run, "attempt_started", number=attempt.number, rung=attempt.rung)
            tried, made = tried + 1, made + 1
            ended = await self._attempt(ready, shop, attempt, rung, ends_at)
            following = None
            if made < action.limits.attempts and loop.time() < ends_at:
                following = _following(action, rung, tried, ended.ending)
            self._progress(run, "attempt_ended", number=attempt.number, ending=str(ended.ending))
            if following is None:
                return await self._decided(ready, run, ended)
            await self.books.do(judging.end, run, ended, self.now())
            rung, tried = (following, tried) if following == rung else (following, 0)

    async def _attempt(
        self, ready: Ready, shop: Workshop, attempt: Attempt, number: int, ends_at: float
    ) -> judging.Ended:
        """One attempt on a rung: its ending, what it made, and what the verifiers found."""
        action, run = ready.version.action, ready.run
        rung = action.ladder[number] if action.ladder else None
        whose = Whose(
            run.task_id, telling.attempt_id(run, attempt.number), dict(json.loads(ready.run.labels))
        )
        desk = self.models.desk  # what is asked again after a stop has to read as it did
        work = Work(rung, whose, ends_at, self.now() if desk is None else desk.began_at_us)
        output: str | None = None
        reasons: tuple[str, ...] = ()
        try:
            output = await carried_out(shop, work)
            proof = await self._judged(ready, output, attempt.number, work)
            reasons = proof.reasons
        except Unanswered as problem:
            proof, reasons = Proof((), problem.ending), (problem.reason,)
        except FlatfareError as problem:  # a template or a verifier that cannot be used with this input
            proof, reasons = Proof((), Ending.ERROR), (str(problem),)
        return judging.ended(attempt, work, proof, reasons, output, ready.prover.versions, self.now())

    async def _judged(self, ready: Ready, output: str, number: int, work: Work) -> Proof:
        asked: list[Made] = []
        means = asker(work, asked, asyncio.get_running_loop(), self.models)
        try:
            return await ready.prover.judge(output, ready.given, number, means)
        finally:
            work.made += asked

    async def _decided(self, ready: Ready, run: Run, ended: judging.Ended) -> Result:
        """Write what the run has come to, move the money, and give the result."""
        output = ended.output if ended.ending in (Ending.VERIFIED, Ending.AWAITED) else None
        run = await self.books.do(judging.decide, run, ready.version, ended, output, self.now())
        self._progress(run, "judged", ending=str(ended.ending))
        run = await self.books.do(judging.finish, run, self.now())
        self._progress(run, "awaited" if run.state is State.JUDGED else "done")
        result = Result(run, output, ended.reasons if ended.ending is not Ending.VERIFIED else ())
        self._finished[run.id] = result
        while len(self._finished) > FINISHED_MAX:
            self._finished.popitem(last=False)
        return result

    def _progress(self, run: Run, kind: str, **said: object) -> None:
        self.progress.tell(run.id, kind, self.now(), **said)

    async def close(self) -> None:
        """Let runs under way come to their end; those that take long are left for whoever comes next."""
        tasks = [*self._under_way.values()]
        if tasks:
            # What waits for a batch would wait for hours, and is taken up again by the same job.
            grace_s = GRACE_S if self.models.desk is None else GRACE_IN_BATCHES_S
            _, waiting = await asyncio.wait(tasks, timeout=grace_s)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for prover in self._provers.values():
            prover.close()


def _following(action: Action, rung: int, tried: int, ending: Ending) -> int | None:
    return climbed(action.ladder, rung, tried, ending) if action.ladder else None


def _rung_name(action: Action, number: int) -> str:
    return action.ladder[number].name if action.ladder else "command"


def _let_go(shelf: Shelf, run: Run) -> None:
    runs.update(shelf.book, run, owner=None)


def _delivered(shelf: Shelf, run: Run) -> Run:
    return runs.update(shelf.book, run, is_delivered=1, owner=None)


def _ensure_key(shelf: Shelf, own_gate: Gate) -> bool:
    return own_gate.ensure_key(shelf.book)


def _looked_at(task: "asyncio.Task[Result]") -> None:
    """A failure that nobody waits for is not lost: recovery finds the run by its state."""
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    at: Gate | None = None,
    now: Callable[[], int] | None = None,
    desk_of: Callable[[Gate, Books], Desk] | None = None,
) -> AsyncIterator[Runner]:
    """A runner behind the gateway of these settings, as long as the context lasts.

    ``desk_of`` makes the desk at which work waits for batches, where it is done in such.
    """
    books = Books(settings)
    try:
        async with gate(settings) if at is None else _given(at) as own_gate:
            desk = None if desk_of is None else desk_of(own_gate, books)
            async with models(own_gate, desk) as asked:
                runner = Runner(settings, own_gate, asked, books, now or clock.now_us)
                async with _beating(runner):
                    yield runner
    finally:
        await books.close()


@asynccontextmanager
async def _beating(runner: Runner) -> AsyncIterator[None]:
    """Give signs of life as long as the context lasts, and bring everything to its end."""
    beats = asyncio.get_running_loop().create_task(_beat(runner))
    try:
        yield
    finally:
        await runner.close()
        beats.cancel()
        with suppress(asyncio.CancelledError):
            await beats
        if runner.gate.book is not None:
            await runner.gate.book()
        await runner.books.do(judging.book_open_costs, clock.now_us())


@asynccontextmanager
async def _given(at: Gate) -> AsyncIterator[Gate]:
    yield at


async def _beat(runner: Runner) -> None:
    """Say again and again that this process still works at its runs."""
    while True:
        await asyncio.sleep(LEASE_US / 3e6)
        if runner.under_way:
            await runner.books.do(_keep_alive, runner.owner, clock.now_us() + LEASE_US)


def _keep_alive(shelf: Shelf, owner: str, until_us: int) -> int:
    return runs.keep_alive(shelf.book, owner, until_us)
