"""A record that is said to be kept is in the file; one that is not fails for whoever waits."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.gateway.folders import is_alive, log_file, log_numbers
from flatfare.gateway.journal import Journal
from flatfare.gateway.reading_back import Place, read_portion
from flatfare.gateway.records import Ended, Record, Void, decode
from tests.gateway.calls import call_id, intent, result


def in_journal(worker: Path) -> list[Record]:
    """Everything a worker has written, from all its files."""
    found: list[Record] = []
    place, is_end = Place(), False
    while not is_end:
        portion = read_portion(worker, place, is_alive=False)
        assert [note for note in portion.notes if note.kind != "torn"] == []
        found += map(decode, portion.records)
        place, is_end = portion.place, portion.is_end
    return found


def run(folder: Path, body: Callable[[Journal], Awaitable[None]], **settings: int) -> Path:
    async def whole() -> Path:
        journal = Journal(folder, **settings)  # type: ignore[arg-type]
        try:
            await body(journal)
        finally:
            await journal.close()
        return journal.worker

    return asyncio.run(whole())


@pytest.mark.parametrize("sync", [True, False])
def test_a_record_that_is_kept_can_be_read_at_once(tmp_path: Path, sync: bool) -> None:
    async def body(journal: Journal) -> None:
        for number in range(3):
            await journal.append(intent(number))
            assert in_journal(journal.worker)[-1] == intent(number)

    run(tmp_path, body, sync=sync)


def test_all_that_wait_share_one_write(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        await asyncio.gather(*(journal.append(intent(number)) for number in range(500)))
        assert journal.writes <= 2
        assert journal.kept_records == 500

    assert in_journal(run(tmp_path, body)) == [intent(number) for number in range(500)]


def test_a_synced_journal_is_synced_before_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def fdatasync(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr(os, "fdatasync", fdatasync)

    async def body(journal: Journal) -> None:
        await journal.append(intent(1))
        assert synced == [log_file(journal.worker, 1).stat().st_size]

    run(tmp_path / "synced", body, sync=True)
    synced.clear()
    run(tmp_path / "not", lambda journal: journal.append(intent(1)), sync=False)
    assert synced == []


def test_files_follow_one_another_and_keep_the_order(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        for number in range(100):
            await journal.append(intent(number))

    worker = run(tmp_path, body, file_bytes_max=1000)
    assert len(log_numbers(worker)) > 5
    assert in_journal(worker) == [intent(number) for number in range(100)]


def test_a_worker_lives_until_it_closes_its_journal(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        assert is_alive(journal.worker)

    assert not is_alive(run(tmp_path, body))


def test_a_worker_that_is_killed_is_dead(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\nfrom flatfare.gateway.journal import Journal\n"
        "async def main():\n    print(Journal(pathlib.Path(sys.argv[1])).worker, flush=True)\n"
        "    await asyncio.sleep(60)\nasyncio.run(main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        worker = Path(child.stdout.readline().strip())
        assert is_alive(worker)
        child.kill()
    assert not is_alive(worker)


def test_the_callback_comes_later_and_once(tmp_path: Path) -> None:
    told: list[StoreFailure | None] = []

    async def body(journal: Journal) -> None:
        journal.write(intent(1), told.append)
        assert told == []
        await journal.append(intent(2))
        await asyncio.sleep(0)

    run(tmp_path, body)
    assert told == [None]


def test_one_whose_callback_fails_harms_no_other(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))

        def fail(_: StoreFailure | None) -> None:
            raise ValueError("a fault of the caller's own")

        journal.write(intent(1), fail)
        await journal.append(intent(2))
        await journal.append(intent(3))
        assert len(complaints) == 1

    assert len(in_journal(run(tmp_path, body))) == 3


def test_whoever_stops_waiting_leaves_the_record_and_the_others(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        leaving = asyncio.ensure_future(journal.append(intent(1)))
        staying = asyncio.ensure_future(journal.append(intent(2)))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying

    assert in_journal(run(tmp_path, body)) == [intent(1), intent(2)]


def test_close_writes_what_waits(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        for number in range(50):
            journal.write(result(number))

    assert len(in_journal(run(tmp_path, body))) == 50


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    async def body(journal: Journal) -> None:
        await journal.close()
        with pytest.raises(StoreFailure, match="closed"):
            await journal.append(intent(1))

    async def whole() -> None:
        await body(Journal(tmp_path))

    asyncio.run(whole())


@pytest.mark.parametrize("fields", [{"labels": "x" * (1 << 20)}, {"session": "\ud800"}, {"turn": 2**70}])
def test_a_record_that_cannot_be_written_down_is_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    async def body(journal: Journal) -> None:
        with pytest.raises(BadInput):
            await journal.append(intent(1, **fields))
        await journal.append(intent(2))

    assert in_journal(run(tmp_path, body)) == [intent(2)]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def body() -> None:
        with pytest.raises(StoreFailure, match="cannot be made"):
            Journal(tmp_path / "file" / "journal")

    asyncio.run(body())


class Disk:
    """Stands before ``os.write`` and ``os.fdatasync`` of journal files; fails as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room_bytes: int | None = None  # None: plenty
        self.sync_fails = False
        self.cut_fails = False
        self.write, self.sync, self.cut = os.write, os.fdatasync, os.ftruncate
        monkeypatch.setattr(os, "write", self.writing)
        monkeypatch.setattr(os, "fdatasync", self.syncing)
        monkeypatch.setattr(os, "ftruncate", self.cutting)

    def writing(self, handle: int, data: bytes) -> int:
        if self.room_bytes is None or threading.current_thread().name != "journal":
            return self.write(handle, data)
        if self.room_bytes == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self.write(handle, data[: self.room_bytes])
        self.room_bytes -= count
        return count

    def syncing(self, handle: int) -> None:
        if self.sync_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.sync(handle)

    def cutting(self, handle: int, size: int) -> None:
        if self.cut_fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.cut(handle, size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def outcomes(journal: Journal, *records: Record) -> list[bool]:
    """Which of the records, appended at one moment, were kept."""
    ended = await asyncio.gather(*(journal.append(record) for record in records), return_exceptions=True)
    assert all(one is None or isinstance(one, StoreFailure) for one in ended)
    return [one is None for one in ended]


def test_a_full_disk_fails_those_who_wait_and_cuts_the_file_to_its_last_whole_record(
    tmp_path: Path, disk: Disk
) -> None:
    async def body(journal: Journal) -> None:
        await journal.append(intent(0))
        size = log_file(journal.worker, 1).stat().st_size
        disk.room_bytes = 2 * size + 10
        assert await outcomes(journal, *map(intent, range(1, 6))) == [True, True, False, False, False]
        assert log_file(journal.worker, 1).stat().st_size == 3 * size
        assert "No space left" in str(journal.failure)
        assert await outcomes(journal, intent(6)) == [False]
        disk.room_bytes = None
        assert await outcomes(journal, intent(7)) == [True]
        assert journal.failure is None

    assert in_journal(run(tmp_path, body)) == [intent(number) for number in (0, 1, 2, 7)]


def test_a_result_that_finds_the_disk_full_is_written_when_there_is_room(tmp_path: Path, disk: Disk) -> None:
    async def body(journal: Journal) -> None:
        await journal.append(intent(1))
        disk.room_bytes = 0
        assert await outcomes(journal, result(1), intent(2)) == [False, False]
        disk.room_bytes = None
        while journal.waiting or journal.failure:
            await asyncio.sleep(0.05)

    assert in_journal(run(tmp_path, body)) == [intent(1), result(1)]


def test_an_owed_result_goes_before_whatever_comes_next(tmp_path: Path, disk: Disk) -> None:
    async def body(journal: Journal) -> None:
        disk.room_bytes = 0
        assert await outcomes(journal, result(1), result(2)) == [False, False]
        disk.room_bytes = None
        assert await outcomes(journal, intent(3)) == [True]

    assert in_journal(run(tmp_path, body)) == [result(1), result(2), intent(3)]


def test_what_is_appended_during_a_failing_write_fails_too_and_soon(tmp_path: Path, disk: Disk) -> None:
    async def body(journal: Journal) -> None:
        disk.room_bytes = 0
        first = asyncio.ensure_future(outcomes(journal, *map(result, range(2000))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await asyncio.wait_for(outcomes(journal, intent(1)), 5) == [False]
        assert not any(await first)
        disk.room_bytes = None

    assert len(in_journal(run(tmp_path, body))) == 2000


def test_a_file_whose_sync_failed_is_not_written_again_and_its_intents_are_void(
    tmp_path: Path, disk: Disk
) -> None:
    async def body(journal: Journal) -> None:
        await journal.append(intent(1))
        disk.sync_fails = True
        assert await outcomes(journal, intent(2), result(1)) == [False, False]
        disk.sync_fails = False
        assert await outcomes(journal, intent(3)) == [True]

    worker = run(tmp_path, body)
    assert log_numbers(worker) == [1, 2]
    # The result stands twice: the booker takes it once.
    assert in_journal(worker) == [intent(1), intent(2), result(1), Void(call_id(2)), result(1), intent(3)]


def test_a_call_told_in_one_record_is_owed_as_a_whole(tmp_path: Path, disk: Disk) -> None:
    async def body(journal: Journal) -> None:
        disk.room_bytes = 0
        assert await outcomes(journal, Ended(intent(1), result(1))) == [False]
        disk.room_bytes, disk.sync_fails = None, True
        assert await outcomes(journal, Ended(intent(2), result(2))) == [False]
        disk.sync_fails = False
        assert await outcomes(journal, intent(3)) == [True]

    assert in_journal(run(tmp_path, body)) == [
        Ended(intent(1), result(1)),
        Ended(intent(2), result(2)),
        Ended(intent(1), result(1), is_again=True),
        Ended(intent(2), result(2), is_again=True),
        intent(3),
    ]


def test_a_file_that_cannot_be_cut_is_left_torn_and_followed_by_another(tmp_path: Path, disk: Disk) -> None:
    async def body(journal: Journal) -> None:
        await journal.append(intent(1))
        disk.room_bytes, disk.cut_fails = 10, True
        assert await outcomes(journal, intent(2)) == [False]
        disk.room_bytes, disk.cut_fails = None, False
        assert await outcomes(journal, intent(3)) == [True]

    worker = run(tmp_path, body)
    assert log_numbers(worker) == [1, 2]
    assert in_journal(worker) == [intent(1), Void(call_id(2)), intent(3)]


def test_a_journal_that_does_not_keep_up_refuses_intents_before_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flatfare.gateway.journal.WAITING_BYTES_MAX", 1000)

    async def body(journal: Journal) -> None:
        for _ in range(10):  # a record has some 120 bytes
            journal.write(result(0))
        with pytest.raises(StoreFailure, match="does not keep up"):
            journal.write(intent(5))
        journal.write(result(1))  # the end of a call under way is still taken

    worker = run(tmp_path, body)
    assert in_journal(worker)[-1] == result(1)


LIMITED = """
import asyncio, pathlib, resource, sys
from flatfare.core.errors import StoreFailure
from flatfare.gateway.journal import Journal
from tests.gateway.calls import intent

async def kept(journal, number):
    try:
        await journal.append(intent(number))
    except StoreFailure as problem:
        assert problem.http_status == 503
        return False
    return True

async def main():
    journal = Journal(pathlib.Path(sys.argv[1]))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    first = [await kept(journal, number) for number in range(200)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    second = [await kept(journal, number) for number in range(200, 210)]
    print(sum(first), sum(second), first == sorted(first, reverse=True))
    await journal.close()

asyncio.run(main())
"""


def test_a_real_limit_of_the_kernel_is_met_and_outlived(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    first, second, in_order = ended.stdout.split()
    assert 10 < int(first) < 200
    assert (int(second), in_order) == (10, "True")
    (worker,) = (folder for folder in tmp_path.iterdir() if folder.is_dir())
    expected = [*range(int(first)), *range(200, 210)]
    assert in_journal(worker) == [intent(number) for number in expected]
