"""The journal's records: the intent of a call, written before it is sent, what it uses, and its result.

A record holds counts, names and hashes, never text of a prompt or an answer. Fields
are added at the end with a default and never moved, so that a journal outlives an upgrade.
"""

from typing import Annotated

import msgspec

from flatfare.core.cost import CostState

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column holds; a record with more is refused where it is read, and holds up no other."""

CallId = Annotated[
    str, msgspec.Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
"""A time-ordered id as text. The lake keeps ids as such: one of another form could never be sealed."""


class Figures(msgspec.Struct, frozen=True, array_like=True):
    """What a call used and cost, in the columns of its row; priced once, where its answer ended."""

    usage: dict[str, Whole | str] = {}  # leaves; what is not whole as decimal text
    usage_state: str = "measured"
    cost_nano: Whole | None = None
    cost_state: str = str(CostState.UNKNOWN)
    cost_reason: str | None = None
    cost_basis: str | None = None  # reported, computed
    computed_nano: Whole | None = None
    computed_state: str | None = None
    computed_reason: str | None = None
    reported_nano: Whole | None = None
    reported_digits: str | None = None
    reported_source: str | None = None
    original_nano: Whole | None = None
    original_currency: str | None = None
    exchange_rate: str | None = None
    price_version: str | None = None


class Result(msgspec.Struct, frozen=True, array_like=True, tag="result"):
    """How a call ended."""

    call_id: CallId
    ended_at_us: Whole
    figures: Figures
    status: str = "ok"  # ok, failed, cancelled, refused, cached
    http_status: Whole | None = None
    delivery: str | None = "proven"  # unproven: the provider may or may not have received it
    duration_ms: Whole | None = None
    model: str | None = None  # the model that served
    service_tier: str | None = None
    region: str | None = None
    external_id: str | None = None  # the provider's own id of the answer
    traits: str | None = None  # JSON object, such as {"first_byte_ms":120,"added_us":310}
    begun_at_us: Whole | None = None  # where it fetched an answer: when the provider says that was begun


class Intent(msgspec.Struct, frozen=True, array_like=True, tag="intent"):
    """A call that is about to be sent to a provider."""

    call_id: CallId  # one for each try
    at_us: Whole
    provider: str
    endpoint: str
    model_asked: str | None = None
    is_stream: bool = False
    key_id: str | None = None
    labels: str = "{}"  # canonical JSON
    task_id: str | None = None  # this and the next are ids as text; a name becomes one when it is booked
    attempt_id: str | None = None
    session: str | None = None
    turn: Whole | None = None
    purpose: str = "work"
    service_tier: str | None = None
    region: str | None = None
    bound_nano: Whole | None = None  # what the call costs at most, as far as that is known before it is sent
    bound_reason: str | None = None  # why that is not known
    traits: str | None = None  # JSON object: counts and hashes of the request
    reservation: str | None = None  # the epoch it is held in, and its allowances, line by line
    so_far: Result | None = (
        None  # what it had used when that was last kept; only where it is open in the book
    )
    charged_nano: Whole = 0  # of that, what its allowances have been charged


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """What a session has used so far, kept while it goes on: the last of them counts."""

    result: Result  # as if it ended here
    reservation: str | None = None  # the epoch that holds what came since the last, and its allowances


class Void(msgspec.Struct, frozen=True, array_like=True, tag="void"):
    """An intent that may stand in the journal though its writer was told that it failed: nothing was sent."""

    call_id: CallId


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="ended"):
    """A call told in one record, by intent and result: one that was refused or answered from a cache.

    Also one that went through although its intent could not be written, where that is allowed.
    """

    intent: Intent
    result: Result
    is_again: bool = False  # it may stand in the journal already, in a file whose sync failed


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """What a call cost, told by another one: a batch's making, once its answers are calls of their own."""

    call_id: CallId
    figures: Figures


class Priced(msgspec.Struct, frozen=True, array_like=True, tag="priced"):
    """Prices that something was priced with for the first time by this worker, and what they are."""

    version: str
    terms: str  # JSON object


Record = Intent | Result | Progress | Void | Ended | Told | Priced

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)

encode = _ENCODER.encode
"""A record as bytes."""

decode = _DECODER.decode
"""The record that the bytes say; raises ``msgspec.MsgspecError`` where they say none."""
