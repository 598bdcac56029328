"""Where the process of pages carries actions out: one runner in its loop, begun with the first run.

What a former process left behind is looked after before anything new is begun.
"""

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from flatfare import __version__
from flatfare.config import Secret, Settings
from flatfare.core import webhook
from flatfare.core.errors import FlatfareError
from flatfare.core.moments import iso
from flatfare.runner import judging, recovering
from flatfare.runner.books import Shelf
from flatfare.runner.gate import Gate
from flatfare.runner.running import Order, Result, Runner, running
from flatfare.service import clock
from flatfare.service.actions.receipts import document_of
from flatfare.service.alerts import sending
from flatfare.service.judging.asking import Asker, Whose
from flatfare.store import runs
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.store.runs import Run
from flatfare.verifiers import again

LOOK_AFTER_S = 5.0
LOOK_AGAIN_S = 30.0
KEY_TAKES_S = 1.0  # until every worker of a gateway knows a key that was made
WAKES_S = 1.0
WEBHOOK_DELAYS_S = (0.0, 1.0, 5.0, 30.0)
_log = logging.getLogger("flatfare.actions")


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the end of a run is told, and what signs it."""

    url: str
    secret: str


class Workshop:
    """The runner of this process. Close it at the end: runs under way come to their end first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None
        self._making = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: set[str] = set()  # of what stood in the way of looking after runs

    def wake(self) -> None:
        """Look after runs that a former process left behind, if there are any."""
        self._keep(self._woken())
        self._keep(self._look_again())

    async def _look_again(self) -> None:
        """Have drawn work judged by the stronger verifier that a sampling plan or a definition names."""
        said = None
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            problem = None
            try:
                if await asyncio.to_thread(_has_plans, self._settings):
                    gate = (await self.runner()).gate
                    await asyncio.to_thread(_judge_again, self._settings, gate)
            except FlatfareError as failure:
                problem = str(failure)
            if problem is not None and problem != said:
                _log.warning("What was drawn for a stronger verifier waits: %s", problem)
            said = problem

    async def _woken(self) -> None:
        await asyncio.sleep(WAKES_S)  # the gateway begins beside
        try:
            if await asyncio.to_thread(_is_left, self._settings):
                await self.runner()
        except FlatfareError as problem:
            _log.warning("Runs that were left behind wait: %s", problem)

    async def runner(self) -> Runner:
        """The runner, made when it is first asked for."""
        async with self._making:
            if self._runner is None:
                self._runner = await self._stack.enter_async_context(running(self._settings))
                await self._look_after(self._runner)
                self._keep(self._look_after_again(self._runner))
        return self._runner

    async def begin(self, order: Order, hook: Hook | None) -> Run:
        """Begin a run that goes on by itself, and tell its end where that is wanted."""
        runner = await self.runner()
        run = await runner.begin(order)
        self._keep(self._ended(runner, run, hook))
        return run

    async def carry_out(self, order: Order) -> Result:
        """Carry an order out."""
        runner = await self.runner()
        return await runner.run(order)

    async def close(self) -> None:
        """Let what is under way end."""
        for task in list(self._tasks):
            task.cancel()
        await self._stack.aclose()

    def _keep(self, work: "asyncio.Future[None] | object") -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ended(self, runner: Runner, run: Run, hook: Hook | None) -> None:
        try:
            result = await runner.result(run)
            await runner.handed_over(result.run)
            if hook is not None:
                await _told(runner, result, hook)
        except FlatfareError as problem:
            _log.warning("Run %s: %s", run.id, problem)

    async def _look_after(self, runner: Runner) -> None:
        """Runs that a former process left, runs that waited for somebody's word, costs that came late.

        What stands in the way of one of these stands in no other's; it is said once as long as it does.
        """
        books, problems = runner.books, dict[str, str]()  # what it is, and the first run it is about
        for work in (
            lambda: self._take_up(runner, problems),
            lambda: recovering.follow_all_awaited(books, clock.now_us),
            lambda: books.do(judging.book_open_costs, clock.now_us()),
            lambda: books.do(_forget, clock.now_us()),
        ):
            try:
                await work()
            except FlatfareError as problem:
                problems.setdefault(str(problem), "")
        for said, run_id in problems.items():
            if said not in self._said:
                _log.warning("Looking after %s: %s", f"run {run_id}" if run_id else "runs", said)
        self._said = set(problems)

    async def _take_up(self, runner: Runner, problems: dict[str, str]) -> None:
        """Finish, give back or resume what a former process left."""
        async for left in recovering.recover_all(runner.books, runner.owner, clock.now_us):
            for stuck in left.stuck:
                problems.setdefault(stuck.problem, stuck.run_id)
            for run in left.to_resume:
                try:
                    self._keep(self._ended(runner, await runner.resume(run), None))
                except FlatfareError as problem:
                    problems.setdefault(str(problem), run.id)

    async def _look_after_again(self, runner: Runner) -> None:
        while True:
            await asyncio.sleep(LOOK_AFTER_S)
            await self._look_after(runner)


async def _told(runner: Runner, result: Result, hook: Hook) -> None:
    """Tell the end of a run, a few times if need be."""
    data = await runner.books.do(_document, result)
    body = msgspec.json.encode({"type": "run.done", "timestamp": iso(clock.now_us()), "data": data})
    for delay_s in WEBHOOK_DELAYS_S:
        await asyncio.sleep(delay_s)
        headers = {"Content-Type": "application/json", "User-Agent": f"flatfare/{__version__}"}
        headers |= webhook.signed(result.run.id, int(time.time()), body, [hook.secret])
        try:
            status = await asyncio.to_thread(
                sending.post,
                hook.url,
                body,
                headers,
                allow_private=runner.settings.private_webhooks,
            )
        except sending.NotTaken as problem:
            _log.warning("The webhook of run %s was not taken: %s", result.run.id, problem)
            continue
        if 200 <= status < 300:
            return
        _log.warning("The webhook of run %s answered %s.", result.run.id, status)


def _document(shelf: Shelf, result: Result) -> dict[str, object]:
    run = runs.one(shelf.book, result.run.id) or result.run
    return document_of(
        shelf.book, shelf.lake, run, for_operator=False, output=result.output, reasons=result.reasons
    )


def _is_left(settings: Settings) -> bool:
    with open_book(settings.database, create=False) as book:
        return bool(runs.left_behind(book, limit=1) or runs.with_open_cost(book, 1))


def _has_plans(settings: Settings) -> bool:
    with open_book(settings.database, create=False) as book:
        return again.has_plans(book)


def _judge_again(settings: Settings, gate: Gate) -> int:
    with open_book(settings.database, create=False) as book:
        if gate.ensure_key(book):
            time.sleep(KEY_TAKES_S)
        key = None if gate.key is None else Secret(gate.key)

        def asker_of(whose: Whose) -> Asker:
            return Asker(gate.settings, gate.url, whose=whose, key=key)

        return again.judge_all(book, Lake(settings.lake), asker_of)


def _forget(shelf: Shelf, now_us: int) -> int:
    return runs.forget(shelf.book, now_us)
