"""What a rule is made of: the source of its module and of the rules that one imports, remarks left out."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import io
import json
import tokenize
from ast import (
    AsyncFunctionDef,
    ClassDef,
    Constant,
    Expr,
    FunctionDef,
    Import,
    ImportFrom,
    Module,
    parse,
    walk,
)
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType

_OF_RULES = ("flatfare.core.checks.", "flatfare.verifiers.")
_TRIES = 20
_NOT_RULES = ("flatfare.verifiers.kinds", "flatfare.verifiers.sources")


@functools.cache
def rules_hash(module: str) -> str:
    """The hash of a module's source and of the rules it imports, remarks left out."""
    sources = {name: bare(inspect.getsource(importlib.import_module(name))) for name in _rules_of(module)}
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()


def _rules_of(module: str) -> set[str]:
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported_rules(importlib.import_module(name))
    return found


def _imported_rules(module: ModuleType) -> Iterator[str]:
    for node in walk(_parsed(inspect.getsource(module))):
        if isinstance(node, ImportFrom) and node.module:
            above = [f"{node.module}.{alias.name}" for alias in node.names]
            below = [name for name in above if importlib.util.find_spec(node.module) and _is_module(name)]
            yield from filter(_is_rule, below or [node.module])
        elif isinstance(node, Import):
            yield from filter(_is_rule, (alias.name for alias in node.names))


def _parsed(source: str) -> Module:
    """The source as a tree, however many threads read one at the same time.

    Python 3.11 counts the depth of all threads' trees together, and may find that it does not add up
    (python/cpython#106905): then it is read again.
    """
    for _ in range(_TRIES - 1):
        with suppress(SystemError):
            return parse(source)
    return parse(source)


def _is_rule(name: str) -> bool:
    return name.startswith(_OF_RULES) and name not in _NOT_RULES


def _is_module(name: str) -> bool:
    """Whether the name is a module's, and not that of something inside one."""
    try:
        return _is_rule(name) and importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what stands above it is no package
        return False


def bare(source: str) -> str:
    """Source without comments, docstrings and empty lines, the same under every Python that reads it.

    >>> bare('def f():  # why' + chr(10) + '    "What."' + chr(10) + '    return 1')
    'def f():\\n    return 1'
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in walk(_parsed(source)):
        if isinstance(node, Module | ClassDef | FunctionDef | AsyncFunctionDef):
            for remark in node.body:
                if isinstance(remark, Expr) and isinstance(remark.value, Constant):
                    end = remark.end_lineno or remark.lineno
                    lines[remark.lineno - 1 : end] = [""] * (end - remark.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())
