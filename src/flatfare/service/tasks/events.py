"""What can be told of a task, as it comes over the wire: one shape a kind of event.

An event is known by its id. Whatever the order, however late or often it comes, the same
events give the same task.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec

from flatfare.core import labels as label_rules
from flatfare.core.errors import BadInput
from flatfare.core.moments import parse_moment
from flatfare.core.money import nano_of

NAME_LENGTH_MAX = 512
CONTENT_BYTES_MAX = 64 * 1024
TEXT_LENGTH_MAX = 4096
AMOUNT_MAX = Decimal(9_000_000_000)  # dollars: what a row's 64 bits of nano-dollars hold
DIGITS_MAX = 40
_HASH_OF_NOTHING = hashlib.sha256(b"").hexdigest()
"""Of a number, behind its point too: one such as 1e-999999 would take seconds to reckon with."""

Moment = str | int


class Event(msgspec.Struct, tag_field="event", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every event says: its own id, the task it is of, and when it was."""

    id: str
    task: str
    at: Moment | None = None

    def check(self) -> None:
        """``BadInput`` where a field cannot be what it should be."""


class Opened(Event, tag="opened"):
    """Somebody wants this done."""

    name: str = "task"
    action_version: str | None = None
    path: str | None = None
    labels: dict[str, str] = {}
    session: str | None = None
    deadline: Moment | None = None
    value: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _name("name", self.name)
        _texts(action_version=self.action_version, path=self.path, session=self.session)
        label_rules.checked(self.labels)
        amount_nano("value", self.value)
        if self.deadline is not None:
            moment_us(self.deadline)


class AttemptStarted(Event, tag="attempt_started"):
    """A try at it began, on one rung of its path."""

    attempt: str
    number: int | None = None
    rung: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _name("attempt", self.attempt)
        _number(self.number)
        _texts(rung=self.rung)


class AttemptEnded(Event, tag="attempt_ended"):
    """A try at it ended."""

    attempt: str
    status: Literal["ok", "failed", "cancelled"]

    def check(self) -> None:
        """See ``Event.check``."""
        _name("attempt", self.attempt)


class Judged(Event, tag="judged"):
    """A verifier said what it found, on what evidence."""

    verifier: str
    version: str
    judgement: Literal["pass", "fail", "abstain"]
    kind: Literal["code", "model", "human", "customer", "signal"] = "code"
    evidence: object = None  # any JSON
    evidence_hash: str | None = None
    score: str | None = None
    attempt_number: int | None = None
    cost: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _name("verifier", self.verifier)
        _name("version", self.version)
        _number(self.attempt_number)
        if (self.evidence is None) == (self.evidence_hash is None):
            raise BadInput(
                "A verdict has evidence: give what was looked at as 'evidence' (it is hashed and not kept) "
                "or its SHA-256 as 'evidence_hash', and not both."
            )
        if self.evidence_hash is not None:
            _name("evidence_hash", self.evidence_hash)
        if self.judgement == "pass" and self._is_evidence_empty():
            raise BadInput("The evidence of a pass is empty: give what was looked at, or say fail.")
        if self.score is not None:
            decimal_of("score", self.score)
        amount_nano("cost", self.cost)

    def _is_evidence_empty(self) -> bool:
        if isinstance(self.evidence, str):
            return not self.evidence.strip()
        return self.evidence_hash == _HASH_OF_NOTHING

    @property
    def hash_of_evidence(self) -> str:
        """SHA-256 of the evidence: of a text its UTF-8, of anything else its canonical JSON."""
        if self.evidence_hash is not None:
            return self.evidence_hash
        return evidence_hash(self.evidence)


class Signalled(Event, tag="signalled"):
    """The world said something of it later: reopened, CSAT, chargeback, refund, accepted."""

    name: str
    value: str | None = None
    source: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _name("name", self.name)
        for what, text in (("value", self.value), ("source", self.source)):
            if text is not None:
                _name(what, text)


class Reworked(Event, tag="reworked"):
    """People worked on it afterwards."""

    minutes: str
    rate: str | None = None  # for an hour
    by_whom: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _texts(by_whom=self.by_whom)
        if decimal_of("minutes", self.minutes) < 0:
            raise BadInput(f"Found {self.minutes} minutes of rework: expected 0 or more.")
        if (amount_nano("rate", self.rate) or 0) < 0:
            raise BadInput(f"Found the rate {self.rate} for an hour: expected 0 or more.")


class Closed(Event, tag="closed"):
    """Nothing more is done; its window begins."""

    path: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _texts(path=self.path)


