"""A call as it is put on record: its intent before it is sent, its result before its client hears the end.

What it cost takes the place of what its budgets hold for it as soon as that is kept, and no sooner.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.gateway.admission import Admitted
from flatfare.gateway.forwarding.home import Home
from flatfare.gateway.guarding.watching import over_of
from flatfare.gateway.journal import OnKept
from flatfare.gateway.records import Ended, Intent, Result
from flatfare.gateway.reserving.messages import Granted
from flatfare.gateway.tap import Metered
from flatfare.gateway.texts import Taken
from flatfare.gateway.wire import Request
from flatfare.service.budgets.terms import TIER_UNSAID

PLENTY = 50
"""Where a budget has so many times left what a call was given, nobody waits for what it did not use."""

NO_FIELDS: Mapping[bytes, bytes] = MappingProxyType({})


class RecordedCall:
    """What is known of one try of a request, and how it is kept."""

    # What differs in few calls has its default here: setting it anew for each call would cost time.
    _granted: Granted | None = None  # what is held for it against its budgets
    _is_watched = False  # its guards let it go, and are to be told how it ends
    _taken: Taken | None = None  # the answer, where its key asks for it to be stored
    _status: int | None = None
    _fields: Mapping[bytes, bytes] = NO_FIELDS
    _is_kept = False
    _is_sent = False
    _sent = 0.0
    _first_byte = 0.0
    _ended = 0.0

    def __init__(self, worker: Home, request: Request, admitted: Admitted, tries: int) -> None:
        self._worker = worker
        self._request = request
        self._admitted = admitted
        self._tries = tries
        # A later try begins when its turn comes: what the tries before it took is theirs.
        self._arrived = request.arrived_at if tries == 1 else time.monotonic()
        self._at_us = time.time_ns() // 1000
        self.call_id = worker.new_id(self._at_us)
        self._changed = admitted.changed
        self._worth = worker.worth_of(admitted, request, self._at_us)
        if admitted.text_terms is not None:
            self._taken = Taken()

    # the intent

    def _intent(self) -> Intent:
        admitted = self._admitted
        asked = admitted.asked
        whose = admitted.attribution
        return Intent(
            self.call_id,
            self._at_us,
            admitted.place.upstream.priced_as,
            admitted.place.endpoint,
            asked.model,
            asked.is_stream,
            admitted.key_id,
            whose.labels,
            whose.task_id,
            whose.attempt_id,
            whose.session,
            None,
            whose.purpose,
            asked.service_tier,
            asked.region,
            self._worth.bound.most_nano if self._granted is None else self._granted.nano,
            None if self._worth.bound.most_nano is not None else self._worth.bound.reason,
            admitted.traits,
            self._reservation(),
        )

    def _reservation(self) -> str | None:
        claim = self._worth.claim
        if claim is None:
            return None
        return claim.reservation_text(None if self._granted is None else self._worker.reserver.epoch)

    # the result

    def _result(self, state: str, metered: Metered, http_status: int | None) -> Result:
        now = time.monotonic()
        ended = self._ended or now
        is_proven = bool(self._first_byte)
        return Result(
            self.call_id,
            time.time_ns() // 1000,
            metered.figures,
            state,
            http_status,
            "proven" if is_proven else "unproven",
            round((ended - self._arrived) * 1000),
            metered.model,
            metered.service_tier,
            metered.region,
            metered.external_id,
            self._traits(ended, now),
            metered.begun_at_us,
        )

    def _traits(self, ended: float, now: float) -> str:
        parts = []
        if self._first_byte:
            parts.append(f'"first_byte_ms":{round((self._first_byte - self._sent) * 1000)}')
            parts.append(f'"added_us":{round((self._sent - self._arrived + now - ended) * 1e6)}')
        if self._tries > 1:
            parts.append(f'"try":{self._tries}')
        if self._worth.unsaid is not None:
            parts.append(TIER_UNSAID)
        if self._changed:
            parts.append(f'"changed":"{",".join(self._changed)}"')
        return "{" + ",".join(parts) + "}"

    def _keep(self, result: Result, on_kept: OnKept | None) -> None:
        journal = self._worker.journal
        self._worker.count(self._admitted, result)
        if self._worth.unsaid is not None:
            self._worker.tiers.hear(self._worth.unsaid, result)
        if self._first_byte:
            self._count_time()
        # Where the intent was not kept, and the call forwarded all the same, both are told together.
        record = result if self._is_kept else Ended(self._intent(), result)
        on_kept = self._settling(result, on_kept)
        self._tell_guards(result)
        if self._taken is not None:
            encoding = self._fields.get(b"content-encoding", b"").decode("latin-1")
            texts, request = self._worker.texts, self._request
            texts.keep_of_call(self._admitted, request, result, self._at_us, self._taken, encoding)
        try:
            journal.write(record, on_kept)
        except (StoreFailure, BadInput) as problem:
            self._worker.note_problem(self.call_id, str(problem))
            if on_kept is not None:
                on_kept(StoreFailure(str(problem)))

    def _count_time(self) -> None:
        metrics, taken_s = self._worker.metrics, self._ended - self._sent
        metrics.provider.add(taken_s)
        metrics.added.add(time.monotonic() - self._arrived - taken_s)

    def _settling(self, result: Result, on_kept: OnKept | None) -> OnKept | None:
        """What it cost takes the place of what was held for it, as soon as that is kept and no sooner.

        Where it could not be kept, it is charged what was held: what the book will say is not known.
        """
        granted, self._granted = self._granted, None
        if granted is None:
            return on_kept
        call_id, cost_nano = self.call_id, result.figures.cost_nano
        may_wait = granted.left_nano > PLENTY * granted.nano
        tokens = [result.figures.usage.get(unit) for unit in ("output", "reasoning")]
        written = sum(count for count in tokens if isinstance(count, int))
        needed = self._worth.bound.amount_for(written) if written and self._worth.bound.is_flexible else None

        def settle(problem: StoreFailure | None) -> None:
            kept_nano = cost_nano if problem is None else None
            self._worker.reserver.settle(call_id, kept_nano, needed, may_wait=may_wait)
            if on_kept is not None:
                on_kept(problem)

        return settle

    def _tell_guards(self, result: Result) -> None:
        """How it ended, once."""
        if self._is_watched:
            self._is_watched = False
            over = over_of(
                self.call_id,
                result.figures,
                was_sent=self._is_sent,
                has_failed=result.status == "failed",
                most_nano=self._worth.bound.most_nano,
            )
            self._worker.reserver.over(over)
