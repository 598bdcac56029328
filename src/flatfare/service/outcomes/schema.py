"""The published schema of outcome records, and what of a document does not meet it: path, found, expected.

The part of JSON Schema 2020-12 that our own schema is written in, so that a plain install can check
a record; a test holds it beside a full validator.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_SHOWN = 60
Schema = Mapping[str, object]


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


def problems(document: object) -> Iterator[Problem]:
    """What of a document does not meet the schema."""
    yield from _check(document, published(), "")


def _check(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        schema = {
            **_part(_part(published(), "$defs"), name),
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    if "anyOf" in schema:
        yield from _any_of(value, schema, path)
    if "const" in schema and not _is_same(value, schema["const"]):
        yield Problem(path, shown(value), json.dumps(schema["const"]))
    if "enum" in schema and not any(_is_same(value, one) for one in _listed(schema["enum"])):
        yield Problem(path, shown(value), "one of " + ", ".join(map(str, _listed(schema["enum"]))))
    if "type" in schema and not _is_a(value, str(schema["type"])):
        yield Problem(path, shown(value), _article(str(schema["type"])))
    elif isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    elif isinstance(value, str):
        yield from _string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, path)


def _part(schema: Schema, name: str) -> Schema:
    part = schema.get(name, {})
    assert isinstance(part, dict)
    return part


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _any_of(value: object, schema: Schema, path: str) -> Iterator[Problem]:
    found = [list(_check(value, one, path)) for one in _listed(schema["anyOf"]) if isinstance(one, dict)]
    if all(found):
        yield Problem(path, shown(value), " or ".join(wrong[0].expected for wrong in found))


def _object(value: Mapping[str, object], schema: Schema, path: str) -> Iterator[Problem]:
    fields, patterns = _part(schema, "properties"), _part(schema, "patternProperties")
    for name in _listed(schema.get("required")):
        if name not in value:
            yield Problem(_below(path, str(name)), "nothing", "a value: it is required")
    most = schema.get("maxProperties")
    if isinstance(most, int) and len(value) > most:
        yield Problem(path, f"{len(value)} fields", f"at most {most}")
    more = schema.get("additionalProperties", True)
    for name, inner in value.items():
        below = _below(path, name)
        if name in fields:
            yield from _check(inner, _part(fields, name), below)
        elif any(re.search(pattern, name) for pattern in patterns):
            continue
        elif more is False:
            yield Problem(below, "a field", f"none of that name; those known are {', '.join(fields)}")
        elif isinstance(more, dict):
            yield from _check(inner, more, below)


def _array(value: list[object], schema: Schema, path: str) -> Iterator[Problem]:
    items = _part(schema, "items")
    for number, item in enumerate(value):
        yield from _check(item, items, f"{path}[{number}]")


def _string(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    least, most, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema.get("pattern")
    if isinstance(least, int) and len(value) < least:
        yield Problem(path, shown(value), f"at least {least} characters")
    if isinstance(most, int) and len(value) > most:
        yield Problem(path, f"{len(value)} characters", f"at most {most}")
    if isinstance(pattern, str) and not re.search(pattern.replace("$", "\\Z"), value):
        yield Problem(
            path, shown(value), str(schema.get("description") or f"text like {pattern}").rstrip(".")
        )


def _number(value: float, schema: Schema, path: str) -> Iterator[Problem]:
    least = schema.get("minimum")
    if isinstance(least, int) and value < least:
        yield Problem(path, shown(value), f"at least {least}")


def _is_a(value: object, kind: str) -> bool:
    if kind == "integer":
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return is_whole and not isinstance(value, bool)
    return isinstance(value, _TYPES[kind])


def _is_same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _article(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def _below(path: str, name: str) -> str:
    plain = name if re.fullmatch(r"[A-Za-z_]\w*", name) else json.dumps(name, ensure_ascii=False)
    return f"{path}.{plain}" if path else plain


def shown(value: object) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
