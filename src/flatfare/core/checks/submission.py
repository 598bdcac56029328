"""What is judged: one attempt's output and files, beside the task's input and what was expected.

A submission is known by the digests of its parts, so that evidence can name it without
holding a word of it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Union

from flatfare.core.errors import BadInput

Json = Union[None, bool, int, float, str, Decimal, Sequence["Json"], Mapping[str, "Json"]]  # noqa: UP007
"""A value of JSON; numbers with a fraction are exact where they were read from text."""

NESTING_MAX = 200


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt's answer to a task: what verifiers look at."""

    output: str = ""
    input: str = ""
    expected: Json = None
    files: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    attempt: int | None = None

    def __post_init__(self) -> None:
        for path in self.files:
            check_path(path)

    def digests(self) -> dict[str, Json]:
        """SHA-256 of each part that there is, in hexadecimal."""
        parts = {"output": self.output.encode("utf-8", "surrogatepass")}
        if self.input:
            parts["input"] = self.input.encode("utf-8", "surrogatepass")
        if self.expected is not None:
            parts["expected"] = canonical(self.expected).encode("utf-8", "surrogatepass")
        found: dict[str, Json] = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
        if self.files:
            found["files"] = {
                path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.files.items())
            }
        return found


def check_path(path: str) -> str:
    """A path within a submission's folder, refused where it could lead out of it."""
    parts = path.split("/")
    if not path or "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise BadInput(
            f"Found the file path {path[:80]!r} in a submission: a path is relative, parted by '/', "
            "and has no empty part, '.' or '..'."
        )
    return path


def canonical(value: Json) -> str:
    """One writing per value: keys sorted, numbers by what they are worth, no spaces.

    >>> canonical({"b": [1.50, 2], "a": None})
    '{"a":null,"b":[1.5,2]}'
    """
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return plain(Decimal(str(value)))
    if isinstance(value, Mapping):
        members = (f"{json.dumps(str(key))}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value)


def plain(number: Decimal) -> str:
    """A number without an exponent or idle zeros, unless it would need many of them.

    >>> plain(Decimal("1.500")), plain(Decimal("1E+3")), plain(Decimal("-0"))
    ('1.5', '1000', '0')
    """
    if not number.is_finite():
        return str(number)
    shortest = number.normalize() if number else Decimal(0)
    return f"{shortest:f}" if -30 < shortest.adjusted() < 30 else str(shortest)


class NotJson(Exception):
    """The text is no JSON document; says why, without quoting it."""


def read_json(text: str) -> Json:
    """The document, its fractions exact; ``NotJson`` also where a key comes twice or it nests too deep.

    >>> read_json('{"total": 0.10}')
    {'total': Decimal('0.10')}
    """
    try:
        read: Json = json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique
        )
        check_nesting(read)
    except json.JSONDecodeError as problem:
        raise NotJson(f"{problem.msg.lower()} at line {problem.lineno}, column {problem.colno}") from None
    except (RecursionError, ValueError) as problem:
        raise NotJson(str(problem) if isinstance(problem, ValueError) else "it nests too deep") from None
    return read


def check_nesting(value: Json, depth: int = 0) -> None:
    """``NotJson`` where values stand in one another deeper than ``NESTING_MAX``."""
    if depth > NESTING_MAX:
        raise NotJson(f"it nests deeper than {NESTING_MAX}")
    if isinstance(value, Mapping):
        for member in value.values():
            check_nesting(member, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for member in value:
            check_nesting(member, depth + 1)


def _no_constant(name: str) -> Json:
    raise NotJson(f"{name} is no number of JSON")


def _unique(pairs: list[tuple[str, Json]]) -> Json:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJson("an object holds one key twice, so that two readers may read two documents")
    return members


class NothingThere(Exception):
    """The output holds nothing at the place that is to be judged; says so as a sentence."""


def picked(output: str, at: str | None) -> str:
    """The text that is judged: the whole output, or what stands at a JSON Pointer (RFC 6901) in it.

    A string stands for its text, any other value for its canonical writing.

    >>> picked('{"answer": {"total": 12.50}}', "/answer/total")
    '12.5'
    """
    if at is None:
        return output
    value = value_at(output, at)
    return value if isinstance(value, str) else canonical(value)


def value_at(output: str, at: str | None) -> Json:
    """The value at a JSON Pointer in the output, or the whole document; ``NothingThere`` where none is."""
    try:
        value = read_json(output)
    except NotJson as problem:
        raise NothingThere(f"The output is no JSON: {problem}.") from None
    for step in pointer(at or ""):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif _is_list(value) and step.isdecimal() and int(step) < len(value):  # type: ignore[arg-type]
            value = value[int(step)]  # type: ignore[index]
        else:
            raise NothingThere(f"The output has nothing at {at!r}.")
    return value


def pointer(at: str) -> list[str]:
    """The steps of a JSON Pointer."""
    if at and not at.startswith("/"):
        raise BadInput(f"Found {at!r} where a JSON Pointer was expected: write it like '/answer/total'.")
    return [step.replace("~1", "/").replace("~0", "~") for step in at.split("/")[1:]]


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
