"""What a call is worth to the budgets: whose allowances it draws on, and how much is to be held for it."""

import logging
from collections.abc import Mapping
from shlex import quote

import msgspec

from flatfare.core.budget import EACH, LIFETIME, Budget
from flatfare.core.moments import iso
from flatfare.core.money import dollar_text
from flatfare.dialects.reading import Asked
from flatfare.gateway import failing
from flatfare.gateway.admission import Admitted
from flatfare.gateway.reserving.claims import BudgetList, Claim
from flatfare.gateway.reserving.messages import Granted, Refused, Reserve
from flatfare.gateway.reserving.tiers import DefaultTiers, Unsaid
from flatfare.gateway.wire import Request
from flatfare.service.budgets.bounding import AT_ONCE, Bound, Bounds, by_default, can_count, unbounded

OUTPUT_LIMIT = "output_limit"
"""Named in ``flatfare-changed`` where the gateway set a limit on an answer."""


_log = logging.getLogger("flatfare.gateway")

_TIER_HEADERS: Mapping[str, bytes] = {
    "bedrock": b"x-amzn-bedrock-service-tier",
    "vertex": b"x-vertex-ai-llm-shared-request-type",
}
_LATENCY_HEADER = b"x-amzn-bedrock-performanceconfig-latency"
"""By which a request says what its body does not (docs.aws.amazon.com, InvokeModel; cloud.google.com,
Priority PayGo; both 2026-11)."""


def by_headers(asked: Asked, provider: str, fields: Mapping[bytes, bytes]) -> Asked:
    """What a request asks for, with what it asks for in a header: a dearer tier, or less latency."""
    header = _TIER_HEADERS.get(provider)
    if header is None:
        return asked
    if b"priority" in fields.get(header, b"").lower():
        asked = msgspec.structs.replace(asked, service_tier="auto")
    if provider == "bedrock" and b"optimized" in fields.get(_LATENCY_HEADER, b"").lower():
        asked = msgspec.structs.replace(asked, details={**asked.details, "latency": "optimized"})
    return asked


class Worth(msgspec.Struct, frozen=True, gc=False):
    """A call as the budgets see it."""

    bound: Bound
    claim: Claim | None = None
    asked: Asked | None = None  # where what it reads may be counted, should it not fit by its bytes
    unsaid: Unsaid | None = None  # of whom it is to be heard at which tier such a call is served
    is_begun: bool = False  # it fetches or cancels what was begun before, and held then

    @property
    def must_fit(self) -> bool:
        """A budget that must not be exceeded concerns it."""
        return not self.is_begun and self.claim is not None and bool(self.claim.hard)

    @property
    def where_away(self) -> str:
        """What its budgets say of it where they cannot be asked: ``open`` if all of them do."""
        return "open" if self.claim is not None and self.claim.is_open else "closed"

    def unbounded_budget(self) -> tuple[int, Budget] | None:
        """Status and budget that refuse it, since nobody can say what it costs at most."""
        if self.bound.most_nano is None and self.claim is not None:
            for budget, _ in self.claim.hard:
                status = failing.UNPRICED.under.refuses(budget.unpriced)
                if status is not None:
                    return status, budget
        return None

    def unlimited_budget(self) -> Budget | None:
        """The budget that refuses it since it names no limit on its answer."""
        if self.bound.is_flexible and self.claim is not None:
            return next((budget for budget, _ in self.claim.hard if budget.output_limit == "refuse"), None)
        return None

    def counted(self, bounds: Bounds, admitted: Admitted, at_us: int) -> "Worth":
        """The same, with what it reads counted token by token where that is known to be less."""
        place, bound = admitted.place, None
        if self.asked is not None:
            priced_as = place.upstream.priced_as
            bound = bounds.counted(priced_as, place.endpoint, self.asked, admitted.body, at_us)
        return msgspec.structs.replace(self, bound=bound or self.bound, asked=None)

    def question(self, call_id: str, kind: str) -> Reserve | None:
        """What is asked of the treasurer; of a call without a bound, whether anything is left at all.

        What may be counted is asked once without waiting.
        """
        bound, claim = self.bound, self.claim
        if claim is None:
            return None
        least, most = (
            (1, 1)
            if bound.most_nano is None or bound.least_nano is None
            else (bound.least_nano, bound.most_nano)
        )
        waits_ms = claim.queue_ms if self.asked is None else 0
        return Reserve(call_id, claim.names, least, most, kind, waits_ms)


