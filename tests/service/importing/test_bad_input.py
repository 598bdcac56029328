"""What is no file of rows gives one clear message and changes nothing; a broken row never stops the rest."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from flatfare.core.errors import BadInput, StoreFailure
from flatfare.store.lake import MARK
from tests.service.importing.bringing import Place

HEAD = "id,timestamp,prompt_tokens,cost\n"
GOOD = "a,2026-01-01T00:00:00Z,5,1\n"


def unchanged(place: Place) -> bool:
    """No row, no file, no import."""
    kept = {".lock", MARK}
    files = [file for file in place.lake.folder.rglob("*") if file.is_file() and file.name not in kept]
    return not files and not place.book.rows("SELECT 1 FROM imports UNION ALL SELECT 1 FROM segments")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n  \n", "is empty"),
        ("a.csv", HEAD.encode(), "holds no rows"),
        ("a.csv", b"colour,shape\nred,round\n", "neither tokens nor a cost.*It has: colour, shape"),
        ("a.jsonl", b"{}\n", "neither tokens nor a cost"),
        ("a.parquet", b"PAR1 and then nothing of it PAR1", "no whole Parquet file"),
        ("a.parquet", b"what is this", "called Parquet, but does not begin like one"),
        ("a.xlsx", b"PK\x03\x04\x14\x00", "save its sheet as CSV"),
        ("a.csv", "id,prompt_tokens\n".encode("utf-16"), "save it as UTF-8"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", "cannot be unpacked"),
        ("a.json", b'[{"prompt_tokens": 1}, {"prompt', "broken at item 2"),
        ("a.json", b'{\n  "data": [\n', "is no JSON"),
        ("a.csv", b"id,prompt\x00_tokens\n1,2\n", "no header that can be read"),
    ],
)
def test_what_is_no_file_of_rows(place: Place, name: str, content: bytes, why: str) -> None:
    file = place.file(name, content)
    with pytest.raises(BadInput, match=why):
        place.bring("calls", file, at_us=1)
    assert unchanged(place)


def test_a_folder_and_a_missing_file(place: Place) -> None:
    with pytest.raises(BadInput, match="is a folder"):
        place.bring("calls", place.folder)
    with pytest.raises(BadInput, match="There is no file"):
        place.bring("calls", place.folder / "nothing.csv")
    assert unchanged(place)


def test_a_parquet_file_that_was_cut_off(place: Place, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    duckdb.sql("SELECT range AS id, 5 AS prompt_tokens FROM range(10000)").write_parquet(str(whole))
    with pytest.raises(BadInput, match="no whole Parquet file"):
        place.bring("calls", place.file("cut.parquet", whole.read_bytes()[:-100]), at_us=1)
    assert unchanged(place)


def test_a_parquet_file_that_is_broken_inside(place: Place, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    duckdb.sql("SELECT range AS id, hash(range) % 1000 AS prompt_tokens FROM range(100000)").write_parquet(
        str(whole)
    )
    content = bytearray(whole.read_bytes())
    content[200:4_000] = os.urandom(3_800)
    with pytest.raises((BadInput, StoreFailure)):
        place.bring("calls", place.file("broken.parquet", bytes(content)), at_us=1)
    assert unchanged(place)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("b,2026-01-01T00:00:00Z,-5,1", "a count is never negative"),
        ("b,2026-01-01T00:00:00Z,5.5,1", "a whole number"),
        ("b,2026-01-01T00:00:00Z,9e99,1", "nothing uses that much"),
        ("b,2026-01-01T00:00:00Z,5", "has 3 cells where the header has 4"),
        ("b,2026-01-01T00:00:00Z,5,1,6", "has 5 cells where the header has 4"),
        ('b,2026-01-01T00:00:00Z,5,"1" 2', "not well-formed"),
        ("b,1066-10-14T00:00:00Z,5,1", "no call is from then"),
        ("b,2026-13-45T00:00:00Z,5,1", "a time was expected"),
    ],
)
def test_a_broken_row_is_rejected_with_its_line_and_the_rest_is_read(
    place: Place, row: str, why: str
) -> None:
    result = place.text("calls", HEAD + GOOD + row + "\n" + GOOD.replace("a,", "c,"))
    assert (result.read, result.new, result.rejected) == (3, 2, 1)
    assert '"line": 3' in place.rejects()
    assert why in place.rejects()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"b\xe9,2026-01-01T00:00:00Z,5,1\n", "not UTF-8 (byte 0xE9 at column 2)"),
        (b"b,2026-01-01T00:00:00Z,5\x00,1\n", "a NUL byte"),
    ],
)
def test_bytes_that_are_no_text_reject_their_row(place: Place, row: bytes, why: str) -> None:
    file = place.file("given.csv", HEAD.encode() + row + GOOD.encode())
    result = place.bring("calls", file)
    assert (result.new, result.rejected) == (1, 1)
    assert why in place.rejects()


def test_another_encoding_can_be_named(place: Place) -> None:
    file = place.file("given.csv", "id,timestamp,prompt_tokens,team\na,2026-01-01,5,café\n".encode("latin-1"))
    assert place.bring("calls", file, encoding="latin-1").rejected == 0
    assert place.row("SELECT labels FROM calls") == ('{"team":"café"}',)


def test_lines_of_json_that_are_no_records(place: Place) -> None:
    text = '{"id":"a","prompt_tokens":1}\nnull\n[1,2]\n{"id":\n\n{"id":"b","prompt_tokens":2}\n'
    result = place.text("calls", text, "given.jsonl", at_us=1)
    assert (result.new, result.rejected) == (2, 3)


def test_a_line_longer_than_any_record_is_rejected_in_bounded_memory(place: Place) -> None:
    file = place.folder / "given.jsonl"
    with file.open("wb") as stream:
        stream.write(b'{"id":"a","prompt_tokens":1}\n{"id":"')
        for _ in range(64):
            stream.write(b"x" * (1 << 20))
        stream.write(b'"}\n{"id":"b","prompt_tokens":2}\n')
    result = place.bring("calls", file, at_us=1)
    assert (result.new, result.rejected) == (2, 1)
    assert "longer than 16 MB" in place.rejects("given.jsonl")


SOAK = """
import resource, sys
from tests.service.importing.bringing import Place
from pathlib import Path
place = Place(Path(sys.argv[1]))
result = place.bring("calls", sys.argv[2], at_us=1)
print(result.new, result.rejected, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.soak
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_line_of_two_gigabytes(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"given.{suffix}"
    head = b'{"id":"a","prompt_tokens":1}\n' if suffix == "jsonl" else b"id,prompt_tokens\na,1\n"
    with file.open("wb") as stream:
        stream.write(head)
        stream.seek(2 << 30, os.SEEK_CUR)  # a hole: two gigabytes that take no room
        stream.write(b"\n" + (head if suffix == "jsonl" else b"b,2\n"))
    done = subprocess.run(
        [sys.executable, "-c", SOAK, str(tmp_path), str(file)], capture_output=True, text=True, check=True
    )
    new, rejected, peak_mib = map(int, done.stdout.split())
    assert (rejected, peak_mib < 400) == (1, True)
    assert new >= 1


def test_a_quote_that_is_never_closed_rejects_one_row(place: Place) -> None:
    result = place.text("calls", HEAD + GOOD + '"b,2026-01-01T00:00:00Z,5,1\n' + GOOD.replace("a,", "c,"))
    assert (result.new, result.rejected) == (1, 1)
    assert "never closed" in place.rejects()


def test_rejects_of_an_earlier_run_do_not_stay(place: Place) -> None:
    place.text("calls", HEAD + "b,2026-01-01T00:00:00Z,-5,1\n")
    assert place.rejects()
    assert place.text("calls", HEAD + GOOD).rejects_file is None
    with pytest.raises(FileNotFoundError):
        place.rejects()


def test_rejects_that_cannot_be_written_import_nothing(place: Place) -> None:
    from flatfare.config import Settings
    from flatfare.service.importing.order import Order
    from flatfare.service.importing.run import Stores, import_file

    file = place.file("given.csv", HEAD + GOOD + "b,2026-01-01T00:00:00Z,-5,1\n")
    under_a_file = str(Path(file) / "rejects.jsonl")
    with pytest.raises(StoreFailure, match="--rejects PATH"):
        import_file(Stores(place.book, place.lake, Settings()), file, Order("calls"), 1, rejects=under_a_file)
    assert unchanged(place)


def test_a_lake_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(StoreFailure, match=r"The lake .* cannot be written"):
        place.text("calls", HEAD + GOOD)
    assert place.book.rows("SELECT 1 FROM imports") == []
    place.book.close()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
from flatfare.core.errors import FlatfareError
from tests.service.importing.bringing import Place
try:
    Place(Path(sys.argv[1])).bring("calls", sys.argv[2], at_us=1)
except FlatfareError as problem:
    print("said:", problem)
    sys.exit(7)
"""


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_disk_that_fills_changes_nothing(tmp_path: Path, form: str) -> None:
    rows = duckdb.sql("SELECT 'row-' || range AS id, hash(range) % 10000 AS prompt_tokens FROM range(60000)")
    file = tmp_path / f"given.{form}"
    rows.write_csv(str(file)) if form == "csv" else rows.write_parquet(str(file))
    Place(tmp_path).book.close()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(file), str(300_000)], capture_output=True, text=True
    )
    assert done.returncode == 7, done.stderr
    assert "said:" in done.stdout
    place = Place(tmp_path)
    assert unchanged(place)
    assert place.bring("calls", file, at_us=1).new == 60_000
    place.book.close()


def test_two_imports_at_once_wait_for_each_other(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.service.importing.bringing import Place; "
        "Place(Path(sys.argv[1])).bring('calls', sys.argv[2], at_us=1)"
    )
    Place(tmp_path).book.close()
    rows = "".join(f"{n},{n}\n" for n in range(3_000))
    files = [tmp_path / f"{n}.csv" for n in range(3)]
    for number, file in enumerate(files):
        file.write_text("id,prompt_tokens\n" + rows + f"own-{number},1\n")
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(file)]) for file in files]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    place = Place(tmp_path)
    assert place.row("SELECT SUM(n) FROM calls") == (3_003,)
    assert place.is_sound()
    place.book.close()
