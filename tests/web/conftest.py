"""Books to look at, made once for all tests of the dashboard, and clients of whoever looks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.service.access import users as people
from flatfare.store.book import open_book
from flatfare.web.access import COOKIE, Door
from flatfare.web.application import application
from tests.web.lively import empty, lively

TOKEN = "the-token-of-this-start"
LOCAL = "http://localhost:4180"
PASSWORD = "long enough to be one"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="session")
def lively_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The book of an invented firm; read it, change nothing."""
    pytest.importorskip("jinja2", reason="needs the web extra")
    return lively(tmp_path_factory.mktemp("lively"), time.time_ns() // 1000)


@pytest.fixture(scope="session")
def empty_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A book with nothing in it; read it, change nothing."""
    pytest.importorskip("jinja2", reason="needs the web extra")
    return empty(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def operator(lively_settings: Settings) -> Iterator[TestClient]:
    """The user of this machine, looking at the firm's book."""
    with looking(lively_settings) as client:
        yield client


@pytest.fixture(scope="session")
def newcomer(empty_settings: Settings) -> Iterator[TestClient]:
    """The user of this machine, looking at an empty book."""
    with looking(empty_settings) as client:
        yield client


@contextmanager
def calling(settings: Settings, **more: object) -> Iterator[TestClient]:
    """A program of this machine's user that calls the API of this book."""
    app = application(settings, Door(TOKEN, is_loopback=True))
    with TestClient(app, base_url=LOCAL, **{"headers": OPERATOR, **more}) as client:  # type: ignore[arg-type]
        yield client


def looking(settings: Settings, *, is_loopback: bool = True, has_token: bool = True) -> TestClient:
    """A client of a dashboard on this book; with the cookie of this machine's user, if it has one."""
    app = application(settings, Door(TOKEN, is_loopback=is_loopback))
    cookies = {COOKIE: TOKEN} if has_token else None
    return TestClient(
        app, base_url=LOCAL, raise_server_exceptions=False, follow_redirects=False, cookies=cookies
    )


def let_in(settings: Settings, name: str, role: str, scope: dict[str, str] | None = None) -> None:
    """Make somebody who may sign in."""
    with open_book(settings.database) as book:
        people.create(
            book,
            name,
            role=role,
            password=PASSWORD,
            scope=scope,
            at_us=time.time_ns() // 1000,
            by_whom="test",
        )


def signed_in(settings: Settings, name: str) -> TestClient:
    """A client of somebody who has signed in, from anywhere."""
    client = looking(settings, has_token=False)
    answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return client
