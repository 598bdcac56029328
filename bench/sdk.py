"""What recording costs the program that is watched: the caller's time, at 10,000 tasks a second.

A task is opened with two labels, judged with evidence, and closed: five events, which a server
in another process counts by their ids. Beside it, in the same run, what OpenTelemetry takes for
a span with the same attributes (its batch processor; an exporter that throws away), where its
SDK is installed. Prints the import too, and what was lost.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "sdk" / "src"
sys.path.insert(0, str(SOURCE))

from flatfare_sdk import __version__, configure, flush, status, task  # noqa: E402 - installed nowhere yet

EVENTS = 5
Work = Callable[[], None]


def receiver(pipe: Connection) -> None:
    """Take events and count their ids; says how many there were when it is asked."""
    ids: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            events = json.loads(self.rfile.read(int(self.headers["content-length"])))["events"]
            new = {event["id"] for event in events} - ids
            ids.update(new)
            body = b'{"recorded": %d, "known": %d, "refused": []}' % (len(new), len(events) - len(new))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.send_response(200)
            body = str(len(ids)).encode()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Figures only."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


def our_task() -> None:
    """One task of ours."""
    with task("contract-review", customer="acme", team="legal") as t:
        t.verdict("clauses-found", passed=True, evidence={"found": 7, "of": 7})


def our_calls(waits: list[int]) -> Work:
    """The same task, whose three calls (open, judge, close) are timed one by one."""

    def work() -> None:
        begun = time.perf_counter_ns()
        t = task("contract-review", customer="acme", team="legal").open()
        opened = time.perf_counter_ns()
        t.verdict("clauses-found", passed=True, evidence={"found": 7, "of": 7})
        judged = time.perf_counter_ns()
        t.close()
        waits.extend((opened - begun, judged - opened, time.perf_counter_ns() - judged))

    return work


def span() -> tuple[Work, Callable[[], int], str] | None:
    """The same as a span, how many of them were lost, and whose; None where there is no OpenTelemetry."""
    try:
        from opentelemetry.sdk import version
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    except ImportError:
        return None
    exported = 0

    class Nowhere(SpanExporter):
        def export(self, spans: "tuple[ReadableSpan, ...]") -> SpanExportResult:  # type: ignore[override]
            nonlocal exported
            exported += len(spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = provider.get_tracer("bench")
    begun = 0

    def one() -> None:
        nonlocal begun
        begun += 1
        named: AbstractContextManager[object] = tracer.start_as_current_span(
            "contract-review", attributes={"customer": "acme", "team": "legal"}
        )
        with named as current:
            current.add_event("clauses-found", {"passed": True, "evidence": "7 of 7"})  # type: ignore[attr-defined]

    def lost() -> int:
        provider.force_flush()
        return begun - exported

    return one, lost, f"opentelemetry-sdk {version.__version__}"


def timed(work: Work) -> int:
    """What the caller waited, in nanoseconds."""
    started = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - started


def at_a_rate(work: Work, rate: int, seconds: float, *, is_busy: bool) -> list[int]:
    """The caller's waits at so many tasks a second: between them it computes, or sleeps a millisecond."""
    together = 1 if is_busy else max(1, rate // 1000)
    waits: list[int] = []
    started = time.perf_counter()
    due = started
    while due < started + seconds:
        waits += [timed(work) for _ in range(together)]
        due += together / rate
        if is_busy:
            while time.perf_counter() < due:
                pass
        else:
            time.sleep(max(0.0, due - time.perf_counter()))
    return waits


def show(what: str, waits: list[int], seconds: float) -> None:
    """A line of the table, in microseconds."""
    ordered = sorted(waits)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000 for share in (0.5, 0.99, 0.999)]
    figures = [ordered[0] / 1000, *at, ordered[-1] / 1000]
    print(f"{what:<44}{len(waits) / seconds:>9,.0f}" + "".join(f"{figure:>10.1f}" for figure in figures))


def measured(what: str, work: Work, rate: int, seconds: float) -> int:
    """All figures of one kind of work; how many tasks it did."""
    count = 0
    for is_busy, host in ((False, "host sleeps between"), (True, "host computes between")):
        at_a_rate(work, rate, 0.5, is_busy=is_busy)
        started = time.perf_counter()
        waits = at_a_rate(work, rate, seconds, is_busy=is_busy)
        show(f"{what}, {host}", waits, time.perf_counter() - started)
        count += len(waits)
    started = time.perf_counter()
    waits = [timed(work) for _ in range(rate * 2)]
    show(f"{what}, as fast as it goes", waits, time.perf_counter() - started)
    return count + len(waits)


def import_ms(module: str) -> list[float]:
    """How long a fresh process takes to import it, beyond starting, in milliseconds."""
    probe = f"import time; a = time.perf_counter(); import {module}; print((time.perf_counter() - a) * 1000)"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return [float(subprocess.check_output([sys.executable, "-c", probe], env=environment)) for _ in range(15)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=10_000, help="tasks a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    ours, theirs = Pipe()
    server = Process(target=receiver, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    print(
        f"flatfare-sdk {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores; one thread"
    )
    for module in ("flatfare_sdk", "logging, json, hashlib, datetime, urllib.parse"):
        took = sorted(import_ms(module))
        print(f"import {module}: median {statistics.median(took):.1f} ms, {took[0]:.1f} to {took[-1]:.1f}")
    columns = ("min", "p50", "p99", "p99.9", "max")
    print(f"\n{'the caller waits, in µs':<44}{'a second':>9}" + "".join(f"{name:>10}" for name in columns))
    with tempfile.TemporaryDirectory() as folder:
        configure(url=url, spool=folder)
        measured(f"task, {EVENTS} events", our_task, asked.rate, asked.seconds)
        calls: list[int] = []
        at_a_rate(our_calls(calls), asked.rate, asked.seconds, is_busy=False)
        show("each of its 3 calls, host sleeps between", calls, asked.seconds)
        waiting = status().waiting
        started = time.perf_counter()
        is_sent = flush(120.0, sent=True)
        took_s = time.perf_counter() - started
        done = status()
    if (other := span()) is not None:
        work, lost, name = other
        count = measured("span, 1 event", work, asked.rate, asked.seconds)
        print(f"\n{name}: {lost():,} of at least {count:,} spans lost to its queue of 2,048")
    else:
        print("\nspan: OpenTelemetry's SDK is not installed (pip install opentelemetry-sdk)")
    print(
        f"flatfare-sdk: {done.spooled:,} events told, {done.sent:,} taken by the server, {done.lost:,} lost; "
        f"{waiting:,} were not yet in the spool at the end, all were sent {took_s:.2f} s later: {is_sent}"
    )


if __name__ == "__main__":
    main()
