"""Stored texts (P11): only where a key asks, sealed, for so long, erased by subject, and gone then."""

import asyncio
import base64
import gzip
import json
import stat
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.core.errors import BadInput, NotFound
from flatfare.gateway.server import Running
from flatfare.gateway.texts import TEXT_BYTES_MAX
from flatfare.service.access import keys as issuing
from flatfare.service.access import texts as keeping
from flatfare.service.access.keys import Terms
from flatfare.store import chains
from flatfare.store.book import open_book
from flatfare.store.text_terms import TextTerms
from flatfare.store.texts import Text, TextStore
from tests.gateway.upstreams import ANSWER, ask, both, rows, settings_for, whole

WORDS = b"a word nobody else may read"
ASKED = b'{"model":"gpt-4o","messages":[{"role":"user","content":"%b"}]}' % WORDS
KEY = base64.b64encode(bytes(range(32))).decode()
DAY_US = 86_400_000_000
ALICE = "flatfare-labels: user=alice\r\n"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FLATFARE_SECRET_KEY", KEY)
    monkeypatch.delenv("FLATFARE_SECRET_KEY_FILE", raising=False)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def issued(folder: Path, name: str, texts: TextTerms | None) -> str:
    with open_book(settings_for(folder, 1).database) as book:
        made = issuing.create(book, Terms(name, texts=texts), at_us=1, by_whom="test")
    return f"Authorization: Bearer {made.secret}\r\n"


def store(folder: Path, key: str = KEY) -> TextStore:
    return keeping.text_store(settings_for(folder, 1), {"FLATFARE_SECRET_KEY": key, "HOME": str(folder)})


def files(folder: Path) -> list[Path]:
    return [file for file in (folder / "texts").rglob("*") if file.is_file()]


def everything(folder: Path) -> bytes:
    """All that the gateway wrote: book, write-ahead log, journal, lake, texts."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def stored(gateway: Running) -> None:
    """Wait for what is written beside the event loop."""
    await asyncio.get_running_loop().run_in_executor(gateway.worker.texts._thread, lambda: None)


def test_nothing_is_stored_where_nobody_asks(tmp_path: Path) -> None:
    own = issued(tmp_path, "silent", None)
    issued(tmp_path, "another", TextTerms(DAY_US))

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            await ask(gateway, ASKED, own)
            await stored(gateway)
            await rows(gateway)
            assert files(tmp_path) == []
            assert WORDS not in everything(tmp_path)

    run(test())


def test_what_is_said_is_stored_sealed_and_can_be_shown(tmp_path: Path) -> None:
    own = issued(tmp_path, "asks", TextTerms(DAY_US, "user"))

    async def test() -> None:
        async with both(tmp_path) as (gateway, provider):
            squeezed = gzip.compress(ANSWER)
            encoded = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"

            async def answers(asked: Any, reader: Any, writer: asyncio.StreamWriter) -> None:
                writer.write(whole(squeezed, headers=encoded))

            provider.script = answers
            answer = await ask(gateway, ASKED, own + ALICE)
            await stored(gateway)
            (file,) = files(tmp_path)
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            await rows(gateway)
            assert WORDS not in everything(tmp_path)
            assert b"alice" not in file.name.encode() + file.read_bytes()
            call = answer.headers["flatfare-call"]
            with open_book(gateway.worker.settings.database) as book:
                now_us = time.time_ns() // 1000
                shown = keeping.show(book, store(tmp_path), call, at_us=now_us, by_whom="test")
            assert (shown["request"], shown["answer"]) == (ASKED.decode(), ANSWER.decode())
            assert (shown["subject"], shown["model"]) == ("user=alice", "gpt-4o-2024-08-06")

    run(test())


def test_a_key_that_does_not_open_shows_nothing(tmp_path: Path) -> None:
    text = Text("01a1fc42-d805-7542-aaf1-5ed0cc627b8b", 1, "key", "openai", "chat", request=WORDS)
    store(tmp_path).put(text, 2_000_000_000)
    with pytest.raises(BadInput, match="does not open"):
        store(tmp_path, base64.b64encode(bytes(32)).decode()).find(text.call_id, 1)
    with pytest.raises(BadInput, match="set FLATFARE_SECRET_KEY"):
        store(tmp_path, "").find(text.call_id, 1)


def test_without_a_key_to_seal_with_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The negative control of sealing too: here the words can be found."""
    text = Text("01a1fc42-d805-7542-aaf1-5ed0cc627b8b", 1, "key", "openai", "chat", request=WORDS)
    store(tmp_path, "").put(text, 2_000_000_000)
    assert store(tmp_path, "").find(text.call_id, 1) == text
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_erasing_by_subject_leaves_the_others_and_nothing_of_it(tmp_path: Path) -> None:
    own = issued(tmp_path, "asks", TextTerms(DAY_US, "user"))

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            whose = (ALICE, ALICE, "flatfare-labels: user=bob\r\n", "")
            answers = [await ask(gateway, ASKED, own + labels) for labels in whose]
            calls = [answer.headers["flatfare-call"] for answer in answers]
            await stored(gateway)
            assert len(files(tmp_path)) == 4
            now_us = time.time_ns() // 1000
            with open_book(gateway.worker.settings.database) as book:
                erased = keeping.erase(
                    book, store(tmp_path), subject="user=alice", at_us=now_us, by_whom="officer"
                )
                assert erased == 2
                with pytest.raises(NotFound, match="was erased"):
                    keeping.show(book, store(tmp_path), calls[0], at_us=now_us, by_whom="test")
                keeping.show(book, store(tmp_path), calls[2], at_us=now_us, by_whom="test")
                (record,) = book.rows(
                    "SELECT subject, by_whom, content FROM chained_records WHERE kind = 'texts.erased'"
                )
                assert (record[1], json.loads(str(record[2]))) == ("officer", {"texts": 2})
                assert str(record[0]).startswith("user:")
                assert "alice" not in str(record)
                assert chains.broken_at(book, chains.ORGANISATION) is None
            left = [file.name.rpartition(".")[2] for file in files(tmp_path)]
            assert sorted(left) == sorted(calls[2:])
            await rows(gateway)
            assert WORDS not in everything(tmp_path)

    run(test())


