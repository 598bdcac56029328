"""``flatfare serve --demo``: a budget set, burned with the providers' own SDKs, explained and topped up."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flatfare.gateway.stand_in import SENTENCE, answer
from tests.gateway.rig import ask, asking
from tests.gateway.rig_gateway import ROOT, free_port
from tests.gateway.rig_pair import until

pytestmark = pytest.mark.filterwarnings("ignore")
LIMIT = 4000


@dataclass
class Demo:
    """``flatfare serve --demo`` in a folder of its own."""

    folder: Path
    port: int

    def flatfare(self, *words: str) -> str:
        """What a command prints that is given where the demo's book is."""
        done = subprocess.run(
            [sys.executable, "-m", "flatfare", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder / "flatfare-demo",
            env=environment(self.folder),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLATFARE_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", "NO_COLOR": "1", "HOME": str(home)}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port = free_port()
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flatfare", "serve", "--demo", "--listen", f"127.0.0.1:{port}"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=log,
            stderr=log,
        )
        try:

            def is_ready() -> bool:
                try:
                    return ask(port, asking("GET", "/readyz")).status == 200
                except OSError:
                    return False

            until(is_ready, 30, "it does not serve")
            assert f"http://127.0.0.1:{port}/v1/chat/completions" in (tmp_path / "serve.log").read_text()
            yield Demo(tmp_path, port)
        finally:
            process.terminate()
            process.wait(20)


def with_openai(port: int) -> str:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    try:
        said = client.chat.completions.create(
            model="gpt-4", max_tokens=LIMIT, messages=[{"role": "user", "content": "Hi"}]
        )
    except openai.RateLimitError as problem:
        raise Refused(str(problem.body["message"])) from problem
    return str(said.choices[0].message.content)


def with_anthropic(port: int) -> str:
    anthropic = pytest.importorskip("anthropic")
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}/anthropic", api_key="none", max_retries=0)
    try:
        said = client.messages.create(
            model="claude-opus-4-1", max_tokens=LIMIT, messages=[{"role": "user", "content": "Hi"}]
        )
    except anthropic.RateLimitError as problem:
        raise Refused(str(problem.body["error"]["message"])) from problem
    return str(said.content[0].text)


def with_google(port: int) -> str:
    genai = pytest.importorskip("google.genai")
    options = genai.types.HttpOptions(base_url=f"http://127.0.0.1:{port}/gemini")
    client = genai.Client(api_key="none", http_options=options)
    config = genai.types.GenerateContentConfig(max_output_tokens=LIMIT)
    try:
        said = client.models.generate_content(model="gemini-2.5-pro", contents="Hi", config=config)
    except genai.errors.ClientError as problem:
        raise Refused(f"{problem.message}" if problem.code == 429 else repr(problem)) from problem
    return str(said.text)


class Refused(Exception):
    """What the SDK makes of a refusal, as a sentence."""


def test_a_budget_is_set_burned_told_of_explained_and_topped_up(demo: Demo) -> None:
    assert "$2.00 per month" in demo.flatfare("budgets", "create", "--name", "mine", "--amount", "2.00")
    time.sleep(1.2)
    assert [call(demo.port) for call in (with_openai, with_anthropic, with_google)] == [SENTENCE] * 3
    told = {}
    calls: tuple[Callable[[int], str], ...] = (with_openai, with_anthropic, with_google)
    for call in calls:
        for _ in range(20):
            try:
                call(demo.port)
            except Refused as problem:
                told[call.__name__] = str(problem)
                break
    assert list(told) == ["with_openai", "with_anthropic", "with_google"]
    for said in told.values():
        assert said.startswith("The budget 'mine' has $0.")
        assert "left of $2.00 per month; this call needs $0." in said
        assert "It resets at " in said
        assert "To raise it: flatfare budgets top-up mine" in said
    until(lambda: "has reached 75 %" in demo.flatfare("alerts", "list"), 10, "no alert was raised")
    assert "by no key, gpt-4" in demo.flatfare("budgets", "show", "mine")
    shown = json.loads(demo.flatfare("budgets", "show", "mine", "--json"))["subjects"][0]
    assert float(shown["spent"]) <= 2.0
    if float(shown["share"]) >= 0.9:
        assert "The budget mine is 9" in demo.flatfare()
    demo.flatfare("budgets", "top-up", "mine", "2.50", "--expires", "7d")
    until(lambda: _goes(demo.port), 5, "the top-up does not count")


def _goes(port: int) -> bool:
    try:
        return with_openai(port) == SENTENCE
    except Refused:
        return False


def test_it_has_a_book_of_its_own_and_takes_no_other(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flatfare", "serve", "--demo", "--database", "sqlite:///mine.db"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    assert done.returncode == 2
    assert "leave out --database" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "asked", "last"),
    [
        ("/v1/chat/completions", {"model": "m", "stream": True, "max_tokens": 7}, "usage"),
        ("/v1/messages", {"model": "m", "stream": True, "max_tokens": 7}, "type"),
        ("/v1/responses", {"model": "m", "stream": True, "max_output_tokens": 7}, "response"),
    ],
)
def test_streams_say_what_they_used(path: str, asked: dict[str, object], last: str) -> None:
    status, documents = answer(path, asked, 400)
    assert status == 200
    assert last in documents[-1]
    assert ": 7" in json.dumps(documents)
