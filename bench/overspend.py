"""How far a budget is passed: 100 calls at once on a budget that fits ten, beside LiteLLM.

The provider answers nobody for two seconds, so that all are decided first. Flatfare's budget fits ten
of its bounds, LiteLLM's ten of its own estimates ($0.00018, as it reserves them); each is asked what
it lets in, and what that cost is held against the budget.

    python bench/overspend.py [--peers DIR]

``--peers DIR`` measures LiteLLM too, installed below DIR if it is not there; without a database, by a
file of custom auth, which is how it runs where its database cannot.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gateway import ANSWER, CORES, ROOT, answers, free_port, running

PROMPT = "word " * 1000
BODY = {"model": "gpt-4o-mini", "max_tokens": 50, "messages": [{"role": "user", "content": PROMPT}]}
COST = (600 * 150 + 400 * 75 + 50 * 600) / 1e9
"""Dollars of each answer: gpt-4o-mini, 600 tokens read, 400 from the cache, 50 written."""


async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider that thinks for two seconds."""
    with suppress(OSError, asyncio.IncompleteReadError, ValueError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            if head.startswith(b"post"):
                await asyncio.sleep(2)
            body = json.dumps(ANSWER).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    writer.close()


async def burst(url: str, key: str, count: int) -> Counter[int]:
    """So many calls at one time; how often each status came."""
    host, _, port = url.removeprefix("http://").partition(":")
    body = json.dumps(BODY).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (key.encode(), len(body), body)
    )

    async def one() -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        line = await reader.readline()
        await reader.read()
        writer.close()
        return int(line.split()[1]) if line else 0

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


@contextmanager
def flatfare(folder: Path, upstream: int, workers: int) -> Iterator[tuple[str, str, float]]:
    """A gateway with a budget of ten bounds; its address, a key, and the budget."""
    folder.mkdir()
    port = free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "database": f"sqlite:///{folder}/book.db",
        "lake": str(folder / "lake"),
        "providers": {"openai": {"base_url": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-mock"}},
    }
    config = folder / "flatfare.yaml"
    config.write_text(json.dumps(settings))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    program = [sys.executable, "-m", "flatfare", "--config", str(config)]

    def run(*words: str, given: str | None = None) -> str:
        done = subprocess.run(
            [*program, *words], env=environment, check=True, capture_output=True, text=True, input=given
        )
        return done.stdout

    key = json.loads(run("keys", "create", "--name", "bench", "--json"))["key"]
    bound = float(json.loads(run("estimate", "-", "--json", given=json.dumps(BODY)))["at_most"]["amount"])
    budget = 10.5 * bound
    run("budgets", "create", "--name", "held", "--amount", f"{budget:.9f}", "--per", "day", "--queue-ms", "0")
    command = [*program, "serve", "--workers", str(workers)]
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/readyz"), env=environment):
        time.sleep(1)
        yield f"http://127.0.0.1:{port}", key, budget


AUTH = """
import os
from litellm.proxy._types import UserAPIKeyAuth
async def check(request, api_key):
    limit = float(os.environ["LIMIT"])
    return UserAPIKeyAuth(api_key=api_key, token="t-" + api_key, user_id="u", max_budget=limit, spend=0.0)
"""


@contextmanager
def litellm(home: Path, folder: Path, upstream: int, workers: int) -> Iterator[tuple[str, str, float]]:
    """LiteLLM's proxy with a budget of ten of its estimates."""
    if not (home / "litellm/bin/litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", home / "litellm"], check=True)
        subprocess.run([home / "litellm/bin/pip", "install", "-q", "litellm[proxy]"], check=True)
    folder.mkdir()
    port, budget = free_port(), 0.0018
    (folder / "bench_auth.py").write_text(AUTH)
    params = {
        "model": "openai/gpt-4o-mini",
        "api_base": f"http://127.0.0.1:{upstream}/v1",
        "api_key": "sk-mock",
    }
    config = {
        "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": params}],
        "litellm_settings": {"telemetry": False, "num_retries": 0},
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "custom_auth": "bench_auth.check",
            "custom_auth_run_common_checks": True,
        },
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    own = {
        "LITELLM_MASTER_KEY": "sk-" + "b" * 40,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LIMIT": str(budget),
        "PYTHONPATH": str(folder),
    }
    command = [str(home / "litellm/bin/litellm"), "--config", str(folder / "config.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", str(workers)]
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    with running(command, lambda: answers(ready), 120, cwd=folder, env={**os.environ, **own}):
        time.sleep(3)
        yield f"http://127.0.0.1:{port}", "sk-somebody", budget


def show(name: str, url: str, key: str, budget: float) -> None:
    """Burst, and print what was let in."""
    seen = asyncio.run(burst(url, key, 100))
    others = {status: count for status, count in seen.items() if status != 200}
    spent = seen[200] * COST
    allowed = f"{seen[200]} of 100 let in, others {others}"
    print(
        f"{name:22} budget ${budget:.6f}: {allowed}; spent ${spent:.6f}, {spent / budget:.2f} times it",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path)
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {len(CORES)} cores")
    folder = Path(tempfile.mkdtemp(prefix="flatfare-bench-"))
    port = free_port()
    code = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1]); import overspend\n"
        "async def main():\n"
        "    place = ('127.0.0.1', int(sys.argv[2]))\n"
        "    server = await asyncio.start_server(overspend.held, *place, backlog=512)\n"
        "    await server.serve_forever()\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).resolve().parent), str(port)]
    try:
        with running(command, lambda: answers(f"http://127.0.0.1:{port}/")):
            for workers in (1, 4):
                with flatfare(folder / f"f{workers}", port, workers) as found:
                    show(f"Flatfare, {workers} worker{'s' * (workers > 1)}", *found)
            for workers in (1, 4) if asked.peers else ():
                with litellm(asked.peers.resolve(), folder / f"l{workers}", port, workers) as found:
                    show(f"LiteLLM, {workers} worker{'s' * (workers > 1)}", *found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