def worth_of(
    budgets: BudgetList,
    bounds: Bounds,
    tiers: DefaultTiers,
    admitted: Admitted,
    request: Request,
    at_us: int,
) -> Worth:
    """The budgets a call falls under, and its bound."""
    claim = budgets.claim_of(admitted.key, admitted.attribution, at_us) if len(budgets) else None
    place = admitted.place
    if place.route is not None and place.route.starts is not None:
        return Worth(unbounded(f"what {place.route.starts} costs is not known before it has ended"), claim)
    if place.route is not None and place.route.free is not None:
        return Worth(Bound(0, 0, "it is free"), None)
    if (request.method == "GET" and not admitted.is_session) or place.endpoint.endswith(".cancel"):
        return Worth(unbounded("it fetches or cancels what was begun before"), claim, is_begun=True)
    priced_as, body = place.upstream.priced_as, admitted.body
    unsaid = asked_anew = None
    try:
        if claim is None or not claim.hard:
            bound = bounds.rough(priced_as, place.endpoint, admitted.asked, len(body), at_us)
        elif b"content-encoding" in request.fields:
            bound = unbounded("the request is compressed")
        else:
            unsaid = tiers.unsaid(admitted, request)
            tier = place.upstream.provider.default_tier if unsaid is None else tiers.of(unsaid, at_us)
            asked = by_default(admitted.asked, tier)
            asked = by_headers(asked, place.upstream.dialect.provider, request.fields)
            kind = request.fields.get(b"content-type", b"")
            bound = bounds.of(priced_as, place.endpoint, asked, body, at_us, kind)
            if bound.most_nano is not None and can_count(priced_as, asked, len(body)):
                asked_anew = asked
                if len(body) in AT_ONCE:
                    bound = bounds.counted(priced_as, place.endpoint, asked, body, at_us) or bound
                    asked_anew = None
    except Exception:  # noqa: BLE001 - an outermost door: without a hard budget the call goes on all the same
        _log.exception("What a call costs at most could not be told.")
        bound = unbounded("it could not be worked out: see the gateway's log")
    return Worth(bound, claim, asked_anew, unsaid)


def why_refused(worth: Worth, refused: Refused, at_us: int) -> tuple[str, int | None]:
    """The sentence for a person, and the seconds after which it may fit, where waiting helps."""
    budget = None if worth.claim is None else worth.claim.budget_of(refused.allowance_id)
    if budget is None:
        return "A budget does not allow this call.", None
    whose = f" of {budget.scope.key} {_subject(refused.allowance_id)!r}"
    subject = whose if budget.scope.value == EACH else ""
    if refused.is_away:
        return f"The budget {budget.name!r}{subject} cannot be asked at present. Try again.", 1
    resets_us = budget.window.resets_at(at_us)
    left, limit = dollar_text(refused.left_nano), dollar_text(refused.limit_nano)
    is_bounded = worth.bound.most_nano is not None
    needed = dollar_text(refused.needed_nano) if is_bounded else "more"
    over = "in all" if budget.window.kind == LIFETIME else f"per {budget.window.text}"
    parts = [
        f"The budget {budget.name!r}{subject} has {left} left of {limit} {over}; this call needs {needed}."
    ]
    if worth.bound.hint is not None:
        parts.append(worth.bound.hint)
    if resets_us is not None:
        parts.append(f"It resets at {iso(resets_us)}.")
    if worth.bound.limit is not None:
        parts.append("A smaller limit on its answer costs less.")
    alone = f" --subject {quote(_subject(refused.allowance_id))}" if subject else ""
    to_raise = f"To raise it: flatfare budgets top-up {quote(budget.name)} AMOUNT{alone}"
    parts.append(f"Ask {budget.contact}." if budget.contact else to_raise)
    wait_s = None if resets_us is None else max(1, (resets_us - at_us) // 1_000_000)
    return " ".join(parts), wait_s if wait_s is not None and wait_s <= 60 else None


def why_spent(worth: Worth, answer: Granted | Refused) -> str:
    """The sentence for a person whose session ends, since nothing is left of a budget."""
    allowance_id = answer.left_of if isinstance(answer, Granted) else answer.allowance_id
    budget = None if worth.claim is None else worth.claim.budget_of(allowance_id)
    name = "A budget" if budget is None else f"The budget {budget.name!r}"
    if isinstance(answer, Refused) and answer.is_away:
        return f"{name} cannot be asked at present."
    return f"{name} is spent."


def _subject(allowance_id: str) -> str:
    return allowance_id.split(" ", 2)[2]
