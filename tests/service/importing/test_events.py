"""The SDK's spool comes into the book, each event once, and leaves the disk when the book has it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import flatfare_sdk
from flatfare.cli.root import root
from flatfare.core.identity import task_id
from flatfare.service.access.keys import Terms, create
from flatfare.store.book import open_book
from flatfare_sdk.recorder import process
from flatfare_sdk.settings import settings as sdk_settings
from flatfare_sdk.spool import Spool

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLATFARE_URL", NOWHERE)
    monkeypatch.setenv("FLATFARE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.delenv("FLATFARE_KEY", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["import", "events", *arguments], catch_exceptions=True)


def record(folder: Path, number: int, key: str | None = None) -> Path:
    """So many tasks, told by a program that has ended; returns its spool."""
    chosen = sdk_settings({}, url=NOWHERE, key=key, spool=str(folder / "spool"))
    process.record_by(chosen)
    for count in range(number):
        with flatfare_sdk.task("review", id=f"t{count}", customer="acme") as t:
            t.verdict("tests", passed=count % 2 == 0, evidence=count)
    process.recorder().close(2.0)
    process.record_by(sdk_settings({"FLATFARE_OFF": "1"}, spool=str(folder / "spool")))
    return Path(chosen.folder)


def listed() -> list[dict[str, object]]:
    """The tasks that the book has, as people see them."""
    result = CliRunner().invoke(root, ["tasks", "list", "--json"])
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_without_a_file_the_spool_is_drained(folder: Path) -> None:
    spool = record(folder, 4)
    result = run()
    assert (result.exit_code, result.stdout) == (0, f"{spool}: 20 read, 20 new, 0 known, 0 rejected.\n")
    assert list(spool.iterdir()) == []
    assert sorted(str(task["outcome"]) for task in listed()) == ["failed", "failed", "verified", "verified"]
    assert run().stdout == f"{spool}: 0 read, 0 new, 0 known, 0 rejected.\n"


def test_a_file_is_read_and_stays_and_again_it_is_known(folder: Path) -> None:
    (segment,) = record(folder, 2).iterdir()
    assert run(str(segment)).stdout == f"{segment}: 10 read, 10 new, 0 known, 0 rejected.\n"
    assert run(str(segment)).stdout == f"{segment}: 10 read, 0 new, 10 known, 0 rejected.\n"
    assert run("--json").exit_code == 0
    assert len(listed()) == 2


def test_a_last_line_cut_short_is_left_out(folder: Path) -> None:
    (segment,) = record(folder, 2).iterdir()
    segment.write_bytes(segment.read_bytes()[:-30])
    result = run(str(segment))
    assert result.stdout == f"{segment}: 9 read, 9 new, 0 known, 0 rejected.\n"
    assert "cut short" in result.stderr
    assert result.exit_code == 0


def test_what_is_refused_is_said_with_its_line(folder: Path) -> None:
    (segment,) = record(folder, 1).iterdir()
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:2], b'{"event":"guessed"}\n', b"no JSON\n", *lines[2:]]))
    result = run(str(segment), "--rejects", "bad.jsonl")
    assert result.exit_code == 1
    assert "7 read, 5 new, 0 known, 2 rejected; see bad.jsonl" in result.stdout
    rejects = [json.loads(line) for line in Path("bad.jsonl").read_text().splitlines()]
    assert [reject["line"] for reject in rejects] == [3, 4]


def test_what_is_refused_in_the_spool_is_kept_beside_it(folder: Path) -> None:
    spool = record(folder, 1)
    (segment,) = spool.iterdir()
    segment.write_bytes(segment.read_bytes() + b'{"event":"guessed"}\n')
    result = run()
    assert result.exit_code == 1
    (left,) = spool.iterdir()
    assert left.name.endswith(".rejects.jsonl")
    assert run().stdout.endswith("0 read, 0 new, 0 known, 0 rejected.\n")


def test_what_a_running_process_holds_is_read_and_left_to_it(folder: Path) -> None:
    (written,) = record(folder, 1).iterdir()
    lines = written.read_bytes().splitlines(keepends=True)
    written.unlink()
    segment = Spool(str(written.parent), 10_000).new_segment()
    segment.append(lines[:3])
    assert run().stdout.endswith("3 read, 3 new, 0 known, 0 rejected.\n")
    segment.append(lines[3:])
    segment.release()
    assert run().stdout.endswith("5 read, 2 new, 3 known, 0 rejected.\n")
    assert list(written.parent.iterdir()) == []


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "by secret"])
def test_a_key_s_project_and_labels_are_those_of_its_events(
    folder: Path, by_name: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_book("sqlite:///flatfare.db", create=True) as book:
        terms = Terms("search", project="p1", labels={"team": "search"})
        secret = create(book, terms, at_us=1_790_000_000_000_000, by_whom="kim").secret
    spool = record(folder, 1, secret)
    if by_name:
        (segment,) = spool.iterdir()
        assert run(str(segment), "--key", "search").exit_code == 0
    else:
        monkeypatch.setenv("FLATFARE_KEY", secret)
        assert run().exit_code == 0
    (task,) = listed()
    assert task["task"] == str(task_id("p1", "t0"))
    assert task["labels"] == {"customer": "acme", "team": "search"}


def test_a_key_that_is_not_known_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("--key", "nobody")
    assert "no key named 'nobody'" in str(result.exception)
    monkeypatch.setenv("FLATFARE_KEY", "ff_unknown")
    assert "no key of FLATFARE_KEY" in str(run().exception)


def test_a_file_that_is_not_there_is_said_and_what_a_spool_held_is_told_all_the_same(folder: Path) -> None:
    spool = record(folder, 1)
    result = run(str(spool), "nowhere.events")
    assert (result.exit_code, result.stdout) == (1, f"{spool}: 5 read, 5 new, 0 known, 0 rejected.\n")
    assert result.stderr == "flatfare: There is no file nowhere.events.\n"


def test_a_spool_for_another_key_is_named_and_drained_by_its_folder(folder: Path) -> None:
    other = record(folder, 1, "ff_replaced")
    spool = record(folder, 1)
    result = run()
    assert result.stdout == f"{spool}: 5 read, 5 new, 0 known, 0 rejected.\n"
    assert f"flatfare import events {other}" in result.stderr
    assert run(str(other)).stdout == f"{other}: 5 read, 5 new, 0 known, 0 rejected.\n"
    assert list(other.iterdir()) == []
