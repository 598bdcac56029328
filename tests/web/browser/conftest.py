"""A real Chromium, that of the system, looking at a dashboard that is really served.

Screenshots go to the folder that ``FLATFARE_SCREENSHOTS`` names. Where no Chromium or no
Playwright is installed, the tests are skipped and say so.
"""

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flatfare.config import Settings
from flatfare.service import example_firm
from flatfare.service.actions import publishing
from flatfare.service.actions.reading import read_file
from flatfare.service.demo import load
from flatfare.service.importing.run import Stores
from flatfare.service.invoicing import issuing
from flatfare.service.invoicing.issuing import Books
from flatfare.service.invoicing.periods import month, month_of
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.web.access import COOKIE, Door
from flatfare.web.application import application
from tests.web.conftest import TOKEN
from tests.web.lively import ACTION, empty, lively, settings_in

SCREENSHOTS = "FLATFARE_SCREENSHOTS"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Seen:
    """What a browser ran into while it looked at pages."""

    address: str
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        """Listen to a page from now on."""

        def say(message: Any) -> None:
            if message.type in ("error", "warning"):
                self.console.append(message.text)

        page.on("console", say)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def check(self) -> None:
        """Nothing went wrong, and nothing left the machine."""
        assert self.console == []
        assert self.errors == []
        assert self.elsewhere == []


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The dashboard on this book at an address of this machine."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    app = application(settings, Door(TOKEN, is_loopback=True))
    config = uvicorn.Config(
        app,
        http="httptools",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.servers[0].get_loop().call_soon_threadsafe(app.state.end_streams)
        thread.join(20)
        sock.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; no longer than its tests, since Playwright keeps the thread's event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed here: apt-get install chromium")
    with playwright.sync_playwright() as running:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = running.chromium.launch(executable_path=found, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Three dashboards: the invented firm's, an empty one, and the demo's."""
    pytest.importorskip("jinja2", reason="needs the web extra")
    pytest.importorskip("vl_convert", reason="needs the charts extra")
    folder = tmp_path_factory.mktemp("served")
    for name in ("lively", "empty", "demo"):
        (folder / name).mkdir()
    firm = lively(folder / "lively", time.time_ns() // 1000)
    _billed(firm)
    shown = settings_in(folder / "demo")
    with open_book(shown.database) as book:
        stores, now_us = Stores(book, Lake(shown.lake), shown), time.time_ns() // 1000
        load(stores, now_us)
        example_firm.found(stores, now_us)
    with served(firm) as one, served(empty(folder / "empty")) as two, served(shown) as three:
        yield {"lively": one, "empty": two, "demo": three}


def _billed(firm: Settings) -> None:
    """An invoice for one customer, and an action that runs without a model."""
    with open_book(firm.database) as book:
        books, now_us = Books(book, Lake(firm.lake), firm.time_zone), time.time_ns() // 1000
        publishing.publish(book, read_file(ACTION.with_name("word-count.yaml")), at_us=now_us, by_whom="ada")
        if issuing.issue_so_far(books, "acme", at_us=now_us, by_whom="ada") is None:
            before = month(month_of(now_us, firm.time_zone), firm.time_zone).from_us - 1
            issuing.issue(books, "acme", month_of(before, firm.time_zone), at_us=now_us, by_whom="ada")


def opened(browser: Any, address: str, *, width: int = 1440, theme: str = "light", **more: Any) -> Any:
    """A tab of this machine's user."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **more)
    context.add_cookies([{"name": COOKIE, "value": TOKEN, "url": address}])
    return context.new_page()


def picture(page: Any, name: str) -> None:
    """Keep what is seen, where somebody wants to look at it."""
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{re.sub(r'[^a-z0-9-]+', '-', name)}.png"), full_page=True)
