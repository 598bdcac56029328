"""Prompts as templates that see the task and nothing else.

A template may name what it is given, walk through it, choose and repeat. It cannot call,
import, compute or reach an attribute of anything but data; what it writes is bounded. That is
settled by what it is made of, before it ever runs.
"""

import functools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flatfare.core.checks.submission import Json, canonical
from flatfare.core.errors import BadInput, BadUsage

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

CHARACTERS_MAX = 20_000_000
"""What one template may write at most."""

LOOPS_MAX = 2
"""How deep repetitions may stand in one another."""

_NODES = frozenset(
    (
        *(
            "Template",
            "Output",
            "TemplateData",
            "Name",
            "Getattr",
            "Getitem",
            "Const",
            "Filter",
        ),
        *(
            "For",
            "If",
            "CondExpr",
            "Compare",
            "Operand",
            "And",
            "Or",
            "Not",
            "Test",
            "List",
        ),
        *(
            "Tuple",
            "Keyword",
            "Concat",
        ),
    )
)
_FILTERS = frozenset(
    (
        *(
            "default",
            "first",
            "indent",
            "join",
            "json",
            "last",
            "length",
            "lower",
            "replace",
        ),
        *(
            "sort",
            "title",
            "trim",
            "truncate",
            "unique",
            "upper",
            "wordcount",
        ),
    )
)
_TESTS = frozenset(
    (
        *(
            "defined",
            "undefined",
            "none",
            "string",
            "number",
            "mapping",
            "sequence",
            "true",
        ),
        *(
            "false",
            "in",
            "equalto",
            "eq",
            "ne",
            "lt",
            "gt",
            "le",
            "ge",
            "==",
            "!=",
            "<",
            ">",
        ),
        *(
            "<=",
            ">=",
        ),
    )
)


class BadTemplate(BadInput):
    """A template that cannot be used; ``line`` is counted within it."""

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(text)


def check(text: str, names: Mapping[str, frozenset[str] | None]) -> None:
    """``BadTemplate`` where a template names or does what it may not.

    ``names`` are what it is given, each with its members where those are known.
    """
    tree = _tree(text)
    _walk(tree, names, 0)


def render(text: str, given: Mapping[str, Json]) -> str:
    """What the template writes; ``BadInput`` where what it names is not there or it writes too much."""
    import jinja2

    check(text, dict.fromkeys(given))
    parts, written = [], 0
    try:
        for part in _compiled(text).generate(dict(given)):
            written += len(part)
            if written > CHARACTERS_MAX:
                raise BadInput(f"A prompt came out longer than {CHARACTERS_MAX} characters.")
            parts.append(part)
    except jinja2.UndefinedError as problem:
        raise BadInput(f"A prompt names what was not given: {problem.message}.") from None
    except (jinja2.TemplateError, TypeError, ValueError) as problem:
        raise BadInput(f"A prompt could not be written: {problem}.") from None
    return "".join(parts)


def plain_characters(text: str) -> int:
    """How much of a template stands in every prompt that it writes."""
    return sum(
        len(part.data)
        for output in _tree(text).body
        for part in getattr(output, "nodes", ())
        if type(part).__name__ == "TemplateData"
    )


def _walk(node: "nodes.Node", names: Mapping[str, frozenset[str] | None], loops: int) -> None:
    kind = type(node).__name__
    if kind not in _NODES:
        raise BadTemplate(
            node.lineno, f"A prompt may not use {_worded(kind)}: it names, chooses and repeats only."
        )
    _CHECKS.get(kind, _nothing)(node, names)
    if kind != "For":
        for child in node.iter_child_nodes():
            _walk(child, names, loops)
        return
    if loops == LOOPS_MAX:
        raise BadTemplate(node.lineno, f"Repetitions stand in one another at most {LOOPS_MAX} deep.")
    loop: Any = node
    within = {**names, **dict.fromkeys(_targets(loop.target)), "loop": _LOOP}
    _walk(loop.iter, names, loops)
    for child in (*loop.body, *loop.else_, *([loop.test] if loop.test else [])):
        _walk(child, within, loops + 1)


