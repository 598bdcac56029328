"""PostgreSQL as the book's home: the same statements, for several nodes that share one book.

One writer at a time, as on SQLite: every change is made under one advisory lock that the
server frees with the transaction. So what a writer has read is still true when it writes,
whichever machine it is on. A connection that broke is replaced before the next
transaction and never inside one.
"""

import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from flatfare.core.errors import BadInput, BadUsage, StoreFailure
from flatfare.store.home import BUSY_MS, KeyTaken, Row, Value

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql://", "postgres://")
CONNECT_S = 10
IDLE_S = 300
"""A transaction whose client says nothing for so long is ended: it would keep every other writer out."""

AWAY_MS = 20_000
"""A server that takes nothing of what was sent for so long is gone; left to itself TCP waits for minutes."""

POLL_S = 0.2

_LOCKS = 0x666C6174  # "flat": the first half of every advisory lock's key
_LOCK = f"({_LOCKS}, hashtext(current_schema() || ?))"
_SUBJECT_LOCK = f"({_LOCKS + 1}, hashtext(current_schema() || ?))"
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?|%""")
_SESSION = (
    f"SET lock_timeout = {BUSY_MS}",
    f"SET idle_in_transaction_session_timeout = {IDLE_S * 1000}",
    "SET TIME ZONE 'UTC'",
    # the server notices within half a minute that this machine is gone, and frees what it held
    # (PostgreSQL 16, section 20.3.2: any user may set these; through a socket of its own they are ignored)
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    # a server that does not wait for its disk would lose calls whose journals are gone
    (
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'"
    ),
)


class PostgresHome:
    """A connection to a database."""

    is_shared = True
    words: Mapping[str, str] = {
        "bigint": "BIGINT",
        "strict": "",
        # what SQLite's own row number is: it grows in the order in which rows are written
        "numbered": ", rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE",
    }

    def __init__(self, database: str) -> None:
        self._parameters = _parameters_of(database)
        from psycopg.conninfo import make_conninfo

        self._address = make_conninfo("", **self._parameters)
        self.place = _place(self._parameters)
        self._held: set[str] = set()  # what this connection is alone at
        self._in_transaction = False
        self._cursors = 0
        self._connection = self._connected()

    def close(self) -> None:
        self._connection.close()

    def execute(self, statement: str, parameters: Sequence[Value]) -> int:
        if not self._in_transaction:
            with self.writing():
                return self.execute(statement, parameters)
        text = _schema(statement) if statement.startswith(("CREATE ", "ALTER ")) else statement
        return self._run(text, parameters).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        given = [_storable(row) for row in rows]
        if not given:
            return 0
        if not self._in_transaction:
            with self.writing():
                return self.execute_many(statement, given)
        with self._translated_errors(), self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), given)
            return cursor.rowcount

    def rows(self, statement: str, parameters: Sequence[Value]) -> list[Row]:
        try:
            return self._run(statement, parameters).fetchall()
        except StoreFailure:
            if self._in_transaction or not self._connection.closed:
                raise
            self._replace()  # a question alone may be asked again
            return self._run(statement, parameters).fetchall()

    def stream(self, statement: str, parameters: Sequence[Value], size: int) -> Iterator[list[Row]]:
        if not self._in_transaction:
            with self.reading():
                yield from self.stream(statement, parameters, size)
            return
        self._cursors += 1
        with self._translated_errors(), self._connection.cursor(f"flatfare_{self._cursors}") as cursor:
            cursor.execute(_translated(statement), _storable(parameters))
            while batch := cursor.fetchmany(size):
                yield batch

    @contextmanager
    def writing(self) -> Iterator[None]:
        # each statement sees what was committed before it began: under the lock, all there is
        self._begin("BEGIN ISOLATION LEVEL READ COMMITTED")
        yield from self._ended(f"SELECT pg_advisory_xact_lock{_LOCK}", (" book",))

    @contextmanager
    def writing_of(self, subject: str) -> Iterator[None]:
        # beside writers of other subjects; whoever writes the whole book keeps all of them out
        self._begin("BEGIN ISOLATION LEVEL READ COMMITTED")
        taken = f"SELECT pg_advisory_xact_lock_shared{_LOCK}, pg_advisory_xact_lock{_SUBJECT_LOCK}"
        yield from self._ended(taken, (" book", subject))

    def number_of_write(self) -> str:
        return "txid_current()"

    def unseen_from(self) -> int:
        # a transaction that is under way may have begun before others that are seen
        return int(str(self.rows("SELECT txid_snapshot_xmin(txid_current_snapshot())", ())[0][0]))

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield from self._ended()

    def _begin(self, statement: str) -> None:
        if self._in_transaction:
            raise RuntimeError("a transaction inside a transaction")
        try:
            self._run(statement)
        except StoreFailure:
            if not self._connection.closed:
                raise
            self._replace()  # nothing was begun, so nothing is lost
            self._run(statement)
        self._in_transaction = True

    def _ended(self, first: str | None = None, parameters: Sequence[Value] = ()) -> Iterator[None]:
        import psycopg

        try:
            if first is not None:
                self._run(first, parameters)
            yield
            self._commit()
        except BaseException:
            with suppress(psycopg.Error):  # a broken connection has rolled back already
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self._in_transaction = False

    def _commit(self) -> None:
        try:
            tag = self._run("COMMIT").statusmessage
        except StoreFailure as problem:
            if not self._connection.closed:
                raise
            raise StoreFailure(
                f"{problem} It went away while a change was being kept: look whether that was made, "
                "before you make it again."
            ) from problem
        if tag != "COMMIT":  # a statement that failed before has undone it all
            raise StoreFailure(f"The book {self.place} has undone the change. Try again.")

    @contextmanager
    def alone(self, purpose: str, on_wait: Callable[[str], None] | None) -> Iterator[None]:
        is_told = False
        while not self.rows(f"SELECT pg_try_advisory_lock{_LOCK}", (f" {purpose}",))[0][0]:
            if on_wait and not is_told:
                on_wait("a process of another node")
                is_told = True
            time.sleep(POLL_S)
        self._held.add(purpose)
        try:
            yield
        finally:
            self._held.discard(purpose)
            if not self._connection.closed:
                self._run(f"SELECT pg_advisory_unlock{_LOCK}", (f" {purpose}",))

    def has_table(self, name: str) -> bool:
        # asked of the catalogue's rows: its functions may answer from a moment before the lock was had
        asked = "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = ?"
        return bool(self.rows(asked, (name,)))

    def integrity(self) -> str:
        return "ok"  # pages are checked by the server itself, as it reads them

    def _run(self, statement: str, parameters: Sequence[Value] = ()) -> "psycopg.Cursor[Row]":
        with self._translated_errors():
            return self._connection.execute(_translated(statement), _storable(parameters))

    def _connected(self) -> "psycopg.Connection[Row]":
        import psycopg

        try:
            connection: psycopg.Connection[Row] = psycopg.connect(self._address, autocommit=True)
        except psycopg.Error as problem:
            raise StoreFailure(_not_opened(str(problem), self.place, self._parameters)) from None
        _speak_as_sqlite(connection)
        try:
            for statement in _SESSION:
                connection.execute(statement)
        except psycopg.Error as problem:
            connection.close()
            raise StoreFailure(f"The book {self.place} answered: {_first_line(problem)}.") from None
        return connection

    def _replace(self) -> None:
        """Connect anew, where what was held does not matter; else say what was lost."""
        if self._held:
            raise StoreFailure(
                f"The connection to the book {self.place} was lost in the middle of work on the lake. "
                "Nothing was changed; run it again."
            )
        self._connection = self._connected()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.errors.NumericValueOutOfRange as problem:
            raise BadInput("Found a number that is too large: whole numbers have 64 bits.") from problem
        except psycopg.errors.IntegrityError as problem:
            raise KeyTaken(f"The book {self.place} holds that already: {_first_line(problem)}.") from problem
        except psycopg.Error as problem:
            self._fail(problem)

    def _fail(self, problem: "psycopg.Error") -> NoReturn:
        said = _SAID.get(problem.sqlstate or "")
        if self._connection.closed:
            said = "went away. What was not kept yet is undone; try again once the server is back"
        raise StoreFailure(
            f"The book {self.place} {said or f'answered: {_first_line(problem)}'}."
        ) from problem


_SAID = {
    "55P03": f"is in use by another process and stayed so for {BUSY_MS // 1000} s. Try again",
    "53100": "has no room left on its server's disk. Nothing was changed; make room and try again",
    "25006": "can only be read: it is a replica, or set to read only. Give the address of the primary server",
    "42501": "cannot be written by this user: grant it CREATE on the database's schema, and its tables",
    "25P03": f"ended a transaction that stood still for {IDLE_S} s. Nothing was changed; try again",
}
"""What the server's codes mean to who uses it (PostgreSQL 16, appendix A, read 2026-11-21)."""


