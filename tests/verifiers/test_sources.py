"""The source of a rule is read whatever other threads read at the same time."""

import ast

import pytest

from flatfare.verifiers import sources


def test_a_tree_that_python_could_not_count_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [SystemError("AST constructor recursion depth mismatch (before=210, after=228)")] * 3

    def failing(source: str) -> ast.Module:
        if failures:
            raise failures.pop()
        return ast.parse(source)

    monkeypatch.setattr(sources, "parse", failing)
    assert sources.bare("def f():  # why\n    return 1") == "def f():\n    return 1"
    assert failures == []


def test_source_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(SyntaxError):
        sources.bare("return return")
