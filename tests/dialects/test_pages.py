"""The pages of the dialects are up to date, and what the guide says about adding a provider works."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flatfare.dialects
from flatfare.core.usage import Usage
from flatfare.dialects import recognition
from flatfare.service.costing.metering import Response, meter_response, standard_book

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_each_dialect_says_what_to_look_out_for() -> None:
    for name, dialect in recognition.dialects().items():
        items = dialect.traps.strip().splitlines()
        assert items, name
        assert all(line.startswith(("- ", "  ")) for line in items), name


def test_the_pages_are_those_of_the_modules() -> None:
    spec = importlib.util.spec_from_file_location(
        "dialect_pages", DOCS.parent / "tools" / "write_dialect_pages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [
        path.name
        for path, text in module.pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "run python tools/write_dialect_pages.py"


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of the guide, put beside the others."""
    text = (DOCS / "adding-a-provider.md").read_text(encoding="utf-8")
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL)):
        (tmp_path / f"from_the_guide_{number}.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(flatfare.dialects, "__path__", [*flatfare.dialects.__path__, str(tmp_path)])
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    recognition.dialects.cache_clear()
    recognition.by_address.cache_clear()


@pytest.mark.usefixtures("guide")
def test_a_module_alone_adds_a_provider() -> None:
    body = {"model": "m", "usage": {"read": 10, "cached": 4, "written": 2}}
    sample = Response(json.dumps(body).encode(), host="api.sample.ai", path="/v2/answers")
    metered = meter_response(sample, standard_book())
    assert (metered.provider, metered.usage) == ("sample-ai", Usage(input=10, cache_read=4, output=2))
    chat = {"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    example = Response(json.dumps(chat).encode(), host="api.example.ai", path="/v1/chat/completions")
    metered = meter_response(example, standard_book())
    assert (metered.provider, metered.usage) == ("example-ai", Usage(input=3, output=1))
    assert "sample-ai" in recognition.dialects()


def test_without_the_module_there_is_no_provider() -> None:
    assert "sample-ai" not in recognition.dialects()
