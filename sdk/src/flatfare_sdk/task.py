"""Tasks and attempts as the program has them: opened, tried, judged, closed.

The host's own exceptions pass through unchanged, and are told as attempts that failed.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TypeVar

from flatfare_sdk import events
from flatfare_sdk.context import Scope, Work, current_scope, enter, leave, status_of
from flatfare_sdk.events import known, now_us
from flatfare_sdk.guarding import harmless, nothing, warn_once
from flatfare_sdk.identity import new_id
from flatfare_sdk.recorder import process

F = TypeVar("F", bound=Callable[..., object])


class Attempt(Scope):
    """One try at a task; the calls made within belong to it."""

    __slots__ = ("_generation", "_is_ended", "id", "number", "rung", "task")

    def __init__(self, task: "Task", rung: str | None) -> None:
        super().__init__(task.session)
        self.task = task
        self.rung = rung
        self.number = 0
        self.id = ""
        self._is_ended = False
        self._generation = process.generation

    @harmless(nothing)
    def _start(self) -> None:
        self.task.begin()
        at_us = now_us()
        self.number = self.task._next_number()
        self.id = new_id(at_us)
        self.session = self.task.session
        enter(self)
        self.task._tell(
            events.event(
                "attempt_started",
                self.task.id,
                at_us,
                attempt=self.id,
                number=self.number,
                rung=known("rung", events.text, self.rung),
            )
        )

    def open(self) -> "Attempt":
        """Begin, where no ``with`` does; to be ended by ``close``."""
        if not self.id:
            self._start()
        return self

    @harmless(nothing)
    def close(self, status: str = "ok") -> None:
        """End: ``ok``, ``failed`` or ``cancelled``. Only the first end counts."""
        said = events.one_of(events.STATUSES)(status)
        leave(self)
        if self._is_ended or not self.id or self._generation != process.generation:
            return
        self._is_ended = True
        self.task._tell(events.event("attempt_ended", self.task.id, attempt=self.id, status=said))

    def __enter__(self) -> "Attempt":
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))

    async def __aenter__(self) -> "Attempt":
        return self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))


class Verifying(Scope):
    """A stretch in which a task's work is judged: calls within are not the work, and cost apart."""

    __slots__ = ()

    def __enter__(self) -> "Verifying":
        enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        leave(self)

    async def __aenter__(self) -> "Verifying":
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        leave(self)


