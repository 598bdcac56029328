"""Whether the dashboard holds what it promises, measured, each figure beside its limit.

First paint and weight of a page over the demo's book, in a real Chromium with a cold cache; whole answers
over ten million calls, none of them held from before; and fifty people who click while the gateway is under
load, its pages on one core and the rest of ``flatfare serve`` on another: what it forwards with them, and
without.

    python bench/dashboard.py [--parts paint,large,people] [--samples 5] [--seconds 6] [--keep DIR]

Needs nginx and wrk for the last, as ``bench/gateway.py`` does. Exits with 1 where a limit is passed.
"""

import argparse
import http.client
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT), str(ROOT / "bench")]

import gateway  # noqa: E402
import pages  # noqa: E402

from flatfare.config import Settings  # noqa: E402
from flatfare.service.demo import load  # noqa: E402
from flatfare.service.importing.run import Stores  # noqa: E402
from flatfare.store.book import open_book  # noqa: E402
from flatfare.store.lake import Lake  # noqa: E402
from flatfare.web.access import COOKIE  # noqa: E402

PAINT_MS, PAGE_MS, WEIGHT_KB, KEPT_SHARE = 300, 1000, 150, 0.9
PEOPLE, CLICK_EVERY_S, CONNECTIONS = 50, 15.0, 64
TOKEN = "bench-of-the-dashboard"
LARGE = (*pages.PAGES, "/outcomes?by=model", "/spend?by=day", "/?filter=domain=retail", "/overview.json")


@dataclass
class Limits:
    """What was passed."""

    passed: int = 0

    def hold(self, what: str, value: float, limit: float, unit: str, *, is_least: bool = False) -> None:
        """Print a figure beside its limit, and remember where it does not hold."""
        is_met = value >= limit if is_least else value <= limit
        self.passed += not is_met
        sign = "≥" if is_least else "≤"
        print(
            f"  {'ok  ' if is_met else 'OVER'} {what:46} {value:9.1f} {unit}  (limit {sign} {limit:g})",
            flush=True,
        )