_LOOP = frozenset(("index", "index0", "first", "last", "length", "revindex"))


def _nothing(node: Any, names: Mapping[str, frozenset[str] | None]) -> None:
    """Nothing more to look at."""


def _check_name(node: Any, names: Mapping[str, frozenset[str] | None]) -> None:
    if node.ctx == "load" and node.name not in names:
        raise BadTemplate(node.lineno, f"Found {node.name!r}: a prompt is given {', '.join(sorted(names))}.")


def _check_member(node: Any, names: Mapping[str, frozenset[str] | None]) -> None:
    key = node.attr if hasattr(node, "attr") else getattr(node.arg, "value", None)
    if isinstance(key, str) and key.startswith("_"):
        raise BadTemplate(node.lineno, f"Found {key!r}: a prompt reaches data only, no inner parts.")
    owner = getattr(node.node, "name", None)
    members = names.get(owner) if isinstance(owner, str) else None
    if members is not None and isinstance(key, str) and key not in members:
        known = ", ".join(sorted(members)) or "nothing"
        raise BadTemplate(node.lineno, f"Found {owner}.{key}: {owner} holds {known}.")


def _check_filter(node: Any, names: Mapping[str, frozenset[str] | None]) -> None:
    if node.name not in _FILTERS:
        raise BadTemplate(
            node.lineno, f"Found the filter {node.name!r}: there are {', '.join(sorted(_FILTERS))}."
        )


def _check_test(node: Any, names: Mapping[str, frozenset[str] | None]) -> None:
    if node.name not in _TESTS:
        raise BadTemplate(
            node.lineno, f"Found the test {node.name!r}: there are {', '.join(sorted(_TESTS))}."
        )


_CHECKS = {
    "Name": _check_name,
    "Getattr": _check_member,
    "Getitem": _check_member,
    "Filter": _check_filter,
    "Test": _check_test,
}


def _targets(target: Any) -> Iterator[str]:
    if type(target).__name__ == "Name":
        yield target.name
    for item in getattr(target, "items", ()):
        yield from _targets(item)


def _worded(kind: str) -> str:
    words = {"Call": "calls", "Include": "other files", "Import": "other files", "FromImport": "other files"}
    words |= {"Extends": "other files", "Macro": "macros", "Assign": "assignments", "Block": "blocks"}
    return words.get(kind, f"'{kind.lower()}'")


@functools.lru_cache(256)
def _tree(text: str) -> "nodes.Template":
    import jinja2

    try:
        return _environment().parse(text)
    except jinja2.TemplateSyntaxError as problem:
        raise BadTemplate(problem.lineno, f"This is no template: {problem.message}") from None
    except RecursionError:
        raise BadTemplate(1, "This template nests too deep.") from None


@functools.lru_cache(256)
def _compiled(text: str) -> Any:
    return _environment().from_string(text)


@functools.cache
def _environment() -> "Environment":
    try:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise BadUsage("Actions need jinja2: pip install 'flatfare[actions]'") from None
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False)
    environment.globals.clear()
    environment.filters = {name: made for name, made in environment.filters.items() if name in _FILTERS}
    environment.filters["json"] = _json
    environment.finalize = _written
    return environment


def _written(value: object) -> object:
    """Data in a prompt: text as it is, everything else as JSON."""
    if value is None:
        return ""
    return (
        value
        if isinstance(value, str) or not isinstance(value, bool | int | float | list | dict)
        else _json(value)
    )


def _json(value: Any) -> str:
    try:
        return json.dumps(json.loads(canonical(value)), ensure_ascii=False)
    except (TypeError, ValueError):
        raise BadInput("A prompt writes something as JSON that is no data.") from None
