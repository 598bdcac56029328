"""What every test may use."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.servers import Server, programs

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("FLATFARE_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session", autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Heads are signed with a key of the tests, and not with the user's."""
    os.environ["FLATFARE_HEADS_KEY"] = str(tmp_path_factory.mktemp("heads") / "heads.key")
    yield
    del os.environ["FLATFARE_HEADS_KEY"]


@pytest.fixture(scope="session")
def shared() -> Callable[..., Path]:
    """Finds a file of the reference data; the test is skipped, saying so, where it is absent."""

    def find(*parts: str) -> Path:
        path = SHARED.joinpath(*parts)
        if not path.exists():
            pytest.skip(f"needs the reference data {'/'.join(parts)}, which is not on this machine")
        return path

    return find


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running PostgreSQL server; skipped, saying so, where there is none to be had."""
    pytest.importorskip("psycopg", reason="needs the driver of PostgreSQL: pip install 'psycopg[binary]'")
    if programs() is None:
        pytest.skip("needs a PostgreSQL server, which is not installed: pip install pgserver")
    server = Server(tmp_path_factory.mktemp("postgres"))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a book that is not made yet: the test runs once on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/flatfare.db"
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()
