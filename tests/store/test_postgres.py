"""PostgreSQL alone: SQLite's schema, failures said without a password, and restarts outlived."""

import builtins
from collections.abc import Iterator

import pytest

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.store import book as books
from flatfare.store.book import Book, migrate, open_book
from flatfare.store.migrations import MIGRATIONS
from flatfare.store.postgres import PostgresHome
from flatfare.store.sqlite import SqliteHome
from tests.store.rows import call, write
from tests.store.servers import Server
from tests.store.test_homes import COUNT, SIGNAL

COLUMNS = (
    "SELECT column_name, is_nullable FROM information_schema.columns WHERE table_schema = current_schema() "
    "AND table_name = ? ORDER BY ordinal_position"
)
TYPES = (
    "SELECT DISTINCT data_type, COALESCE(collation_name, '') FROM information_schema.columns "
    "WHERE table_schema = current_schema() AND table_name <> 'migrations' ORDER BY 1"
)
KEYS = """
    SELECT i.indisprimary, string_agg(a.attname, ',' ORDER BY k.place)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE c.relname = ? AND c.relnamespace = current_schema()::regnamespace AND i.indisunique
    GROUP BY i.indexrelid, i.indisprimary
"""


def sqlite_tables(book: Book) -> list[str]:
    rows = book.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [str(name) for (name,) in rows if not str(name).startswith("sqlite_")]


def sqlite_columns(book: Book, table: str) -> list[tuple[str, bool]]:
    found = book.rows(f"SELECT name, \"notnull\", pk FROM pragma_table_info('{table}') ORDER BY cid")
    return [(str(name), not (is_required or key)) for name, is_required, key in found]


def sqlite_keys(book: Book, table: str) -> set[tuple[bool, str]]:
    keys = set()
    for _, name, is_unique, origin, _ in book.rows(f"PRAGMA index_list('{table}')"):
        if is_unique:
            columns = book.rows(f"SELECT name FROM pragma_index_info('{name}') ORDER BY seqno")
            keys.add((origin == "pk", ",".join(str(column) for (column,) in columns)))
    return keys


@pytest.fixture
def both(postgres: Server) -> Iterator[tuple[Book, Book]]:
    with open_book(":memory:") as one, open_book(postgres.new_database()) as other:
        yield one, other


def test_every_table_has_the_same_columns_and_keys_on_both(both: tuple[Book, Book]) -> None:
    one, other = both
    tables = sqlite_tables(one)
    found = other.rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
    assert [name for (name,) in found] == tables
    for table in tables:
        columns = [(str(name), nullable == "YES") for name, nullable in other.rows(COLUMNS, (table,))]
        keys = {(bool(primary), str(names)) for primary, names in other.rows(KEYS, (table,))}
        if table == "calls":  # in SQLite a row's number is always its key, and has no index
            keys = {(False, "id,revision,n")}
        assert columns == sqlite_columns(one, table), table
        if table not in ("migrations", "key_changes", "budget_changes", "guard_changes"):  # no index there
            assert keys == sqlite_keys(one, table), table
    assert other.rows(TYPES) == [("bigint", ""), ("text", "C")]


@pytest.mark.parametrize("step", range(1, len(MIGRATIONS)))
def test_a_book_of_every_earlier_step_is_brought_up_to_date_with_its_rows(
    postgres: Server, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.new_database()
    with monkeypatch.context() as patched:
        patched.setattr(books, "MIGRATIONS", MIGRATIONS[:step])
        with open_book(address) as book:
            write(book, [call(1), call(2)])
            if step > 1:
                book.execute("INSERT INTO open_calls (call_id, worker_id, intent) VALUES ('c', 'w', '{}')")
    with open_book(address) as book:
        assert book.value("SELECT MAX(number) FROM migrations") == len(MIGRATIONS)
        assert book.value("SELECT SUM(cost_nano) FROM calls") == 32
        assert book.rows("SELECT call_id, node FROM open_calls") == ([("c", "")] if step > 1 else [])


def test_a_step_that_fails_leaves_the_book_as_it_was(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.new_database()
    with open_book(address) as book:
        broken = (*MIGRATIONS, lambda: iter(["CREATE TABLE half (one {bigint}){strict}", "CREATE NONSENSE"]))
        monkeypatch.setattr(books, "MIGRATIONS", broken)
        with pytest.raises(StoreFailure, match="NONSENSE"):
            migrate(book)
        assert book.value("SELECT MAX(number) FROM migrations") == len(MIGRATIONS)
        assert book.value("SELECT COUNT(*) FROM pg_tables WHERE tablename = 'half'") == 0


def test_a_book_outlives_a_restart_of_its_server(postgres: Server) -> None:
    with open_book(postgres.new_database()) as book:
        book.execute(SIGNAL, ("a",))
        postgres.stop()
        with pytest.raises(StoreFailure, match=r"cannot be reached|went away"):
            book.execute(SIGNAL, ("never",))
        with pytest.raises(StoreFailure, match="cannot be reached"):
            book.value(COUNT)
        postgres.start()
        assert book.value(COUNT) == 1
        book.execute(SIGNAL, ("b",))
        assert book.value(COUNT) == 2


def test_a_connection_is_never_replaced_inside_a_transaction(postgres: Server) -> None:
    def write_through_a_cut(book: Book) -> None:
        with book.writing():
            book.execute(SIGNAL, ("a",))
            postgres.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'flatfare' AND state = 'idle in transaction'"
            )
            book.execute(SIGNAL, ("b",))

    with open_book(postgres.new_database()) as book:
        with pytest.raises(StoreFailure, match="went away"):
            write_through_a_cut(book)
        assert book.value(COUNT) == 0
        book.execute(SIGNAL, ("c",))
        assert book.value(COUNT) == 1


def test_work_on_the_lake_ends_where_its_lock_was_lost(postgres: Server) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'flatfare' AND state = 'idle'"
    )

    def work(book: Book) -> None:
        with book.alone("lake"):
            postgres.sql(cut)
            book.execute(SIGNAL, ("a",))

    with open_book(postgres.new_database()) as book:
        with pytest.raises(StoreFailure, match="run it again"):
            work(book)
        assert book.value(COUNT) == 0


