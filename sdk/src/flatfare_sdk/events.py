"""Events: what happened to a task, each as one line of JSON that the server, the spool and an import read.

A line is made where the thing happens, so that what the host changes afterwards does not
change the record. What cannot be said is left out and warned of once; the rest is recorded.
Evidence never leaves the process: only its hash does.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TypeVar

from flatfare_sdk.guarding import problem_text, warn_once
from flatfare_sdk.identity import new_id

LINE_BYTES_MAX = 64 * 1024
TEXT_MAX = 512
LABELS_MAX = 64
KEY_MAX = 64
DECIMAL_MAX = 40  # signs
AMOUNT_MAX = 8_999_999_999  # what the server's 64 bits of nano-dollars hold
MOMENT_MIN, MOMENT_MAX = 946_684_800_000_000, 7_258_118_400_000_000  # the years 2000 to 2199

KINDS = ("code", "model", "human", "customer", "signal")
STATUSES = ("ok", "failed", "cancelled")

T = TypeVar("T")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_encode = json.JSONEncoder(separators=(",", ":")).encode
_quote = json.encoder.encode_basestring_ascii  # the same for text alone, in a tenth of the time


class Misuse(ValueError):
    """What was given cannot be recorded; caught and warned of within this package."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def event(happened: str, task: str, at_us: int | None = None, /, **fields: object) -> bytes:
    """One event as a line; a field of None is left out.

    Raises ``Misuse`` where the line would be longer than a line may be.
    """
    at_us = now_us() if at_us is None else at_us
    said = ""
    for name, value in fields.items():
        if value is not None:
            said += f',"{name}":{_written(value)}'
    text = f'{{"event":"{happened}","id":"{new_id(at_us)}","task":{_quote(task)},"at":{at_us}{said}}}\n'
    line = text.encode("ascii")
    if len(line) > LINE_BYTES_MAX:
        raise Misuse(f"an event of {len(line)} bytes, at most {LINE_BYTES_MAX} fit")
    return line


def _written(value: object) -> str:
    """A field's value as JSON. What is usual is written by hand: that is several times as fast."""
    if isinstance(value, str):
        return _quote(value)
    if type(value) is int:
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quote(key)}:{_quote(text)}" for key, text in value.items()]) + "}"
    return _encode(value)


def known(what: str, read: Callable[[object], T], value: object) -> T | None:
    """A value as its field takes it; None, and a warning, where it cannot be one."""
    if value is None:
        return None
    try:
        return read(value)
    except Exception as problem:  # noqa: BLE001 - the host's objects may raise anything when they are read
        warn_once(f"field {what}", f"flatfare: {what} is left out: {problem_text(problem)}")
        return None


def text(value: object) -> str:
    """Plain text of a length that fits: control characters become spaces, what is too long is cut."""
    written = value if type(value) is str else str(value)
    if len(written) > TEXT_MAX:
        warn_once("length", f"flatfare: text of {len(written)} characters is cut to {TEXT_MAX}")
        written = written[:TEXT_MAX]
    if not written.isascii():
        written = written.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    return _CONTROL.sub(" ", written)


def decimal(value: object) -> str:
    """A number as a decimal string, exactly as it was given.

    >>> decimal(0.25), decimal("12.50"), decimal(1e-7)
    ('0.25', '12.50', '0.0000001')
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        value = format(value, "f")  # a Decimal, without an exponent; a Fraction or text raises or is checked
    if isinstance(value, float):
        value = repr(value)
    written = str(value).strip()
    if "e" in written.lower() and re.fullmatch(r"-?[\d.]+[eE][-+]?\d+", written):
        from decimal import Decimal

        written = format(Decimal(written), "f")
    if not re.fullmatch(r"-?\d+(\.\d+)?", written, re.ASCII) or len(written) > DECIMAL_MAX:
        raise Misuse(f"found {written[:DECIMAL_MAX]!r}, expected a decimal number such as 12.50")
    if abs(float(written)) > AMOUNT_MAX:
        raise Misuse(f"found {written}, expected at most {AMOUNT_MAX}")
    return written


def _not_negative(value: object) -> str:
    written = decimal(value)
    if written.startswith("-"):
        raise Misuse(f"found {written}, expected 0 or more")
    return written


def moment(value: object) -> int:
    """Microseconds since 1970 UTC, from a datetime (one without a zone is local time, as everywhere in
    Python), from ISO 8601 text (one without a zone is UTC, as everywhere in Flatfare), or from themselves.

    >>> moment("2026-01-01T00:00:00Z")
    1767225600000000
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        value = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, datetime):
        value = round(value.timestamp() * 1_000_000)
    if not isinstance(value, int) or not MOMENT_MIN <= value <= MOMENT_MAX:
        raise Misuse("expected a datetime, or text like 2026-08-01T12:30:00Z")
    return value