def _parameters_of(database: str) -> dict[str, str | int]:
    """What to connect with; ``BadUsage`` where the driver is missing or the address is none."""
    try:
        from psycopg import Error
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as problem:
        raise BadUsage(
            "A book in PostgreSQL needs its driver, which is not installed: pip install 'flatfare[postgres]'."
        ) from problem
    defaults: dict[str, str | int] = {
        "connect_timeout": CONNECT_S,
        "application_name": "flatfare",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": AWAY_MS,
    }
    try:
        given = conninfo_to_dict(database)
    except Error:
        raise BadUsage(  # what is wrong is not repeated: it may be the password
            "The address of the book cannot be read: write postgresql://user:password@host:5432/database, "
            "with signs such as @ : / in the password written as %40 %3A %2F."
        ) from None
    return defaults | {key: value for key, value in given.items() if value is not None}


def _place(parameters: Mapping[str, str | int]) -> str:
    user = f"{parameters['user']}@" if "user" in parameters else ""
    port = f":{parameters['port']}" if "port" in parameters else ""
    return f"postgresql://{user}{parameters.get('host', '')}{port}/{parameters.get('dbname', '')}"


def _not_opened(text: str, place: str, parameters: Mapping[str, str | int]) -> str:
    if "password" in text:
        return (
            f"The book {place} lets this user in with another password: check the one in the address, "
            "PGPASSWORD or the password file."
        )
    if "does not exist" in text and "database" in text:
        return (
            f"There is no database at {place}. Make it first: createdb {parameters.get('dbname', 'flatfare')}"
        )
    if "too many" in text or "remaining connection slots" in text:
        return f"The book {place} has no connection left: raise max_connections, or run fewer workers."
    reason = text.strip().splitlines()[-1].strip().rstrip(".?")
    return (
        f"The book {place} cannot be reached: {reason}. Check that the server runs and its address is right."
    )


