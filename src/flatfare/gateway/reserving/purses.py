"""What is held against allowances on this node, in one epoch: exact, in memory, and pure.

A purse is what was leased of one allowance, and how much of it is used: held for calls under
way, or spent by calls that ended. Used never exceeds leased. A call draws on all its purses
at once or on none; what does not fit waits in the order it came, as long as it may.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flatfare.gateway.reserving.messages import Granted, Refused, Reserve

KINDS_MAX = 4096
PLENTY, PORTION_CALLS = 8, 50
"""A purse is refilled ahead where the book has so many times the last portion left, of so many calls; and
there is plenty for a call where so many like it would fit."""

ASKED_S_MAX = 5.0
"""Who waits for the book to be asked waits so much longer at most."""

HEADROOM_PERCENT = 125
"""Where room is short, a call without a limit is given so much of what the dearest of its kind has needed."""


@dataclass(slots=True)
class Purse:
    """What was leased of one allowance in this epoch, and what of it is used."""

    allowance_id: str
    leased_nano: int = 0
    used_nano: int = 0
    limit_nano: int = 0  # as last seen
    left_nano: int = 0  # neither spent nor leased to anybody, as last seen
    is_looked_at: bool = False  # the book was asked since the last change that could free something
    away: bool = False  # the book could not be asked
    portion_nano: int = 0  # what was leased last, where there is plenty more
    is_in_use: bool = True  # since somebody last looked for what is idle

    @property
    def free_nano(self) -> int:
        """Leased and not used."""
        return self.leased_nano - self.used_nano

    @property
    def is_low(self) -> bool:
        """Half of the last portion is used up, and there is plenty more."""
        return self.leased_nano - self.used_nano < self.portion_nano // 2


@dataclass(slots=True)
class Held:
    """What is held for one call."""

    owner: int  # whose call it is
    nano: int
    purses: tuple[Purse, ...]
    kind: str


@dataclass(slots=True)
class Waiting:
    """A call that waits for room."""

    owner: int
    ask: Reserve
    purses: tuple[Purse, ...]
    until: float
    asked: set[str] = field(default_factory=set)  # allowances of which the book was asked on its behalf


class Purses:
    """All purses of an epoch, what is held, and who waits."""

    def __init__(self) -> None:
        self.purses: dict[str, Purse] = {}
        self.held: dict[str, Held] = {}
        self.waiting: dict[str, Waiting] = {}
        self._seen: dict[str, int] = {}  # what the dearest call of a kind has needed

    def reserve(self, owner: int, ask: Reserve, until: float) -> Granted | None:
        """Hold what a call asks for; None where it has to wait. The same call twice is held once."""
        held = self.held.get(ask.call_id)
        if held is not None:
            return self._granted(ask.call_id, held)
        purses = tuple(self._purse(name) for name in ask.allowance_ids)
        granted = self._try(owner, ask, purses, is_short=False)
        if granted is None:
            self.waiting[ask.call_id] = Waiting(owner, ask, purses, until)
        return granted

    def settle(
        self, call_id: str, cost_nano: int | None, needed_nano: int | None = None
    ) -> tuple[Purse, ...]:
        """A call has ended: what it did not use is free again. The purses that changed."""
        held = self.held.pop(call_id, None)
        if held is None:
            self.waiting.pop(call_id, None)  # its client has left before it was its turn
            return ()
        for purse in held.purses:
            purse.used_nano += (held.nano if cost_nano is None else cost_nano) - held.nano
            purse.is_looked_at = False
        if needed_nano is not None:
            if held.kind not in self._seen and len(self._seen) >= KINDS_MAX:
                self._seen.clear()
            self._seen[held.kind] = max(self._seen.get(held.kind, 0), needed_nano)
        return held.purses

    def leased(
        self,
        allowance_id: str,
        nano: int,
        limit_nano: int,
        left_nano: int,
        asked_for: Iterable[str],
        *,
        is_away: bool = False,
    ) -> None:
        """The book was asked, on behalf of these calls, and gave so much."""
        purse = self._purse(allowance_id)
        purse.leased_nano += nano
        purse.away = is_away
        purse.is_looked_at = True
        if not is_away:
            purse.limit_nano, purse.left_nano = limit_nano, left_nano
            if nano:
                purse.portion_nano = nano if left_nano >= PLENTY * nano else 0
        for call_id in asked_for:
            if call_id in self.waiting:
                self.waiting[call_id].asked.add(allowance_id)

    def serve_waiting(self) -> Iterator[tuple[int, Granted]]:
        """Those that wait and fit now, in the order they came; whose they are, and what they are given."""
        for call_id, waiting in list(self.waiting.items()):
            is_short = all(
                purse.allowance_id in waiting.asked for purse in waiting.purses if self._lacks(waiting, purse)
            )
            granted = self._try(waiting.owner, waiting.ask, waiting.purses, is_short=is_short)
            if granted is not None:
                del self.waiting[call_id]
                yield waiting.owner, granted

    def refuse_late(self, now: float) -> Iterator[tuple[int, Refused]]:
        """Those that have waited as long as they may, or never can fit, once the book was asked for them."""
        for call_id, waiting in list(self.waiting.items()):
            lacking = [purse for purse in waiting.purses if self._lacks(waiting, purse)]
            is_open = not lacking or any(purse.allowance_id not in waiting.asked for purse in lacking)
            if is_open and now < waiting.until + ASKED_S_MAX:
                continue
            hopeless = [
                purse for purse in lacking if not purse.away and purse.limit_nano < waiting.ask.least_nano
            ]
            if now < waiting.until and not hopeless:
                continue
            del self.waiting[call_id]
            purse = min(hopeless or lacking or waiting.purses, key=lambda one: one.free_nano)
            left_nano = max(0, purse.left_nano + purse.free_nano)
            yield (
                waiting.owner,
                Refused(
                    call_id,
                    purse.allowance_id,
                    left_nano,
                    self._least(waiting.ask),
                    purse.limit_nano,
                    purse.away or is_open,
                ),
            )

    def needs(self) -> dict[str, list[tuple[str, int, int]]]:
        """For each allowance of which the book is to be asked: calls, least and wanted amounts, in order."""
        found: dict[str, list[tuple[str, int, int]]] = {}
        for call_id, waiting in self.waiting.items():
            for purse in waiting.purses:
                if self._lacks(waiting, purse) and not (
                    purse.is_looked_at and purse.allowance_id in waiting.asked
                ):
                    least = self._least(waiting.ask)
                    amounts = (call_id, least, self._wanted(waiting.ask, least, waiting.purses))
                    found.setdefault(purse.allowance_id, []).append(amounts)
        for name, purse in self.purses.items():
            if purse.is_low and name not in found:
                more = purse.free_nano + purse.portion_nano // PORTION_CALLS
                found[name] = [("", more, more)]
        return found

    def are_low(self, allowance_ids: Iterable[str]) -> bool:
        """Any of these is half used up while there is plenty more: it is refilled before somebody waits."""
        for name in allowance_ids:  # noqa: SIM110 - asked of every call
            if self.purses[name].is_low:
                return True
        return False

    def leave(self, owner: int) -> list[str]:
        """An owner is gone: its calls that wait do not wait any more; the ids of those that are held."""
        for call_id in [one for one, waiting in self.waiting.items() if waiting.owner == owner]:
            del self.waiting[call_id]
        return [call_id for call_id, held in self.held.items() if held.owner == owner]

    def rest(self) -> None:
        """Begin to watch anew which purses are in use."""
        for purse in self.purses.values():
            purse.is_in_use = False

    def idle(self) -> Iterable[tuple[str, int]]:
        """What is leased and not used, where nobody waits for it."""
        awaited = {purse.allowance_id for waiting in self.waiting.values() for purse in waiting.purses}
        return [
            (name, purse.free_nano)
            for name, purse in self.purses.items()
            if purse.free_nano > 0 and name not in awaited
        ]

    def given_back(self, allowance_id: str, nano: int) -> None:
        """So much was given back to the book."""
        self.purses[allowance_id].leased_nano -= nano

    def recalled(self, purse: Purse) -> int:
        """Its terms have changed: what is not used goes back, and the book is asked before more is served."""
        nano = max(0, purse.free_nano)
        purse.leased_nano -= nano
        purse.portion_nano = purse.left_nano = 0
        purse.is_looked_at = False
        return nano

    def look_again(self) -> None:
        """Other nodes may have given something back: who waits has the book asked again."""
        for waiting in self.waiting.values():
            for purse in waiting.purses:
                purse.is_looked_at = False

    def forget_unused(self) -> None:
        """Purses of windows that have passed, with nothing under way, need not be remembered."""
        for name in [
            name for name, purse in self.purses.items() if purse.leased_nano == purse.used_nano == 0
        ]:
            if not any(name in waiting.ask.allowance_ids for waiting in self.waiting.values()):
                del self.purses[name]

    def _purse(self, allowance_id: str) -> Purse:
        purse = self.purses.get(allowance_id)
        if purse is None:
            purse = self.purses[allowance_id] = Purse(allowance_id)
        return purse

    def _least(self, ask: Reserve) -> int:
        """What a call must be given: what the dearest of its kind has needed, so that it is not cut short."""
        if ask.least_nano == ask.most_nano:
            return ask.least_nano
        return min(ask.most_nano, max(ask.least_nano, self._seen.get(ask.kind, 0)))

    def _wanted(self, ask: Reserve, least: int, purses: Iterable[Purse]) -> int:
        """What a call is given where there is enough: its longest answer, while many such fit beside it.

        So an answer is only ever cut short to fit a budget, and not because those before it were shorter.
        """
        most, seen = ask.most_nano, self._seen.get(ask.kind)
        if least == most or seen is None:
            return most
        for purse in purses:
            if purse.left_nano + purse.free_nano < PLENTY * most:
                return min(most, max(least, seen * HEADROOM_PERCENT // 100))
        return most

    def _lacks(self, waiting: Waiting, purse: Purse) -> bool:
        least = self._least(waiting.ask)
        is_asked = purse.allowance_id in waiting.asked
        return purse.free_nano < (least if is_asked else self._wanted(waiting.ask, least, waiting.purses))

    def _try(self, owner: int, ask: Reserve, purses: tuple[Purse, ...], *, is_short: bool) -> Granted | None:
        """Hold it if it fits: what is wanted, or, where no more is to be had, what there is."""
        least = self._least(ask)
        nano = wanted = self._wanted(ask, least, purses)
        for purse in purses:
            free = purse.leased_nano - purse.used_nano
            if free < nano:
                nano = free
        if nano < wanted and (nano < least or not is_short):
            return None
        for purse in purses:
            purse.used_nano += nano
            purse.is_in_use = True
        held = self.held[ask.call_id] = Held(owner, nano, purses, ask.kind)
        return self._granted(ask.call_id, held)

    def _granted(self, call_id: str, held: Held) -> Granted:
        tightest, least_nano = "", 0
        for purse in held.purses:
            left_nano = purse.left_nano + purse.leased_nano - purse.used_nano
            if not tightest or left_nano < least_nano:
                tightest, least_nano = purse.allowance_id, left_nano
        return Granted(call_id, held.nano, max(0, least_nano), tightest)
