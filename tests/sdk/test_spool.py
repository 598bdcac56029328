"""What is in the spool outlives its process, is delivered once, is the user's alone and is bounded."""

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import flatfare_sdk
from flatfare_sdk import task
from flatfare_sdk.recorder import COMMIT_S, process
from flatfare_sdk.settings import Settings, settings, spool_root
from flatfare_sdk.spool import Spool, SpoolFull, whole_lines
from tests.sdk.receiver import receiving, until


def event(number: int) -> bytes:
    id_ = f"0193a6f2-8c1e-7000-8000-{number:012x}"
    return f'{{"event":"closed","id":"{id_}","task":"t{number}","at":1790000000000000}}\n'.encode()


def record_by(url: str, spool: Path, **more: str) -> Settings:
    chosen = settings(more, url=url, spool=str(spool))
    process.record_by(chosen)
    return chosen


def test_a_segment_is_held_by_who_writes_it_and_free_afterwards(tmp_path: Path) -> None:
    one, other = Spool(str(tmp_path), 10_000), Spool(str(tmp_path), 10_000)
    segment = one.new_segment()
    segment.append([event(1), event(2)])
    assert other.take_orphan() is None
    segment.release()
    taken = other.take_orphan()
    assert taken is not None
    assert len(taken.lines) == 2
    assert one.take_orphan() is None
    taken.remove()
    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_are_the_user_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "spool"
    segment = Spool(str(folder), 10_000).new_segment()
    segment.append([event(1)])
    assert segment.path is not None
    assert stat.S_IMODE(os.stat(segment.path).st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    segment.release()


def test_a_line_cut_short_is_left_out_and_the_rest_is_read() -> None:
    assert len(whole_lines(event(1) + event(2) + event(3)[:-20])) == 2
    assert len(whole_lines(event(1) + event(2)[:-1])) == 1
    assert whole_lines(b"") == []
    assert len(whole_lines(event(1) + b"\0\0\0\0\n" + b"garbage\n" + event(2))) == 2


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Spool(str(tmp_path), 10_000).new_segment()
    segment.append([event(1)])
    write = os.write

    def some(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, bytes(data)[:7])

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", some)
    with pytest.raises(OSError, match="No space"):
        segment.append([event(2)])
    assert segment.path is not None
    assert Path(segment.path).read_bytes() == event(1)
    segment.release()


def test_no_more_is_kept_than_may_be(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 100)
    first = spool.new_segment()
    first.append([event(1), event(2)])
    with pytest.raises(SpoolFull):
        spool.new_segment()
    first.remove()
    spool.new_segment().remove()


def test_what_a_full_spool_cannot_take_is_counted_as_lost(
    spool: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    from flatfare_sdk import delivery, recorder

    monkeypatch.setattr(delivery, "HELD_BYTES_MAX", 1_000)
    monkeypatch.setattr(recorder, "SEGMENT_BYTES_MAX", 2_000)
    record_by("http://127.0.0.1:1", spool, FLATFARE_SPOOL_BYTES="4000")
    for _ in range(40):
        with task("x"):
            pass
        assert flatfare_sdk.flush(5.0) is not None
    assert until(lambda: flatfare_sdk.status().lost > 0)
    assert sum(file.stat().st_size for file in spool.rglob("*.events")) < 8_000
    assert any("events are lost" in text for text in warnings())


def test_events_for_one_key_are_never_sent_with_another(spool: Path, fresh: None) -> None:
    with receiving() as server:
        url = server.url
    first = settings({"FLATFARE_KEY": "ff_one"}, url=url, spool=str(spool))
    process.record_by(first)
    task("x").open().close()
    process.recorder().close(2.0)
    with receiving(int(url.rpartition(":")[2])) as server:
        record_by(url, spool, FLATFARE_KEY="ff_two")
        task("y").open().close()
        assert flatfare_sdk.flush(5.0, sent=True)
        assert set(server.keys) == {"Bearer ff_two"}
        record_by(url, spool, FLATFARE_KEY="ff_one")
        task("z").open().close()
        assert flatfare_sdk.flush(5.0, sent=True)
        assert until(lambda: len(server.events) == 12)
        assert set(server.keys) == {"Bearer ff_two", "Bearer ff_one"}
    assert "ff_one" not in " ".join(str(path) for path in spool.rglob("*"))


def test_without_a_server_it_lies_in_the_spool_and_the_next_connection_drains_it(
    spool: Path, fresh: None
) -> None:
    with receiving() as server:
        url = server.url
    record_by(url, spool)
    with task("x"):
        pass
    process.recorder().close(2.0)
    (segment,) = spool.rglob("*.events")
    assert [json.loads(line)["event"] for line in segment.read_text().splitlines()] == [
        "opened",
        "attempt_started",
        "attempt_ended",
        "closed",
    ]
    with receiving(int(url.rpartition(":")[2])) as server:
        record_by(url, spool)
        with task("y"):
            pass
        assert until(lambda: len(server.events) == 8)
        assert until(lambda: not list(spool.rglob("*.events")))
        process.recorder().close(2.0)
        assert len(server.events) == 8


def test_the_state_folder_is_where_such_folders_are() -> None:
    assert spool_root({"FLATFARE_SPOOL": "/a/b"}) == "/a/b"
    assert spool_root({"XDG_STATE_HOME": "/state"}) == "/state/flatfare/spool"
    assert spool_root({}).endswith("/.local/state/flatfare/spool")


def test_settings_never_print_the_key() -> None:
    assert "ff_secret" not in repr(settings({"FLATFARE_KEY": "ff_secret"}))


def test_events_are_written_in_groups_and_not_one_by_one(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_by("http://127.0.0.1:1", spool)
    writes = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    started = time.monotonic()
    while time.monotonic() < started + 0.5:
        flatfare_sdk.signal("t", "accepted")
        time.sleep(0.001)
    assert flatfare_sdk.flush(5.0)
    assert len(writes) <= 2 + (time.monotonic() - started) / COMMIT_S


def test_the_first_event_after_a_rest_is_written_at_once(spool: Path) -> None:
    record_by("http://127.0.0.1:1", spool)
    flatfare_sdk.signal("t", "accepted")
    assert until(lambda: flatfare_sdk.status().spooled == 1, 2.0)
    time.sleep(2 * COMMIT_S)
    flatfare_sdk.signal("t", "accepted")
    assert until(lambda: flatfare_sdk.status().spooled == 2, COMMIT_S / 2 + 1.0)


def test_where_files_cannot_be_locked_events_go_from_memory(
    spool: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    from flatfare_sdk import spool as spooling

    monkeypatch.setattr(spooling, "fcntl", None)
    with receiving() as server:
        record_by(server.url, spool)
        flatfare_sdk.signal("t", "accepted")
        assert flatfare_sdk.flush(5.0, sent=True)
        assert server.names() == ["signalled"]
    assert not spool.exists()
    assert "cannot be locked on this system" in warnings()[0]


def test_what_was_recorded_before_goes_where_it_was_to_go(spool: Path, fresh: None) -> None:
    with receiving() as former, receiving() as later:
        flatfare_sdk.configure(url=former.url, spool=str(spool))
        flatfare_sdk.signal("t", "accepted")
        flatfare_sdk.configure(url=later.url, spool=str(spool))
        flatfare_sdk.signal("t", "reopened")
        assert until(lambda: [event["name"] for event in former.events] == ["accepted"])
        assert until(lambda: [event["name"] for event in later.events] == ["reopened"])
