"""One turn of booking: what will be written to the book in one transaction, each call found by its id."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flatfare.gateway.reading_back import Note, Place
from flatfare.gateway.records import Intent, Result, Told
from flatfare.gateway.reserving.charging import Charge, charge_of
from flatfare.store.adjustments import Correction
from flatfare.store.book import Value
from flatfare.store.calls import begins_answer, is_of_kept_answer, may_be_told
from flatfare.store.newest import Call


@dataclass(slots=True)
class Turn:
    """What one turn has read, and what becomes of it."""

    rows: dict[str, dict[str, Value]] = field(default_factory=dict)  # of calls that are booked now, by id
    opened: dict[str, tuple[str, Intent]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)  # of those that were open in the book
    late: list[tuple[Intent | None, Result]] = field(default_factory=list)  # perhaps booked already
    fetched: list[tuple[Intent, Result]] = field(default_factory=list)  # answers that were begun before
    told: list[Told] = field(default_factory=list)  # costs of calls that ended before
    priced: dict[str, str] = field(default_factory=dict)  # versions of prices, and what they are
    places: dict[str, Place] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    finished: list[Path] = field(default_factory=list)  # folders of dead workers, read to their end
    corrections: dict[str, Correction] = field(default_factory=dict)  # of calls booked before, by id
    problems: list[str] = field(default_factory=list)
    unproven: int = 0
    repeated: int = 0
    is_idle: bool = True
    _begun: list[str] = field(default_factory=list)  # calls booked now that began what their provider keeps
    _charges: dict[str, list[Charge]] = field(default_factory=dict)  # by call

    @property
    def changes_the_book(self) -> bool:
        """Whether anything was read; what is found of it later follows from that."""
        return bool(self.places or self.rows or self.closed or self.notes)

    @property
    def charges(self) -> Iterable[Charge]:
        """What calls cost their budgets."""
        return (one for of_call in self._charges.values() for one in of_call)

    def book(
        self, row: dict[str, Value], intent: Intent | None, cost_nano: int | None, *, is_final: bool = True
    ) -> None:
        """Book a call, and charge it; where its cost may be told otherwise later, the charge can change."""
        self.rows[str(row["id"])] = row
        if is_of_kept_answer(row) and begins_answer(row):
            self._begun.append(str(row["id"]))
        if intent is None:
            return
        is_final = is_final and not may_be_told(row)
        self.charge(
            one if is_final else msgspec.structs.replace(one, is_certain=False)
            for one in charge_of(intent, cost_nano)
        )

    def charge(self, charges: Iterable[Charge]) -> None:
        """Charge calls, beside what they are charged already."""
        for one in charges:
            self._charges.setdefault(one.call_id, []).append(one)

    def beginnings(self) -> list[Call]:
        """The calls, booked or corrected now, that began answers which their providers keep."""
        corrected: list[Call] = [{**one.call, **one.change} for one in self.corrections.values()]
        found = [call for call in corrected if is_of_kept_answer(call) and begins_answer(call)]
        return [*(self.rows[call_id] for call_id in self._begun), *found]

    def present(self, call_id: str, stored: Mapping[str, Call]) -> Call | None:
        """A call as this turn leaves it; ``stored`` has those that were booked before."""
        correction = self.corrections.get(call_id)
        if correction is not None:
            return {**correction.call, **correction.change}
        return self.rows.get(call_id) or stored.get(call_id)

    def change(self, call: Call, change: Mapping[str, Value]) -> None:
        """Change a call: the row that is booked now, or by a correction; and what it is charged."""
        call_id = str(call["id"])
        if call_id in self.rows:
            self.rows[call_id].update(change)
            if call_id in self._charges:
                last = self._charges[call_id][-1]
                self._charges[call_id][-1] = _charged(last, change["cost_nano"], self.rows[call_id])
            return
        before = self.corrections.get(call_id)
        if before is not None:
            call, change = before.call, {**before.change, **change}
        self.corrections[call_id] = Correction(call, change)


def _charged(charge: Charge, cost_nano: Value, call: Call) -> Charge:
    """A charge, once its call's cost is told."""
    if not isinstance(cost_nano, int):
        return charge
    charged_before = charge.total_nano - charge.nano
    return msgspec.structs.replace(
        charge,
        nano=cost_nano - charged_before,
        is_certain=not may_be_told(call),
        total_nano=cost_nano,
    )
