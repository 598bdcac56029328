"""The published schema of outcome records, and what of a document does not meet it: path, found, expected.

The part of JSON Schema 2020-12 that our own schema is written in, so that a plain install can check
a record; a test holds it beside a full validator.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TYPES: Mapping[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_SHOWN = 60
Schema = Mapping[str, object]
Place = tuple["Place | None", str | int]
"""Where in a document: its parent's place, and its own name or number."""

Check = Callable[[object, "Place | None", list["Problem"]], None]
"""Looks at a value and adds what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Where a document is wrong, and how."""

    path: str  # such as verdicts[0].kind; empty for the whole
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}found {self.found}, expected {self.expected}"


@cache
def published() -> Schema:
    """The schema of outcome records, version 1."""
    text = files("flatfare.data").joinpath("outcome-record-1.json").read_text(encoding="utf-8")
    schema: Schema = json.loads(text)
    return schema


def problems(document: object) -> list[Problem]:
    """What of a document does not meet the schema."""
    found: list[Problem] = []
    _whole()(document, None, found)
    return found


@cache
def _whole() -> Check:
    return _compiled(published())


@cache
def _defined(name: str) -> Check:
    return _compiled(_part(_part(published(), "$defs"), name))


def _compiled(schema: Schema) -> Check:
    """The checks that a schema asks for, made ready once."""
    if "$ref" in schema:
        return _defined(str(schema["$ref"]).rpartition("/")[2])
    checks = [make(schema) for keyword, make in _KEYWORDS.items() if keyword in schema]
    if len(checks) == 1:
        return checks[0]

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        for one in checks:
            one(value, place, found)

    return check


def _any_of(schema: Schema) -> Check:
    checks = [_compiled(one) for one in _listed(schema["anyOf"]) if isinstance(one, dict)]

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        expected = []
        for one in checks:
            wrong: list[Problem] = []
            one(value, place, wrong)
            if not wrong:
                return
            expected.append(wrong[0].expected)
        found.append(Problem(_text(place), shown(value), " or ".join(expected)))

    return check


def _const(schema: Schema) -> Check:
    return _one_of([schema["const"]], json.dumps(schema["const"]))


def _enum(schema: Schema) -> Check:
    listed = _listed(schema["enum"])
    return _one_of(listed, "one of " + ", ".join(map(str, listed)))


def _one_of(listed: list[object], expected: str) -> Check:
    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in listed):
            found.append(Problem(_text(place), shown(value), expected))

    return check


def _type(schema: Schema) -> Check:
    kind = str(schema["type"])
    expected = kind if kind == "null" else f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
    inner = _SHAPES[kind](schema) if kind in _SHAPES else None
    own = _TYPES.get(kind)

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        if not (_is_whole(value) if own is None else isinstance(value, own)):
            found.append(Problem(_text(place), shown(value), expected))
        elif inner is not None:
            inner(value, place, found)

    return check


def _is_whole(value: object) -> bool:
    is_number = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_number and not isinstance(value, bool)


def _object(schema: Schema) -> Check:
    required = [str(name) for name in _listed(schema.get("required"))]
    fields = {
        name: _compiled(_part(_part(schema, "properties"), name)) for name in _part(schema, "properties")
    }
    patterns = [re.compile(pattern) for pattern in _part(schema, "patternProperties")]
    more = schema.get("additionalProperties", True)
    others = _compiled(more) if isinstance(more, dict) else None
    most = schema.get("maxProperties")
    none = f"none of that name; those known are {', '.join(fields)}"

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        assert isinstance(value, dict)
        lacking = [name for name in required if name not in value]
        found += [Problem(_text((place, name)), "nothing", "a value: it is required") for name in lacking]
        if isinstance(most, int) and len(value) > most:
            found.append(Problem(_text(place), f"{len(value)} fields", f"at most {most}"))
        for name, inner in value.items():
            own = fields.get(name, others)
            if own is not None:
                own(inner, (place, name), found)
            elif more is False and not any(pattern.search(name) for pattern in patterns):
                found.append(Problem(_text((place, name)), "a field", none))

    return check


def _array(schema: Schema) -> Check:
    own = _compiled(_part(schema, "items"))

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        assert isinstance(value, list)
        for number, item in enumerate(value):
            own(item, (place, number), found)

    return check


def _string(schema: Schema) -> Check:
    least, most = schema.get("minLength"), schema.get("maxLength")
    said = schema.get("pattern")
    pattern = re.compile(said.replace("$", r"\Z")) if isinstance(said, str) else None
    expected = str(schema.get("description") or f"text like {said}").rstrip(".")

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        assert isinstance(value, str)
        if isinstance(least, int) and len(value) < least:
            found.append(Problem(_text(place), shown(value), f"at least {least} characters"))
        if isinstance(most, int) and len(value) > most:
            found.append(Problem(_text(place), f"{len(value)} characters", f"at most {most}"))
        if pattern is not None and not pattern.search(value):
            found.append(Problem(_text(place), shown(value), expected))

    return check


def _number(schema: Schema) -> Check:
    least, most = schema.get("minimum"), schema.get("maximum")

    def check(value: object, place: Place | None, found: list[Problem]) -> None:
        assert isinstance(value, int | float)
        if isinstance(least, int) and value < least:
            found.append(Problem(_text(place), shown(value), f"at least {least}"))
        if isinstance(most, int) and value > most:
            found.append(Problem(_text(place), shown(value), f"at most {most}"))

    return check


_SHAPES: Mapping[str, Callable[[Schema], Check]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
}
_KEYWORDS: Mapping[str, Callable[[Schema], Check]] = {
    "anyOf": _any_of,
    "const": _const,
    "enum": _enum,
    "type": _type,
}
"""The keywords that our schema uses; those of objects, lists, texts and numbers go with their type."""


def _part(schema: Schema, name: str) -> Schema:
    part = schema.get(name, {})
    assert isinstance(part, dict)
    return part


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(place: Place | None) -> str:
    """A place as people write it, such as verdicts[0].kind."""
    if place is None:
        return ""
    parent, name = place
    above = _text(parent)
    if isinstance(name, int):
        return f"{above}[{name}]"
    plain = name if re.fullmatch(r"[A-Za-z_]\w*", name) else json.dumps(name, ensure_ascii=False)
    return f"{above}.{plain}" if above else plain


def shown(value: object) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
