"""What guards cost: requests a second with none, with some that count, with some that look at requests.

Everything else is on as in ``bench/gateway.py``, on one core; the kinds take turns, so that what else the
machine does falls on all of them alike. Processor time of all of the gateway's processes tells most.

    python bench/guards.py [--seconds 5] [--rounds 3] [--before DIR]

``--before DIR`` measures another tree of the product too, without guards.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gateway as bench

COUNTING = (
    ("--kind", "calls", "--per", "key", "--at-most", "1000000000"),
    ("--kind", "tokens", "--per", "key", "--at-most", "1000000000000"),
    ("--kind", "time", "--per", "key", "--at-most", "365d"),
    ("--kind", "retries"),
)
LOOKING = (("--kind", "output", "--at-most", "1000"), ("--kind", "effort", "--at-most", "low"))
KINDS = {"none": (), "4 that count": COUNTING, "2 that look at requests": LOOKING}


@contextmanager
def serving(
    folder: Path, root: Path, upstream: int, guards: tuple[tuple[str, ...], ...]
) -> Iterator[bench.Target]:
    """``flatfare serve`` of a tree, with a key and guards."""
    folder.mkdir()
    port = bench.free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "database": f"sqlite:///{folder}/book.db",
        "lake": str(folder / "lake"),
        "providers": {"openai": {"base_url": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-mock"}},
    }
    (folder / "flatfare.yaml").write_text(json.dumps(settings))
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    program = [sys.executable, "-m", "flatfare", "--config", str(folder / "flatfare.yaml")]

    def run(*words: str) -> str:
        done = subprocess.run([*program, *words], env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    key = json.loads(run("keys", "create", "--name", "bench", "--label", "team=search", "--json"))["key"]
    for number, terms in enumerate(guards):
        run("guards", "create", "--name", f"g{number}", *terms)
    command = bench.pinned(bench.CORES[:1], *program, "serve", "--workers", "1")
    ready = f"http://127.0.0.1:{port}/readyz"
    with bench.running(command, lambda: bench.answers(ready), env=environment) as pid:
        time.sleep(1.0)
        yield bench.Target("", f"http://127.0.0.1:{port}", key, pids=tuple(bench.children(pid)))


def main() -> None:
    """Measure in turns, and print each kind's median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path)
    asked = parser.parse_args()
    trees = {name: (bench.ROOT, guards) for name, guards in KINDS.items()}
    if asked.before is not None:
        trees = {"none, before": (asked.before, ()), **trees}
    found: dict[str, list[bench.Measured]] = {name: [] for name in trees}
    cpu_us: dict[str, list[float]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        (folder / "nginx").mkdir()
        upstream = stack.enter_context(bench.provider(folder / "nginx"))
        for turn in range(asked.rounds):
            for number, (name, (root, guards)) in enumerate(trees.items()):
                with serving(folder / f"{turn}-{number}", root, upstream, guards) as target:
                    bench.wrk(target, folder, 32, 1)
                    before_s = bench.cpu_s(target.pids)
                    measured = bench.wrk(target, folder, 32, asked.seconds)
                    used_s = bench.cpu_s(target.pids) - before_s
                    found[name].append(measured)
                    cpu_us[name].append(1e6 * used_s / (measured.rate * asked.seconds))
    print(f"{'guards':26}{'requests/s':>22}{'p50 ms':>9}{'p99 ms':>9}{'cpu us/call':>13}{'errors':>8}")
    for name, turns in found.items():
        rates = sorted(one.rate for one in turns)
        middle = statistics.median(rates)
        spread = f"{middle:,.0f} ({rates[0]:,.0f}–{rates[-1]:,.0f})"
        p50, p99 = (statistics.median(getattr(one, field) for one in turns) for field in ("p50_ms", "p99_ms"))
        errors, cpu = sum(one.errors for one in turns), statistics.median(cpu_us[name])
        print(f"{name:26}{spread:>22}{p50:9.2f}{p99:9.2f}{cpu:13.0f}{errors:8}")


if __name__ == "__main__":
    main()