class Task(Work):
    """A piece of work: a context manager, and a decorator that makes one task of each call.

    What it is told is recorded at once; it never raises, and never returns anything to wait for.
    """

    __slots__ = ("_attempts", "_fields", "_generation", "_is_closed", "_opened_at_us", "id", "name")

    def __init__(
        self, name: str, given_id: str | None, session: str | None, fields: Mapping[str, object]
    ) -> None:
        super().__init__(session)
        self.name = name
        self.id = given_id or ""  # an id or a name of the host's, else made when it is opened
        self._fields = fields  # of its opening, as an event has them
        self._attempts = 0
        self._opened_at_us = 0
        self._is_closed = False
        self._generation = process.generation

    @property
    def labels(self) -> Mapping[str, str]:
        """Whose it is."""
        found = self._fields.get("labels")
        return found if isinstance(found, dict) else {}

    def again(self) -> "Task":
        """A task as this was to be, for the next call of a decorated function."""
        return Task(self.name, self.id, self.session, self._fields)

    @harmless(nothing)
    def begin(self) -> None:
        """Open, without making it current here."""
        if self._opened_at_us:
            return
        self._opened_at_us = at_us = now_us()
        self._generation = process.generation
        self.id = self.id or new_id(at_us)
        outer = current_scope()
        if self.session is None and outer is not None:
            self.session = outer.session
        self._tell(
            events.event("opened", self.id, at_us, name=self.name, session=self.session, **self._fields)
        )

    def open(self) -> "Task":
        """Begin, where no ``with`` does; to be ended by ``close``."""
        if self._is_closed:
            warn_once(
                "again", "flatfare: a task was entered again after its end: make one for each piece of work"
            )
        if not self.is_open:
            self.begin()
            enter(self)
        return self

    @harmless(nothing)
    def close(self, status: str = "ok", *, path: str | None = None) -> None:
        """End the work. A task that named no attempts was one, which ended like this."""
        said = events.one_of(events.STATUSES)(status)
        leave(self)
        if self._is_closed or not self._opened_at_us or self._generation != process.generation:
            return
        self._is_closed = True
        if not self._attempts:
            self._tell_of_one_attempt(said)
        self._tell(events.event("closed", self.id, path=known("path", events.text, path)))

    def _tell_of_one_attempt(self, status: str) -> None:
        attempt = new_id(self._opened_at_us)
        started = events.event(
            "attempt_started", self.id, self._opened_at_us, attempt=attempt, number=self._next_number()
        )
        self._tell(started)
        self._tell(events.event("attempt_ended", self.id, attempt=attempt, status=status))

    def attempt(self, rung: str | None = None) -> Attempt:
        """One try: ``with t.attempt(rung="small"):``. Tries are counted from 1."""
        return Attempt(self, rung)

    def verifying(self) -> Verifying:
        """Calls made within judge the work: ``with t.verifying():``. Their cost is verification cost."""
        return Verifying(self.session)

    @harmless(nothing)
    def verdict(
        self,
        verifier: str,
        passed: bool | None,
        *,
        evidence: object,
        version: str = "1",
        kind: str = "code",
        score: object = None,
        cost: object = None,
    ) -> None:
        """Whether the work was done, by whom it was found, and on what evidence; None abstains.

        Evidence is any JSON, text or pydantic model; its hash is recorded, and it stays here.
        ``kind`` is code, model, human, customer or signal; ``cost`` is what judging cost, in dollars.
        """
        self.begin()
        self._tell(
            events.judged(
                self.id,
                verifier,
                passed,
                evidence=evidence,
                version=version,
                kind=kind,
                score=score,
                cost=cost,
                attempt_number=self._attempt_here(),
            )
        )

    @harmless(nothing)
    def signal(self, name: str, value: object = None, *, source: str | None = None) -> None:
        """What the world said of it: accepted, reopened, csat, chargeback, refund, or a name of yours."""
        self.begin()
        self._tell(events.signalled(self.id, name, value, source))

    @harmless(nothing)
    def rework(self, minutes: object, rate: object = None, *, by_whom: str | None = None) -> None:
        """A person put something right: for so many minutes, at so many dollars an hour."""
        self.begin()
        self._tell(events.reworked(self.id, minutes, rate, by_whom))

    def _next_number(self) -> int:
        """Counts an attempt."""
        self._attempts += 1
        return self._attempts

    def _attempt_here(self) -> int | None:
        scope = current_scope()
        while scope is not None:
            if isinstance(scope, Attempt) and scope.task is self:
                return scope.number
            scope = scope.outer
        return None

    def _tell(self, line: bytes) -> None:
        """Record an event."""
        process.recorder().put(line)

    def __enter__(self) -> "Task":
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))

    async def __aenter__(self) -> "Task":
        return self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(status_of(problem))

    def __call__(self, function: F) -> F:
        from flatfare_sdk.decorating import decorated  # with inspect, which loads longer than all this

        return decorated(self, function)


def work_here() -> tuple[Task | None, Attempt | None, bool]:
    """The task that is current here, its attempt if one is, and whether it is being judged."""
    scope = current_scope()
    is_judged = isinstance(scope, Verifying)
    while isinstance(scope, Verifying):
        scope = scope.outer
    if isinstance(scope, Attempt):
        return scope.task, scope, is_judged
    return (scope if isinstance(scope, Task) else None), None, is_judged


class Silent(Task):
    """What stands for a task where there is none: takes everything, records nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("", None, None, {})

    @property
    def labels(self) -> Mapping[str, str]:
        """Whose it is."""
        found = self._fields.get("labels")
        return found if isinstance(found, dict) else {}

    def again(self) -> "Task":
        """Another that says nothing."""
        return Silent()

    def begin(self) -> None:
        """Nothing is opened."""

    def open(self) -> "Task":
        """Nothing is made current."""
        return self

    def _tell(self, line: bytes) -> None:
        """Nothing is recorded."""
