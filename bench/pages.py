"""How long the dashboard's pages take: to the first paint in a browser, and on the server over many calls.

The first paint is Chromium's own ``first-contentful-paint`` of the demo's book, cold cache, with the page's
weight without the charts' script. The server's time is a whole answer, over the demo's book and, with
``--large``, over ten million calls (resampled as ``bench/report.py`` says). At the end fifty people at once
ask for the overview, from one process, as ``flatfare serve`` has it: they share what one of them found within
the last two seconds. Every other look is a new question, which nothing is held for.

    python bench/pages.py [--large] [--samples 7] [--keep DIR]
"""

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "bench")]

import uvicorn  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from flatfare.config import Settings  # noqa: E402
from flatfare.service.demo import load  # noqa: E402
from flatfare.service.importing.run import Stores  # noqa: E402
from flatfare.store.book import open_book  # noqa: E402
from flatfare.store.lake import Lake  # noqa: E402
from flatfare.web.access import COOKIE, Door  # noqa: E402
from flatfare.web.application import application  # noqa: E402

TOKEN = "bench"
PAGES = ("/", "/outcomes", "/tasks", "/spend", "/prices", "/budgets", "/unknown")
PEOPLE, PEOPLE_S = 50, 10.0
ROWS = 12
_PAINT = "performance.getEntriesByName('first-contentful-paint')"
_WEIGHT = """[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .reduce((sum, one) => sum + one.transferSize, 0)"""


def demo_in(folder: Path) -> Settings:
    """The demo's book."""
    settings = Settings(database=f"sqlite:///{folder}/book.db", lake=f"{folder}/lake")
    with open_book(settings.database) as book:
        load(Stores(book, Lake(settings.lake), settings), time.time_ns() // 1000)
    return settings


def client_of(settings: Settings) -> TestClient:
    app = application(settings, Door(TOKEN, is_loopback=True))
    return TestClient(app, base_url="http://localhost", cookies={COOKIE: TOKEN})


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The dashboard at an address of this machine."""
    app = application(settings, Door(TOKEN, is_loopback=True))
    server = uvicorn.Server(uvicorn.Config(app, port=0, http="httptools", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def ranks(seconds: list[float]) -> str:
    ranked = sorted(seconds)
    last = ranked[round(0.99 * (len(ranked) - 1))]
    return (
        f"median {1000 * statistics.median(ranked):7.1f} ms   min {1000 * ranked[0]:7.1f} ms   "
        f"p99 {1000 * last:7.1f} ms"
    )


def on_the_server(settings: Settings, samples: int, query: str) -> None:
    """Whole answers, one after another."""
    with client_of(settings) as client:
        for path in PAGES:
            client.get(path)
            seconds = []
            for number in range(samples):
                start = time.perf_counter()
                answer = client.get(f"{path}?limit={ROWS + number}{query if path != '/budgets' else ''}")
                seconds.append(time.perf_counter() - start)
            print(f"  {path:12} {ranks(seconds)}   {len(answer.content) / 1000:6.1f} kB", flush=True)


def first_paint(settings: Settings, samples: int) -> None:
    """As Chromium measures it, each time in a fresh context."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        print("  no Chromium on this machine: not measured")
        return
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with served(settings) as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=arguments)
        print(f"  {browser.browser_type.name} {browser.version}")
        for path in PAGES:
            paints, weight = [], 0
            for number in range(samples):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                context.add_cookies([{"name": COOKIE, "value": TOKEN, "url": address}])
                page = context.new_page()
                page.goto(f"{address}{path}?limit={ROWS + number}", wait_until="load")
                while not page.evaluate(f"{_PAINT}.length"):  # the policy forbids to wait by evaluated text
                    page.wait_for_timeout(20)
                paints.append(page.evaluate(f"{_PAINT}[0].startTime") / 1000)
                weight = page.evaluate(_WEIGHT)
                context.close()
            print(f"  {path:12} first paint {ranks(paints)}   all of it {weight / 1000:6.1f} kB", flush=True)
        browser.close()


def many_at_once(settings: Settings) -> None:
    """Fifty people who each look again as soon as the page is there."""
    import http.client

    seconds: list[float] = []
    with served(settings) as address:
        host = address.removeprefix("http://")
        until = time.monotonic() + PEOPLE_S

        def look() -> None:
            connection = http.client.HTTPConnection(host, timeout=60)
            while time.monotonic() < until:
                start = time.perf_counter()
                connection.request("GET", "/", headers={"Cookie": f"{COOKIE}={TOKEN}"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                seconds.append(time.perf_counter() - start)

        people = [threading.Thread(target=look) for _ in range(PEOPLE)]
        for one in people:
            one.start()
        for one in people:
            one.join()
    print(f"  {PEOPLE} people: {len(seconds) / PEOPLE_S:.1f} pages/s, {ranks(seconds)}")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="over ten million calls too")
    parser.add_argument("--samples", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="where the ten million calls are made, and kept")
    asked = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, "
        f"load {os.getloadavg()[0]:.1f}; {asked.samples} samples after one to warm up"
    )
    with tempfile.TemporaryDirectory(prefix="flatfare-bench-") as made:
        demo = demo_in(Path(made))
        print("First paint, the demo's book")
        first_paint(demo, asked.samples)
        print("On the server, the demo's book, all time")
        on_the_server(demo, asked.samples, "&period=all")
        print("Many at once, the demo's book")
        many_at_once(demo)
        if asked.large:
            import report

            folder = (asked.keep or Path(made)) / "1"
            folder.mkdir(parents=True, exist_ok=True)
            report.make(folder, 1)
            large = Settings(database=f"sqlite:///{folder}/flatfare.db", lake=f"{folder}/lake")
            print("On the server, 10,000,000 calls, all time")
            on_the_server(large, asked.samples, "&period=all")


if __name__ == "__main__":
    main()
