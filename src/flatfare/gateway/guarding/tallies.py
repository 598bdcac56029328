"""How far each subject has gone under each guard on this node: exact, in memory, and pure.

A call is judged by all its guards at once and counted by all or by none, before it is sent; so
calls that are made at one time cannot pass a limit on calls together. What ends later (tokens,
cost, failures) is added when it does.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flatfare.core.guard import BEHAVED, CAP, COUNTED, STOP, THROTTLE, WATCH, Guard, Slot, grows, storm
from flatfare.gateway.reserving.messages import Over, Passed, Stopped, Watch
from flatfare.store.guards import Tallied

SECOND_US = 1_000_000
WAIT_S_MAX = 60
"""A call that is throttled waits so long at most; past that it is refused, and told when to come again."""

BUDGET_PACE_S = 10
"""Of an allowance that is to be spent slowly, one call may go every so many seconds."""

REST_US = 600 * SECOND_US
"""Who behaves well for so long and then badly again is told of again."""

SLOT_S, SLOTS = 10, 366
"""Failures are counted by ten seconds, over the last hour."""

REMEMBERED = 64  # calls of a subject whose size is known
MARKS_MAX = 1024
IDLE_US, CROWDED_US, TALLIES_MAX = 3600 * SECOND_US, 10 * SECOND_US, 100_000


@dataclass(frozen=True, slots=True)
class Crossing:
    """A subject went past a guard, of which somebody is to be told."""

    guard: Guard
    subject: str
    value: int
    at_us: int
    ask: Watch


@dataclass(slots=True)
class Ways:
    """How a subject behaved of late, as far as its guard looks at it; remembered here alone."""

    sizes: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    contexts: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    made: dict[str, deque[int]] = field(default_factory=dict)
    slots: deque[Slot] = field(default_factory=lambda: deque(maxlen=SLOTS))


@dataclass(slots=True)
class Tally:
    """How far one subject has gone under one guard."""

    own: Tallied  # on this node, ever
    elsewhere: Tallied | None = None  # on all other nodes, as of a moment ago
    calls: int = 0  # these are own's, as they stand now
    tokens: int = 0
    cost_nano: int = 0
    began_us: int = 0
    last_us: int = 0
    hits: int = 0
    hit_at_us: int | None = None
    hit_value: int | None = None
    last_call: str | None = None
    told_limit: int | None = None
    ways: Ways | None = None
    next_us: int = 0  # when the next call may go, where they are throttled

    def __post_init__(self) -> None:
        own = self.own
        self.calls, self.tokens, self.cost_nano = own.calls, own.tokens, own.cost_nano
        self.began_us, self.last_us, self.hits = own.began_at_us, own.last_at_us, own.hits
        self.hit_at_us, self.hit_value, self.last_call = own.hit_at_us, own.hit_value, own.last_call

    @property
    def pair(self) -> tuple[str, str]:
        """Its guard and its subject."""
        return self.own.guard_id, self.own.subject

    @property
    def standing(self) -> Tallied:
        """This node's part, as the book keeps it."""
        return Tallied(
            self.own.guard_id,
            self.own.subject,
            self.calls,
            self.tokens,
            self.cost_nano,
            self.began_us,
            self.last_us,
            self.hits,
            self.hit_at_us,
            self.hit_value,
            self.last_call,
        )

    def begun_us(self, now_us: int) -> int:
        """When the subject was first seen, on any node."""
        other = 0 if self.elsewhere is None else self.elsewhere.began_at_us
        return min(self.began_us or now_us, other or now_us)


@dataclass(slots=True)
class _Held:
    owner: int
    on: list[tuple[Guard, Tally]]


