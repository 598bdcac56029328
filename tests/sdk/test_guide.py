"""The guide is true: its programs run as they stand, and its figures are the code's."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import flatfare_sdk
from flatfare_sdk import delivery, recorder, settings
from tests.sdk.conftest import Told
from tests.sdk.test_end_to_end import provider  # noqa: F401 - a fixture

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "guides" / "sdk.md").read_text(encoding="utf-8")
README = (Path(__file__).parent.parent.parent / "sdk" / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_each_program_of_the_guide_runs(
    number: int,
    told: Told,
    provider: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    warnings: Any,
) -> None:
    if "OpenAI" in PROGRAMS[number]:
        pytest.importorskip("openai", reason="needs the client of OpenAI")
    monkeypatch.setenv("OPENAI_BASE_URL", provider[0])
    monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
    space: dict[str, Any] = {"__name__": "guide"}
    exec(compile(PROGRAMS[number], f"sdk.md program {number}", "exec"), space)
    if "summarise" in space:
        asyncio.run(space["summarise"]("A page."))
    if "client" in space:
        space["client"].close()
    told()
    assert [text for text in warnings() if "does not send to the gateway" not in text] == []


def test_what_the_programs_record_is_what_they_say(told: Told) -> None:
    exec(compile(PROGRAMS[1], "sdk.md", "exec"), {})
    names = [event["event"] for event in told()]
    assert names == ["opened", "attempt_started", "judged", "attempt_ended", "reworked", "closed"]
    assert told()[0]["task"] == "ticket-4711"


def test_the_figures_are_the_code_s() -> None:
    assert recorder.COMMIT_S == 0.05
    assert "**50 ms**" in GUIDE
    assert f"{recorder.QUEUE_MAX:,} events wait" in GUIDE
    assert settings.Settings().exit_s == 2.0
    assert "put off by 2 s at most" in GUIDE
    assert f"up to {delivery.HELD_BYTES_MAX >> 20} MiB" in GUIDE
    assert f"({settings.SPOOL_BYTES_MAX >> 20} MiB" in GUIDE
    assert settings.DEFAULT_URL in GUIDE


def test_every_variable_is_in_the_table_and_nothing_else_is() -> None:
    source = Path(settings.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r"FLATFARE_[A-Z_]+", source))
    listed = set(re.findall(r"^\| `(FLATFARE_[A-Z_]+)", GUIDE, re.MULTILINE))
    assert listed == read


def test_every_public_name_is_in_the_guide() -> None:
    for name in set(flatfare_sdk.__all__) - {"__version__", "Attempt", "Status", "Task"}:
        assert re.search(rf"\b{name}\b", GUIDE), name


def test_the_readme_of_the_distribution_parses() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    compile(program, "sdk/README.md", "exec")