class Disputed(Event, tag="disputed"):
    """Somebody says that its outcome is not right."""

    reason: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _texts(reason=self.reason)


class DisputeResolved(Event, tag="dispute_resolved"):
    """The dispute is over."""

    reason: str | None = None

    def check(self) -> None:
        """See ``Event.check``."""
        _texts(reason=self.reason)


AnyEvent = (
    Opened
    | AttemptStarted
    | AttemptEnded
    | Judged
    | Signalled
    | Reworked
    | Closed
    | Disputed
    | DisputeResolved
)
KINDS: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(Opened, AttemptStarted, AttemptEnded, Judged, Signalled, Reworked, Closed),
        *(Disputed, DisputeResolved),
    )
}
_FROM_TEXT = msgspec.json.Decoder(AnyEvent)


def kind_of(event: Event) -> str:
    """What the event is called on the wire."""
    return str(event.__struct_config__.tag)


def read(event: bytes | Mapping[str, object]) -> Event:
    """The event, checked. ``BadInput`` says what was found and what was expected."""
    raw = event if isinstance(event, bytes) else _as_bytes(event)
    if len(raw) > CONTENT_BYTES_MAX:
        raise BadInput(
            f"Found an event of {len(raw)} bytes: at most {CONTENT_BYTES_MAX}. Give evidence by its hash."
        )
    try:
        found: Event = _FROM_TEXT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadInput(f"The event cannot be read: {problem}. Kinds: {', '.join(KINDS)}.") from None
    _uuid_text(found.id)
    _name("task", found.task)
    found.check()
    return found


def content_of(event: Event) -> str:
    """Everything the event says beside its id, in one writing; evidence by its hash."""
    said = msgspec.to_builtins(_without_evidence(event))
    del said["id"], said["event"]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def of_content(kind: str, content: str) -> Event:
    """The event that the log says; its id stands beside it."""
    return msgspec.convert({**json.loads(content), "event": kind, "id": ""}, KINDS[kind])


def evidence_hash(evidence: object) -> str:
    """SHA-256, in hexadecimal, of a text's UTF-8 or of anything else's canonical JSON."""
    text = (
        evidence
        if isinstance(evidence, str)
        else json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def moment_us(moment: Moment) -> int:
    """Microseconds since 1970 of a moment as an event gives it."""
    return parse_moment(str(moment))[0]


def decimal_of(what: str, text: str) -> Decimal:
    """The number that a text says; ``BadInput`` for any other."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    is_short = isinstance(exponent, int) and exponent >= -DIGITS_MAX and len(text) <= DIGITS_MAX
    if not is_short or abs(number) > AMOUNT_MAX:
        raise BadInput(f"Found {text[:60]!r} as {what}: expected a decimal number such as 2.50.")
    return number


def amount_nano(what: str, text: str | None) -> int | None:
    """Nano-dollars of an amount as an event gives it."""
    return None if text is None else nano_of(decimal_of(what, text))


def _without_evidence(event: Event) -> Event:
    if isinstance(event, Judged) and event.evidence is not None:
        return msgspec.structs.replace(event, evidence=None, evidence_hash=event.hash_of_evidence)
    return event


def _as_bytes(event: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(event)
    except (TypeError, ValueError) as problem:
        raise BadInput(f"The event cannot be written as JSON: {problem}.") from None


def _uuid_text(text: str) -> None:
    try:
        is_canonical = str(uuid.UUID(text)) == text
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise BadInput(
            f"Found the id {text[:60]!r}: expected a UUID in its usual writing, such as "
            "0193a6f2-8c1e-7000-8000-3f1d5c2b7a90. Make one an event and send it again with each retry."
        )


def _name(what: str, text: str) -> None:
    if not text or len(text) > NAME_LENGTH_MAX or any(sign < " " for sign in text):
        raise BadInput(
            f"Found {text[:60]!r} as {what}: expected plain text of 1 to {NAME_LENGTH_MAX} characters."
        )


def _texts(**given: str | None) -> None:
    for what, text in given.items():
        if text is not None and ("\0" in text or len(text) > TEXT_LENGTH_MAX):
            raise BadInput(
                f"Found {text[:60]!r} as {what}: expected at most {TEXT_LENGTH_MAX} characters, without "
                "the character 0, which no database keeps."
            )


def _number(number: int | None) -> None:
    if number is not None and not 1 <= number <= 1_000_000:
        raise BadInput(f"Found the attempt number {number}: expected 1 to 1000000.")