def test_what_has_expired_is_gone(tmp_path: Path) -> None:
    """To the second: what lives on is untouched. A running gateway does it by itself."""
    kept = store(tmp_path)
    ids = [f"01a1fc42-d805-7542-aaf1-5ed0cc627b8{digit}" for digit in "012"]
    for call_id, expires_s in zip(ids, (7_199, 7_200, 9_000), strict=True):
        kept.put(Text(call_id, 1, "key", "openai", "chat", request=WORDS), expires_s)
    assert kept.find(ids[1], 7_200) is None, "expired is not shown, also where it still stands"
    assert kept.expire(7_200) == 2
    assert [file.name.rpartition(".")[2] for file in files(tmp_path)] == ids[2:]
    assert kept.find(ids[2], 7_200) is not None

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            await asyncio.sleep(0.6)
            await stored(gateway)

    run(test())
    assert files(tmp_path) == []
    assert WORDS not in everything(tmp_path)


def test_a_text_that_was_cut_off_while_written_is_erased_too(tmp_path: Path) -> None:
    kept = store(tmp_path)
    text = Text("01a1fc42-d805-7542-aaf1-5ed0cc627b8b", 1, "key", "openai", "chat", subject="user=alice")
    kept.put(text, 2_000_000_000)
    (file,) = files(tmp_path)
    file.rename(file.with_name(file.name + ".new"))
    assert kept.find(text.call_id, 1) is None
    assert kept.erase_subject("user=alice") == 1
    assert files(tmp_path) == []


def test_more_than_the_bound_is_not_stored(tmp_path: Path) -> None:
    own = issued(tmp_path, "asks", TextTerms(DAY_US))

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            long = ASKED.replace(WORDS, b"x" * (TEXT_BYTES_MAX + 10))
            call = (await ask(gateway, long, own)).headers["flatfare-call"]
            await stored(gateway)
            found = store(tmp_path).find(call, 1)
            assert found is not None
            assert (len(found.request), found.is_cut) == (TEXT_BYTES_MAX, True)

    run(test())


def test_a_call_goes_through_where_its_text_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key to seal with that is none: nothing is stored unsealed, and the call does not suffer."""
    own = issued(tmp_path, "asks", TextTerms(DAY_US))
    monkeypatch.setenv("FLATFARE_SECRET_KEY", "no key at all")

    async def test() -> None:
        async with both(tmp_path) as (gateway, _):
            assert (await ask(gateway, ASKED, own)).body == ANSWER
            await stored(gateway)
            assert files(tmp_path) == []

    run(test())


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLATFARE_DATABASE", settings_for(tmp_path, 1).database)
    runner = CliRunner()

    def ran(*words: str) -> Any:
        return runner.invoke(root, list(words))

    create = ("keys", "create", "--name", "a")
    assert "--keep 30d" in str(ran(*create, "--store-text").exception)
    assert "--store-text" in str(ran(*create, "--keep", "1d").exception)
    made = ran(*create, "--store-text", "--keep", "30d", "--subject", "user", "--json")
    own = f"Authorization: Bearer {json.loads(made.stdout)['key']}\r\n"
    listed = json.loads(ran("keys", "list", "--json").stdout)
    assert listed["store_text"] == {"keep_s": 30 * 86_400, "subject": "user"}

    async def test() -> str:
        async with both(tmp_path) as (gateway, _):
            return (await ask(gateway, ASKED, own + ALICE)).headers["flatfare-call"]

    call = asyncio.run(test())
    assert json.loads(ran("texts", "show", call).stdout)["request"] == ASKED.decode()
    assert ran("texts", "expire").stdout == "0 texts erased.\n"
    assert (
        ran("texts", "erase", "--subject", "user=alice", "--reason", "asked to").stdout == "1 text erased.\n"
    )
    assert isinstance(ran("texts", "show", call).exception, NotFound)
    assert isinstance(ran("texts", "erase").exception, BadInput)
    assert isinstance(ran("texts", "erase", "--subject", "alice").exception, BadInput)