def test_a_missing_database_is_said_with_what_makes_it(postgres: Server) -> None:
    with pytest.raises(StoreFailure, match="createdb nowhere"):
        open_book(postgres.address("nowhere"))


def test_a_server_that_is_away_is_said_and_no_password() -> None:
    with pytest.raises(StoreFailure, match="cannot be reached") as failure:
        open_book("postgresql://u:hunter2@127.0.0.1:1/book")
    assert "hunter2" not in str(failure.value)
    assert "postgresql://u@127.0.0.1:1/book" in str(failure.value)


@pytest.mark.parametrize("address", ["postgresql://u:hunter2@[h/x", "postgresql://u:hunt%er2@h/x"])
def test_an_address_that_cannot_be_read_is_not_repeated(address: str) -> None:
    with pytest.raises(BadUsage, match="postgresql://user") as failure:
        open_book(address)
    assert "hunt" not in str(failure.value)


def test_a_database_of_another_kind_is_not_repeated_either() -> None:
    with pytest.raises(BadUsage, match="mysql://") as failure:
        open_book("mysql://u:hunter2@h/x")
    assert "hunter2" not in str(failure.value)


def test_a_wrong_password_is_said_and_not_repeated(postgres: Server) -> None:
    address = postgres.new_database()
    name = address.rpartition("/")[2]
    hba = postgres.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    postgres.sql("CREATE ROLE asked LOGIN PASSWORD 'right'")
    try:
        hba.write_text("host all asked all scram-sha-256\n" + before)
        postgres.sql("SELECT pg_reload_conf()")
        wrong = f"postgresql://asked:hunter2@127.0.0.1:{postgres.port}/{name}"
        with pytest.raises(StoreFailure, match="password") as failure:
            open_book(wrong)
        assert "hunter2" not in str(failure.value)
    finally:
        hba.write_text(before)
        postgres.sql("SELECT pg_reload_conf()")


def test_a_book_that_can_only_be_read_is_read_and_says_where_to_write(postgres: Server) -> None:
    address = postgres.new_database()
    open_book(address).close()
    postgres.sql(f"ALTER DATABASE {address.rpartition('/')[2]} SET default_transaction_read_only = on")
    with open_book(address) as book:
        assert book.value(COUNT) == 0
        with pytest.raises(StoreFailure, match="address of the primary"):
            book.execute(SIGNAL, ("a",))


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: object, **named: object) -> object:
        if name.startswith("psycopg"):
            raise ImportError(name)
        return real(name, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadUsage, match=r"flatfare\[postgres\]"):
        open_book("postgresql://db/book")


def test_both_homes_do_what_a_home_must() -> None:
    public = {name for name in dir(SqliteHome) if not name.startswith("_")}
    assert public == {name for name in dir(PostgresHome) if not name.startswith("_")}


def test_a_text_with_a_nul_is_kept_without_it(postgres: Server) -> None:
    """PostgreSQL keeps none: a model's name from a hostile client must not hold the journals up."""
    with open_book(postgres.new_database()) as book:
        write(book, [call(1, model="a\0b")])
        assert book.value("SELECT model FROM calls") == "a\ufffdb"