def labels(value: object) -> dict[str, str]:
    """Labels as the server takes them; one that cannot be one is left out with a warning."""
    if not isinstance(value, Mapping):
        raise Misuse(f"found a {type(value).__name__}, expected key-value pairs")
    kept: dict[str, str] = {}
    for key, given in value.items():
        if len(kept) >= LABELS_MAX:
            warn_once("labels", f"flatfare: of {len(value)} labels the first {LABELS_MAX} are kept")
            break
        if not isinstance(key, str) or len(key) > KEY_MAX or not _KEY.fullmatch(key):
            warn_once("label key", "flatfare: a label is left out: a key has letters, digits and _-./ only")
            continue
        written = known("a label", _label_value, given)
        if written is not None:
            kept[key] = written
    return kept


def _label_value(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else text(value)


def judgement(passed: object) -> str:
    """Pass, fail, or abstain for None. What merely counts as true is refused: a coroutine would pass.

    >>> judgement(True), judgement(None), judgement("fail")
    ('pass', 'abstain', 'fail')
    """
    if passed is None:
        return "abstain"
    if isinstance(passed, str):
        if passed in ("pass", "fail", "abstain"):
            return passed
    elif type(passed).__name__ in ("bool", "bool_") or passed in (0, 1):  # numpy's bool is one too
        return "pass" if passed else "fail"
    raise Misuse(f"passed is a {type(passed).__name__}, expected True, False or None")


def one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    """A reader that takes one of these words."""

    def read(value: object) -> str:
        if value not in names:
            raise Misuse(f"found {str(value)[:40]!r}, expected one of {', '.join(names)}")
        return str(value)

    return read


def evidence_hash(evidence: object) -> str:
    """SHA-256 of a text's UTF-8, or of anything else's canonical JSON, as the server computes it.

    What JSON does not know is taken by its ``repr``, which only the same program can repeat.
    """
    written = evidence if isinstance(evidence, str) else _canonical(evidence)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


def _foreign(value: object) -> object:
    dumped = getattr(value, "model_dump", None)  # pydantic's, as the providers' clients answer
    if callable(dumped) and not isinstance(value, type):
        return dumped(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    return repr(value)


_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_foreign
).encode


def judged(
    task: str,
    verifier: object,
    passed: object,
    *,
    evidence: object,
    version: object = "1",
    kind: object = "code",
    score: object = None,
    cost: object = None,
    attempt_number: int | None = None,
) -> bytes:
    """A verdict was given. Raises ``Misuse`` where it names nobody, says nothing, or shows nothing."""
    name = text(verifier).strip() if verifier is not None else ""
    if not name:
        raise Misuse("a verdict names its verifier")
    if evidence is None:
        raise Misuse("a verdict has evidence: give what was looked at, of which only the hash is recorded")
    if passed and isinstance(evidence, str) and not evidence.strip():
        raise Misuse("the evidence of a pass is empty: give what was looked at")
    return event(
        "judged",
        task,
        verifier=name,
        version=known("version", text, version) or "1",
        kind=one_of(KINDS)(kind),
        judgement=judgement(passed),
        evidence_hash=evidence_hash(evidence),
        score=known("score", decimal, score),
        cost=known("cost", decimal, cost),
        attempt_number=attempt_number,
    )


def signalled(task: str, name: object, value: object = None, source: object = None) -> bytes:
    """The world said something of the work: accepted, reopened, csat, refund, or a name of yours."""
    written = text(name).strip() if name is not None else ""
    if not written:
        raise Misuse("a signal has a name")
    return event(
        "signalled",
        task,
        name=written,
        value=known("value", _label_value, value) or None,
        source=known("source", text, source) or None,
    )


def reworked(task: str, minutes: object, rate: object = None, by_whom: object = None) -> bytes:
    """A person put something right: how long it took, and what an hour costs in dollars."""
    return event(
        "reworked",
        task,
        minutes=_not_negative(minutes),
        rate=known("rate", _not_negative, rate),
        by_whom=known("by_whom", text, by_whom),
    )