def paint(settings: Settings, samples: int, limits: Limits) -> None:
    """First paint and weight of every page, as Chromium has them."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(pages.shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        print("  no Chromium on this machine: not measured")
        return
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with pages.served(settings) as address, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=arguments)
        for path in pages.PAGES:
            paints, weights = [], []
            for sample in range(samples + 1):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                context.add_cookies([{"name": COOKIE, "value": pages.TOKEN, "url": address}])
                page = context.new_page()
                page.goto(f"{address}{path}?limit={50 + sample}", wait_until="load")
                while not page.evaluate(f"{pages._PAINT}.length"):
                    page.wait_for_timeout(10)
                paints.append(page.evaluate(f"{pages._PAINT}[0].startTime"))
                weights.append(page.evaluate(pages._WEIGHT) / 1000)
                context.close()
            limits.hold(f"{path} first paint, median", statistics.median(paints[1:]), PAINT_MS, "ms")
            limits.hold(f"{path} weight", max(weights), WEIGHT_KB, "kB")
        browser.close()


def large(folder: Path, samples: int, limits: Limits) -> None:
    """Whole answers over ten million calls, each to a question that nobody asked before."""
    import report

    folder.mkdir(parents=True, exist_ok=True)
    report.make(folder, 1)
    settings = Settings(database=f"sqlite:///{folder}/flatfare.db", lake=f"{folder}/lake")
    with pages.client_of(settings) as client:
        client.get("/?period=all")
        for path in LARGE:
            taken = []
            for sample in range(samples):
                sign = "&" if "?" in path else "?"
                asked = f"{path}{sign}limit={51 + sample}" + ("" if path == "/budgets" else "&period=all")
                start = time.perf_counter()
                answer = client.get(asked)
                taken.append(1000 * (time.perf_counter() - start))
                assert answer.status_code == 200, (asked, answer.text[:200])
            said = f"{path}, worst of {samples} (median {statistics.median(taken):.0f})"
            limits.hold(said, max(taken), PAGE_MS, "ms")


@contextmanager
def clicking(address: str, every_s: float | None) -> Iterator[list[float]]:
    """Fifty people who each look at page after page, with a pause or without; gives how long they waited."""
    over, waited = threading.Event(), []

    def look(number: int) -> None:
        dice = random.Random(number)
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
        over.wait(dice.random() * (every_s or 0.1))
        while not over.is_set():
            start = time.perf_counter()
            path = f"{dice.choice(pages.PAGES)}?limit={dice.randint(40, 60)}"
            connection.request("GET", path, headers={"Cookie": f"{COOKIE}={TOKEN}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            waited.append(1000 * (time.perf_counter() - start))
            if every_s is not None:
                over.wait(dice.expovariate(1 / every_s))
        connection.close()

    people = [threading.Thread(target=look, args=(number,)) for number in range(PEOPLE)]
    for one in people:
        one.start()
    try:
        yield waited
    finally:
        over.set()
        for one in people:
            one.join()


def pages_process(target: gateway.Target) -> int:
    """The process that serves pages, known by the templates that it alone has loaded."""
    with clicking(target.url, CLICK_EVERY_S):
        time.sleep(2.0)
    found = [pid for pid in target.pids if "markupsafe" in Path(f"/proc/{pid}/maps").read_text()]
    assert len(found) == 1, found
    return found[0]


def people(folder: Path, seconds: int, rounds: int, limits: Limits) -> None:
    """The gateway's throughput on one core, with fifty people at the dashboard on another and without."""
    os.environ["FLATFARE_TOKEN"] = TOKEN
    book = folder / "served"
    with gateway.provider(folder) as port, gateway.flatfare(book, port, gateway.CORES[:1], 1) as target:
        settings = Settings(database=f"sqlite:///{book}/book.db", lake=str(book / "lake"))
        with open_book(settings.database) as opened:
            load(Stores(opened, Lake(settings.lake), settings), time.time_ns() // 1000)
        os.sched_setaffinity(0, set(gateway.CORES[3:4]))  # the people sit elsewhere
        for thread in Path(f"/proc/{pages_process(target)}/task").iterdir():
            os.sched_setaffinity(int(thread.name), set(gateway.CORES[1:2]))
        gateway.wrk(target, folder, CONNECTIONS, 2)
        found: dict[str, list[gateway.Measured]] = {"nobody": [], "clicks": []}
        for _ in range(rounds):
            found["nobody"].append(gateway.wrk(target, folder, CONNECTIONS, seconds))
            for name, every_s in (("clicks", CLICK_EVERY_S),):
                with clicking(target.url, every_s) as waited:
                    found[name].append(gateway.wrk(target, folder, CONNECTIONS, seconds))
                print(
                    f"  {name:9} {len(waited) / seconds:6.1f} pages/s, a page: {_ranks(waited)}", flush=True
                )
    for name, runs in found.items():
        rate = statistics.median(one.rate for one in runs)
        p50, p99 = (statistics.median(getattr(one, part) for one in runs) for part in ("p50_ms", "p99_ms"))
        errors = sum(one.errors for one in runs)
        print(f"  {name:9} gateway {rate:7.0f} calls/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {errors} errors")
        limits.hold(f"errors of the gateway, {name}", errors, 0, "")
    alone, beside = (statistics.median(one.rate for one in found[name]) for name in ("nobody", "clicks"))
    limits.hold(
        f"of its throughput kept, {PEOPLE} people clicking",
        100 * beside / alone,
        100 * KEPT_SHARE,
        "%",
        is_least=True,
    )


def _ranks(waited: list[float]) -> str:
    ranked = sorted(waited)
    return (
        f"median {statistics.median(ranked):.0f} ms, p99 {ranked[int(0.99 * (len(ranked) - 1))]:.0f} ms"
        if ranked
        else "none"
    )


def main() -> int:
    """Measure what was asked for; 1 where a limit is passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="paint,large,people")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="where the ten million calls are made, and kept")
    asked = parser.parse_args()
    parts, limits = asked.parts.split(","), Limits()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="flatfare-bench-") as made:
        if "paint" in parts:
            print("First paint and weight, the demo's book, cold cache")
            (Path(made) / "demo").mkdir()
            paint(pages.demo_in(Path(made) / "demo"), asked.samples, limits)
        if "large" in parts:
            print("Whole answers, 10,000,000 calls, all time, nothing held")
            large((asked.keep or Path(made)) / "1", asked.samples, limits)
        if "people" in parts:
            print(
                f"{PEOPLE} people, pages on one core and the gateway on another, rounds of {asked.seconds} s"
            )
            people(Path(made), asked.seconds, asked.rounds, limits)
    print(f"{limits.passed} limits passed" if limits.passed else "every limit holds")
    return 1 if limits.passed else 0


if __name__ == "__main__":
    sys.exit(main())
