"""Signed heads, kept outside the book: how far each chain had come, and what it ended with.

A folder holds ``statements.jsonl``: each line names heads, follows from the line before,
and is signed. Whoever changes the book cannot change what was said of it here, and one
line's digest, written down elsewhere, vouches for all before it.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flatfare.core.chain import GENESIS
from flatfare.core.errors import StoreFailure
from flatfare.store.durable import make_file, make_folder, sync
from flatfare.store.engine import quoted, write_parquet
from flatfare.store.lake import checksum

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STATEMENTS = "statements.jsonl"
INLINE_MAX = 1000
"""Heads that a line names itself; more stand in a file beside it."""

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Statement:
    """One line: what it says, and what it hashes to."""

    number: int
    at_us: int
    previous: str
    count: int
    heads: tuple[tuple[str, int, str], ...]  # chain, records, hash of the last
    file: str | None
    sha256: str | None
    signature: str

    @property
    def says(self) -> dict[str, object]:
        """What is hashed and signed."""
        return {
            "number": self.number,
            "at_us": self.at_us,
            "previous": self.previous,
            "count": self.count,
            "heads": [list(head) for head in self.heads],
            "file": self.file,
            "sha256": self.sha256,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of what the line says."""
        return hashlib.sha256(_canonical(self.says).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Heads:
    """The folder of signed heads and the key that signs them."""

    folder: Path
    key_file: Path

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only one who adds statements."""
        try:
            make_folder(self.folder)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise StoreFailure(
                f"The folder of signed heads {self.folder} cannot be written: {problem.strerror}."
            ) from problem
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def statements(self) -> list[Statement]:
        """Every statement, the oldest first. ``StoreFailure`` names a line that cannot be read.

        What stands behind the last end of a line was never said: its writer died in the middle.
        """
        try:
            text = (self.folder / STATEMENTS).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise StoreFailure(f"{self.folder / STATEMENTS} cannot be read: {problem.strerror}.") from problem
        lines = text.split("\n")[:-1]  # and at no other sign that ends a line: names may hold those
        return [self._read(number, line) for number, line in enumerate(lines, start=1)]

    def problems(self, statements: Sequence[Statement]) -> Iterator[str]:
        """What is wrong with the statements themselves."""
        key = self.key()
        previous = GENESIS
        for position, statement in enumerate(statements, start=1):
            name = f"statement {position} of {self.folder / STATEMENTS}"
            if statement.previous != previous or statement.number != position:
                yield f"{name} does not follow from the one before: edited, dropped or inserted"
            if key is None:
                yield f"{name} cannot be checked: its key {self.key_file} is gone"
            elif not hmac.compare_digest(_signed(statement.digest, key), statement.signature):
                yield f"{name} was not signed with the key {self.key_file}"
            if statement.file is not None and not self._is_whole(statement):
                yield f"{name}: its file {statement.file} is not as it was signed"
            previous = statement.digest

    def load(self, engine: "DuckDBPyConnection", statements: Sequence[Statement]) -> None:
        """Make ``heads_signed`` (chain, records, hash): every head that was ever signed, each once."""
        engine.execute("CREATE TEMP TABLE heads_inline (chain VARCHAR, records BIGINT, hash VARCHAR)")
        inline = [head for statement in statements for head in statement.heads]
        if inline:
            with engine.appender("heads_inline") as appender:
                appender.append_rows(inline)
        files = [str(self.folder / s.file) for s in statements if s.file and (self.folder / s.file).is_file()]
        more = (
            f" UNION SELECT * FROM read_parquet([{', '.join(map(quoted, files))}])"
            if files
            else " UNION SELECT * FROM heads_inline"
        )
        engine.execute(f"CREATE TEMP TABLE heads_signed AS SELECT * FROM heads_inline{more}")

    def add(
        self, engine: "DuckDBPyConnection", fresh: str, former: Sequence[Statement], at_us: int
    ) -> Statement | None:
        """Sign the heads of a relation ``fresh`` (chain, records, hash); None where there are none."""
        counted = engine.execute(f"SELECT count(*) FROM {fresh}").fetchone()
        count = int(counted[0]) if counted else 0
        if not count:
            return None
        number = len(former) + 1
        heads: tuple[tuple[str, int, str], ...] = ()
        file = sha256 = None
        if count <= INLINE_MAX:
            found = engine.execute(f"SELECT chain, records, hash FROM {fresh} ORDER BY chain").fetchall()
            heads = tuple((str(chain), int(records), str(own)) for chain, records, own in found)
        else:
            file = f"heads-{number:06}.parquet"
            query = f"SELECT chain, records, hash FROM {fresh} ORDER BY chain"
            write_parquet(engine, query, self.folder / file)
            self._sync(file)
            sha256 = checksum(self.folder / file)
        previous = former[-1].digest if former else GENESIS
        said = Statement(number, at_us, previous, count, heads, file, sha256, "")
        key = self.key() or self._make_key()
        signed = _canonical({**said.says, "signature": _signed(said.digest, key)})
        self._append(signed)
        return self._read(number, signed)

    def key(self) -> bytes | None:
        """The key that signs; None where there is none yet."""
        try:
            key = bytes.fromhex(self.key_file.read_text(encoding="ascii").strip())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise StoreFailure(f"The key {self.key_file} cannot be read: {problem}.") from problem
        if len(key) < _KEY_BYTES:
            raise StoreFailure(
                f"Found {len(key)} bytes in the key {self.key_file}: expected {_KEY_BYTES}, in hexadecimal. "
                "Put the file back from a copy; if it never signed anything, remove it."
            )
        return key

    def _make_key(self) -> bytes:
        """The key, made whole or not at all; that of another process if it was faster."""
        key = secrets.token_bytes(_KEY_BYTES)
        try:
            if not make_file(self.key_file, f"{key.hex()}\n".encode()):
                return self.key() or key
        except OSError as problem:
            raise StoreFailure(
                f"The key {self.key_file} that signs heads cannot be made: {problem.strerror}. "
                "Set FLATFARE_HEADS_KEY to a file that can be written."
            ) from problem
        return key

    def _append(self, line: str) -> None:
        try:
            with (self.folder / STATEMENTS).open("a+b") as file:
                file.seek(0)
                former = file.read().rfind(b"\n") + 1
                file.truncate(former)  # what a writer that died left half said
                file.write((line + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
            if not former:
                sync(self.folder)
        except OSError as problem:
            raise StoreFailure(
                f"{self.folder / STATEMENTS} cannot be written: {problem.strerror}."
            ) from problem

    def _sync(self, file: str) -> None:
        try:
            sync(self.folder / file)
            sync(self.folder)
        except OSError as problem:
            raise StoreFailure(f"{self.folder / file} cannot be written: {problem.strerror}.") from problem

    def _read(self, number: int, line: str) -> Statement:
        try:
            said = json.loads(line)
            heads = tuple((str(chain), int(records), str(own)) for chain, records, own in said["heads"])
            return Statement(
                int(said["number"]),
                int(said["at_us"]),
                str(said["previous"]),
                int(said["count"]),
                heads,
                said["file"],
                said["sha256"],
                str(said["signature"]),
            )
        except (ValueError, KeyError, TypeError) as problem:
            raise StoreFailure(
                f"Line {number} of {self.folder / STATEMENTS} is no statement: {problem}. "
                "Put the file back from a copy."
            ) from problem

    def _is_whole(self, statement: Statement) -> bool:
        assert statement.file is not None
        file = self.folder / statement.file
        return file.is_file() and checksum(file) == statement.sha256


def _signed(digest: str, key: bytes) -> str:
    return hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()


def _canonical(said: dict[str, object]) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
