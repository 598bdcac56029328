"""How many responses are priced in a second on one core, from their bytes to a cost, beside the peers.

Each contender gets the same bytes of chat completions of about 1 KB and has to read the usage out of
them and price it; each runs in a process of its own, pinned to one core. Peers that are not installed
are put into an environment of their own (``.venv/peers``), once.

    python bench/pricing.py [--samples 40] [--batch 1000] [--without-peers]
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv" / "peers"
MODELS = (
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1-2025-04-14",
    "gpt-5-2025-08-07",
    "o3-2025-04-16",
)
Pricer = Callable[[bytes], float]
"""From a body to dollars."""


def bodies(count: int) -> list[bytes]:
    """Chat completions of about 1 KB, each with counts of its own."""
    chance = random.Random(7)
    return [json.dumps(completion(chance)).encode() for _ in range(count)]


def completion(chance: random.Random) -> dict[str, object]:
    prompt, output = chance.randrange(1100, 9000), chance.randrange(20, 900)
    text = "".join(chance.choice("abcdefghij klmnop") for _ in range(420))
    return {
        "id": f"chatcmpl-{chance.randrange(10**12)}",
        "object": "chat.completion",
        "created": 1755133878 + chance.randrange(10**6),
        "model": chance.choice(MODELS),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": chance.choice((0, 1024)), "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": chance.randrange(output),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_0611516fca",
    }


def flatfare() -> Pricer:
    """Extraction and price, as the gateway does after a request was recognised."""
    sys.path.insert(0, str(ROOT / "src"))
    from flatfare.dialects.meter import read_whole
    from flatfare.dialects.reading import Asked, Exchange
    from flatfare.dialects.recognition import by_name
    from flatfare.service.costing.metering import standard_book
    from flatfare.service.costing.pricing import cost_reading

    route, book = by_name("openai", "chat.completions").route, standard_book()
    asked = Asked(model="gpt-4o")

    def price(body: bytes) -> float:
        exchange = Exchange("openai", "chat.completions", 200, asked)
        cost = cost_reading(book, read_whole(route, body, exchange), exchange)
        assert cost.amount_nano is not None
        return cost.amount_nano / 1e9

    return price


def flatfare_explained() -> Pricer:
    """The same with recognition, the request read, and every line explained, as ``flatfare meter`` does."""
    sys.path.insert(0, str(ROOT / "src"))
    from flatfare.service.costing.metering import Response, meter_response, standard_book

    book, request = standard_book(), b'{"model": "gpt-4o", "messages": []}'

    def price(body: bytes) -> float:
        response = Response(body, host="api.openai.com", path="/v1/chat/completions", request_body=request)
        cost = meter_response(response, book).cost
        assert cost.amount_nano is not None
        return cost.amount_nano / 1e9

    return price


def genai_prices() -> Pricer:
    """The peer by the makers of Pydantic."""
    from genai_prices import extract_usage

    def price(body: bytes) -> float:
        usage = extract_usage(json.loads(body), provider_id="openai", api_flavor="chat")
        return float(usage.calc_price().total_price)

    return price


def litellm() -> Pricer:
    """The peer by BerriAI, with the price file it ships."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    def price(body: bytes) -> float:
        response = litellm.ModelResponse(**json.loads(body))
        return float(litellm.completion_cost(response, custom_llm_provider="openai"))

    return price


CONTENDERS: dict[str, tuple[Callable[[], Pricer], str | None]] = {
    # name: (how, the package it needs)
    "flatfare": (flatfare, None),
    "flatfare, explained": (flatfare_explained, None),
    "genai-prices": (genai_prices, "genai-prices"),
    "litellm": (litellm, "litellm"),
}


def measure(name: str, samples: int, batch: int) -> dict[str, object]:
    """Rates of so many samples of so many responses each, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    make, package = CONTENDERS[name]
    price, given = make(), bodies(200)
    total = sum(price(body) for body in given)  # also warms up what is worked out once
    seconds = []
    for _ in range(samples):
        started = time.perf_counter()
        for position in range(batch):
            price(given[position % 200])
        seconds.append((time.perf_counter() - started) / batch)
    version = metadata.version(package) if package else "this tree"
    return {"name": name, "version": version, "seconds": seconds, "dollars": total}


def interpreter_for(package: str | None) -> str:
    """A Python that has the package: this one, or one of a private environment that is made for it."""
    if package is None:
        return sys.executable
    try:
        metadata.version(package)
        return sys.executable
    except metadata.PackageNotFoundError:
        python = PEERS / ("Scripts" if os.name == "nt" else "bin") / "python"
        if not python.exists():
            venv.create(PEERS, with_pip=True)
        asking = [python, "-c", f"import importlib.metadata as m; m.version({package!r})"]
        has_it = subprocess.run(asking, check=False, capture_output=True)
        if has_it.returncode:
            print(f"installing {package} into {PEERS} …", file=sys.stderr)
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
        return str(python)


def run_apart(name: str, samples: int, batch: int) -> dict[str, object] | None:
    """One contender in a process of its own; None where it cannot be had."""
    try:
        python = interpreter_for(CONTENDERS[name][1])
        done = subprocess.run(
            [python, __file__, "--only", name, "--samples", str(samples), "--batch", str(batch)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found
    except (subprocess.CalledProcessError, OSError) as problem:
        detail = (getattr(problem, "stderr", "") or str(problem)).strip().splitlines()
        print(f"{name}: not measured: {detail[-1] if detail else problem}", file=sys.stderr)
        return None


def report(results: Sequence[dict[str, object]], batch: int) -> None:
    """A table: median, slowest and fastest rate, p99 of the time for one, how many times the peer's."""
    sizes = [len(body) for body in bodies(200)]
    print(
        f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, one used; {cpu()}"
    )
    print(f"payload: 200 chat completions of {min(sizes)}–{max(sizes)} bytes, {batch} in a sample")
    print(
        f"{'contender':<22}{'version':<12}{'samples':>8}{'median/s':>12}{'min/s':>12}"
        f"{'p99 µs':>9}{'ratio':>8}{'sum $':>14}"
    )
    first = None
    for result in results:
        seconds = result["seconds"]
        assert isinstance(seconds, list)
        median = statistics.median(seconds)
        first = first or median
        p99 = sorted(seconds)[min(len(seconds) - 1, round(0.99 * len(seconds)))]
        print(
            f"{result['name']:<22}{result['version']:<12}{len(seconds):>8}{1 / median:>12,.0f}"
            f"{1 / max(seconds):>12,.0f}{p99 * 1e6:>9.1f}{median / first:>7.1f}×{result['dollars']:>14.9f}"
        )
    print("ratio: how many times longer than the first; sum: dollars of the 200, which should agree")


def cpu() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only, given.samples, given.batch)))
        return
    names = [name for name, (_, package) in CONTENDERS.items() if package is None or not given.without_peers]
    results = [found for name in names if (found := run_apart(name, given.samples, given.batch))]
    report(results, given.batch)


if __name__ == "__main__":
    main()