@lru_cache(maxsize=1000)
def _translated(statement: str) -> str:
    """The statement with the driver's sign for parameters, outside of texts and names."""
    return _TOKENS.sub(
        lambda found: {"?": "%s", "%": "%%"}.get(found[0], found[0].replace("%", "%%")), statement
    )


def _schema(statement: str) -> str:
    """Texts are put in order by their bytes, as SQLite does, whatever the server's language."""
    return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', statement)


def _storable(row: Sequence[Value]) -> Sequence[Value]:
    """The row as PostgreSQL can keep it: its texts hold every sign but NUL."""
    if any(type(value) is str and "\0" in value for value in row):
        return [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row]
    return row


def _speak_as_sqlite(connection: "psycopg.Connection[Row]") -> None:
    """Values as SQLite takes and gives them: truth as 0 and 1, sums of whole numbers as whole numbers."""
    from psycopg.adapt import Buffer, Loader
    from psycopg.types.numeric import Int8Dumper

    class Truth(Int8Dumper):
        def dump(self, obj: int) -> bytes:
            return b"1" if obj else b"0"

    class Sum(Loader):
        def load(self, data: Buffer) -> int | float:
            text = bytes(data).decode()
            return int(text) if text.lstrip("-").isdigit() else float(text)

    connection.adapters.register_dumper(bool, Truth)
    connection.adapters.register_loader("numeric", Sum)


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0].rstrip(".")


def name_of(database: str) -> str:
    """A short name for what a node keeps on its own disk beside this book: the database's and a check."""
    parameters = _parameters_of(database)
    server = f"{parameters.get('host', '')}:{parameters.get('port', '')}"
    return f"{parameters.get('dbname', 'flatfare')}-{zlib.crc32(server.encode()):08x}"