class Tallies:
    """All tallies of a node, and the calls under way that were let go."""

    def __init__(self) -> None:
        self.guards: Mapping[str, Guard] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._paces: dict[str, int] = {}
        self._held: dict[str, _Held] = {}
        self._changed: dict[tuple[str, str], Tally] = {}  # what the book does not know yet
        self._crossings: list[Crossing] = []

    def __len__(self) -> int:
        return len(self._tallies)

    def unknown(self, ask: Watch) -> list[tuple[str, str]]:
        """The guards' subjects of a call of which the book has not been asked yet."""
        return [(guard, subject) for guard, subject, _ in ask.on if (guard, subject) not in self._tallies]

    def learn(self, pairs: Iterable[tuple[str, str]], found: Mapping[str, list[Tallied]], node: str) -> None:
        """What the book knows of subjects, by node."""
        fresh = {pair for pair in pairs if pair not in self._tallies}
        own = {(one.guard_id, one.subject): one for one in found.get(node, ())}
        for pair in fresh:
            self._tallies[pair] = Tally(own.get(pair) or Tallied(*pair))
        for other, rows in found.items():
            for one in rows:
                if other != node and (one.guard_id, one.subject) in fresh:
                    tally = self._tallies[one.guard_id, one.subject]
                    held = tally.elsewhere
                    tally.elsewhere = one if held is None else _sum(held, one)

    def hear(self, others: Iterable[Tallied]) -> None:
        """What all other nodes have counted by now, of subjects that did something there."""
        for one in others:
            tally = self._tallies.get((one.guard_id, one.subject))
            if tally is not None:
                tally.elsewhere = one

    def decide(self, owner: int, ask: Watch, now_us: int) -> Passed | Stopped:
        """Let a call go, at once or after a while, or stop it. The same call twice is let go once."""
        if ask.call_id in self._held:
            return Passed(ask.call_id)
        on = []
        for guard_id, subject, found in ask.on:
            guard, tally = self.guards.get(guard_id), self._tallies.get((guard_id, subject))
            if guard is not None and tally is not None:
                if tally.ways is None and guard.kind in BEHAVED:
                    tally.ways = Ways()
                on.append((guard, tally, _past(guard, tally, ask, found, now_us)))
        for guard, tally, value in on:
            if value is not None and guard.action == STOP:
                self._hit(guard, tally, value, ask, now_us)
                retry_s = _retry_s(guard, tally, ask, now_us)
                return Stopped(ask.call_id, guard.id, tally.own.subject, value, retry_s)
        return self._paced(owner, ask, on, now_us)

    def _paced(
        self, owner: int, ask: Watch, on: list[tuple[Guard, Tally, int | None]], now_us: int
    ) -> Passed | Stopped:
        """Nothing stops it: give it its turn where it is throttled, and count it."""
        go_us, last = now_us, ("", "", 0)
        for guard, tally, value in on:
            if value is not None:
                self._hit(guard, tally, value, ask, now_us)
                if guard.action == THROTTLE and tally.next_us > go_us:
                    go_us, last = tally.next_us, (guard.id, tally.own.subject, value)
        for name in ask.paced:
            if self._paces.get(name, 0) > go_us:
                go_us, last = self._paces[name], (name, "", 0)
        if go_us - now_us > WAIT_S_MAX * SECOND_US:
            return Stopped(ask.call_id, *last, retry_s=_seconds_up(go_us - now_us))
        for guard, tally, value in on:
            if value is not None and guard.action == THROTTLE:
                tally.next_us = go_us + guard.pace_s * SECOND_US
            _count(guard, tally, ask, now_us)
            if guard.kind in COUNTED:
                self._changed[tally.pair] = tally
        for name in ask.paced:
            self._paces[name] = go_us + BUDGET_PACE_S * SECOND_US
        self._held[ask.call_id] = _Held(owner, [(guard, tally) for guard, tally, _ in on])
        return Passed(ask.call_id, -(-(go_us - now_us) // 1000))

    def _hit(self, guard: Guard, tally: Tally, value: int, ask: Watch, now_us: int) -> None:
        former_us = tally.hit_at_us
        tally.hits += 1
        tally.hit_at_us, tally.hit_value, tally.last_call = now_us, value, ask.call_id
        tally.last_us = now_us
        self._changed[tally.pair] = tally
        if guard.action in (WATCH, CAP):
            return
        if guard.kind in COUNTED:
            is_new = tally.told_limit != guard.limit
        else:
            is_new = former_us is None or now_us - former_us > REST_US
        if is_new:
            tally.told_limit = guard.limit
            self._crossings.append(Crossing(guard, tally.own.subject, value, now_us, ask))

    def end(self, over: Over, now_us: int) -> None:
        """A call that was let go has ended."""
        held = self._held.pop(over.call_id, None)
        if held is None:
            return
        for guard, tally in held.on:
            if guard.kind in COUNTED:
                self._changed[tally.pair] = tally
            if not over.was_sent:
                tally.calls -= 1
                continue
            tally.last_us = now_us
            tally.tokens += over.tokens
            tally.cost_nano += over.cost_nano or 0
            if tally.ways is not None and over.context:
                tally.ways.contexts.append(over.context)
            if tally.ways is not None and guard.kind == "retries":
                _add_slot(tally.ways.slots, now_us // SECOND_US // SLOT_S * SLOT_S, over.has_failed)

    def leave(self, owner: int) -> None:
        """A worker is gone: its calls were counted, and nobody will say how they ended."""
        for call_id in [one for one, held in self._held.items() if held.owner == owner]:
            del self._held[call_id]

    def take_changes(self) -> list[Tallied]:
        """What the book is to keep and does not know yet."""
        changed, self._changed = self._changed, {}
        return [tally.standing for tally in changed.values()]

    def take_crossings(self) -> list[Crossing]:
        """Of what somebody is to be told."""
        found, self._crossings = self._crossings, []
        return found

    def put_back(self, changes: Iterable[Tallied], crossings: list[Crossing]) -> None:
        """The book could not be written: it is to be tried again."""
        for one in changes:
            tally = self._tallies.get((one.guard_id, one.subject))
            if tally is not None:
                self._changed[tally.pair] = tally
        self._crossings = [*crossings, *self._crossings]

    def forget_idle(self, now_us: int) -> None:
        """Who was silent for an hour is looked up again when it comes back; where they are many, sooner."""
        idle_us = IDLE_US if len(self._tallies) <= TALLIES_MAX else CROWDED_US
        busy = {tally.pair for held in self._held.values() for _, tally in held.on}
        for pair, tally in list(self._tallies.items()):
            is_waiting = pair in self._changed or pair in busy or tally.next_us > now_us
            if not is_waiting and now_us - tally.last_us > idle_us:
                del self._tallies[pair]
        for name in [name for name, at_us in self._paces.items() if at_us < now_us]:
            del self._paces[name]


def _past(guard: Guard, tally: Tally, ask: Watch, found: int, now_us: int) -> int | None:
    """By how much a call goes past a guard; None where it does not."""
    if found >= 0:
        return found
    if guard.kind == "repeat":
        made = max((len(_made(guard, tally, mark, now_us)) for mark in _marks(guard, ask)), default=0)
        return made if guard.is_over(made) else None
    if guard.kind == "context":
        return _grown(guard, tally, ask)
    if guard.kind == "retries":
        return None if tally.ways is None else storm(tally.ways.slots, now_us // SECOND_US, guard)
    if guard.kind not in COUNTED:
        return None  # what a request carries the worker finds
    value = _counted(guard, tally, now_us)
    return value if guard.is_over(value) else None


def _counted(guard: Guard, tally: Tally, now_us: int) -> int:
    other = tally.elsewhere
    if guard.kind == "calls":
        return tally.calls + (0 if other is None else other.calls)
    if guard.kind == "tokens":
        return tally.tokens + (0 if other is None else other.tokens)
    if guard.kind == "cost":
        return tally.cost_nano + (0 if other is None else other.cost_nano)
    return (now_us - tally.begun_us(now_us)) // SECOND_US


def _grown(guard: Guard, tally: Tally, ask: Watch) -> int | None:
    """The context by now, where it only grows: by what is sent, or by what the provider says was read.

    A request half as long as the one before has been cut down, whatever was read before.
    """
    ways = tally.ways
    if ways is None or not ways.contexts or ways.contexts[-1] < guard.limit:
        return None
    sizes, contexts = [*ways.sizes, ask.size_bytes], list(ways.contexts)
    is_cut = bool(ways.sizes) and 2 * ask.size_bytes < ways.sizes[-1]
    if grows(sizes, guard.least, 0) or (grows(contexts, guard.least, guard.limit) and not is_cut):
        return contexts[-1]
    return None


def _marks(guard: Guard, ask: Watch) -> list[str]:
    """What tells a request again: steps of a tool's use only within one piece of work."""
    if guard.per in ("session", "task"):
        return ask.marks
    return [mark for mark in ask.marks if not mark.startswith("step")]


def _made(guard: Guard, tally: Tally, mark: str, now_us: int) -> deque[int]:
    """When a request was made within the window."""
    made = None if tally.ways is None else tally.ways.made.get(mark)
    if made is None:
        return deque()
    while made and made[0] <= now_us - guard.window_s * SECOND_US:
        made.popleft()
    return made


def _count(guard: Guard, tally: Tally, ask: Watch, now_us: int) -> None:
    tally.calls += 1
    tally.began_us = tally.began_us or now_us
    tally.last_us = now_us
    ways = tally.ways
    if ways is not None and guard.kind == "context":
        ways.sizes.append(ask.size_bytes)
    if ways is not None and guard.kind == "repeat":
        if len(ways.made) >= MARKS_MAX:
            for mark in list(ways.made):
                if not _made(guard, tally, mark, now_us):
                    del ways.made[mark]
            if len(ways.made) >= MARKS_MAX:
                ways.made.clear()
        for mark in _marks(guard, ask):
            made = ways.made.setdefault(mark, deque())
            made.append(now_us)
            while len(made) > max(1, guard.limit):
                made.popleft()


def _retry_s(guard: Guard, tally: Tally, ask: Watch, now_us: int) -> int | None:
    """After how long it may be tried again; None where that is of no use."""
    if guard.kind not in BEHAVED or guard.kind == "context":
        return None
    if guard.kind == "retries":
        return guard.window_s
    over = (_made(guard, tally, mark, now_us) for mark in _marks(guard, ask))
    firsts = [made[0] for made in over if made and guard.is_over(len(made))]
    return _seconds_up(max(firsts, default=now_us) + guard.window_s * SECOND_US - now_us)


def _add_slot(slots: deque[Slot], begins_s: int, has_failed: bool) -> None:
    if slots and slots[-1].begins_s == begins_s:
        last = slots.pop()
        slots.append(Slot(begins_s, last.calls + 1, last.failed + int(has_failed)))
    else:
        slots.append(Slot(begins_s, 1, int(has_failed)))
        while slots[0].begins_s < begins_s - SLOT_S * SLOTS:
            slots.popleft()


def _seconds_up(span_us: int) -> int:
    return max(1, -(-span_us // SECOND_US))


def _sum(one: Tallied, other: Tallied) -> Tallied:
    return Tallied(
        one.guard_id,
        one.subject,
        one.calls + other.calls,
        one.tokens + other.tokens,
        one.cost_nano + other.cost_nano,
        min(one.began_at_us or other.began_at_us, other.began_at_us or one.began_at_us),
        max(one.last_at_us, other.last_at_us),
        one.hits + other.hits,
    )
