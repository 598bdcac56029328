"""What the gateway adds: requests a second, latency, stalls of streams, memory; beside peers.

Everything is on for Flatfare: a key with labels, metering with the price book, the journal synced
before each call and at its end. The provider is nginx with one fixed answer, driven by wrk; both
stand on other cores than the gateway.

    python bench/gateway.py [--seconds 5] [--calls 50000] [--streams 500] [--peers DIR] [--full]

``--peers DIR`` measures LiteLLM, TensorZero and Portkey too, installed below DIR if they are not there.
Needs nginx and wrk (Debian has both). ``--full`` is 1,000,000 calls and 2,000 streams.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
UPSTREAM_CORE, LOAD_CORE = CORES[-1], CORES[-2 % len(CORES)]
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1771000000,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hello " * 40}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 50,
        "total_tokens": 1050,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}
SCRIPT = """wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
{headers}
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %f %f %f\\n", summary.requests,
    e.status + e.read + e.connect + e.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Measured:
    """What wrk saw."""

    rate: float
    errors: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Target:
    """Something that answers chat completions."""

    name: str
    url: str
    key: str
    model: str = "gpt-4o-mini"
    headers: str = ""
    pids: tuple[int, ...] = ()
    remark: str = ""


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(cores: list[int], *command: str) -> list[str]:
    """A command that runs on these cores alone."""
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


@contextmanager
def running(
    command: list[str], ready: Callable[[], bool], within_s: float = 60, **more: object
) -> Iterator[int]:
    """A process that is ready, and ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + within_s
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[3:5]} did not start")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()


def answers(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> bool:
    """Somebody answers there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=5) as answer:
            return bool(answer.status < 500)
    except urllib.error.HTTPError as problem:
        return problem.code < 500
    except OSError:
        return False


@contextmanager
def provider(folder: Path) -> Iterator[int]:
    """nginx with one fixed answer."""
    port = free_port()
    text = json.dumps(ANSWER).replace("'", "")
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; keepalive_requests 100000000;\n"
        f"  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;\n"
        f"  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json;\n"
        f"    return 200 '{text}'; }} }} }}\n"
    )
    command = pinned([UPSTREAM_CORE], "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder))
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/")):
        yield port


@contextmanager
def flatfare(
    folder: Path, upstream: int, cores: list[int], workers: int, budgets: int = 0
) -> Iterator[Target]:
    """``flatfare serve`` with a key, labels and everything on."""
    folder.mkdir()
    port = free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "database": f"sqlite:///{folder}/book.db",
        "lake": str(folder / "lake"),
        "providers": {"openai": {"base_url": f"http://127.0.0.1:{upstream}/v1", "api_key": "sk-mock"}},
    }
    (folder / "flatfare.yaml").write_text(json.dumps(settings))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    program = [sys.executable, "-m", "flatfare"]

    def run(*words: str) -> str:
        return subprocess.run(
            [*program, "--config", str(folder / "flatfare.yaml"), *words],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    labels = ["--label", "team=search", "--label", "feature=summary", "--label", "customer=acme"]
    key = json.loads(run("keys", "create", "--name", "bench", *labels, "--json"))["key"]
    scopes = ("organisation", "team=search", "feature=summary", "customer=*", "key=bench")
    for scope in scopes[:budgets]:
        run("budgets", "create", "--name", scope, "--scope", scope, "--amount", "1000000")
    command = pinned(
        cores, *program, "--config", str(folder / "flatfare.yaml"), "serve", "--workers", str(workers)
    )
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/readyz"), env=environment) as pid:
        time.sleep(1.0)
        name = f"Flatfare, {workers} worker{'s' * (workers > 1)}" + (
            f", {budgets} budgets" if budgets else ""
        )
        yield Target(
            name, f"http://127.0.0.1:{port}", key, pids=tuple(children(pid)), remark="all on, synced"
        )


def children(pid: int) -> list[int]:
    """The processes below one."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def wrk(
    target: Target, folder: Path, connections: int, seconds: int, content: str = "hello " * 50
) -> Measured:
    """Drive a target."""
    body = json.dumps(
        {"model": target.model, "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
    )
    script = folder / "post.lua"
    script.write_text(
        SCRIPT.replace("{key}", target.key).replace("{headers}", target.headers).replace("{body}", body)
    )
    threads = "2" if connections > 1 else "1"
    done = subprocess.run(
        pinned([LOAD_CORE], "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s",
               "-s", str(script), f"{target.url}/v1/chat/completions"),
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    requests, errors, duration, p50, p99 = map(float, found.groups())
    return Measured(requests / duration, int(errors), p50, p99)


def cpu_s(pids: tuple[int, ...]) -> float:
    """Processor time of some processes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def own_mb(pid: int) -> float:
    """Memory of one process that is its share, in MB (PSS)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


# streams


async def paced(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider that sends 50 events, one each 40 ms, with the moment of sending in each."""
    with suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for _ in range(50):
            await asyncio.sleep(0.04)
            chunk = {
                "id": "1",
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": "x"}}],
            }
            chunk["sent"] = time.monotonic()
            writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        usage = {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60}
        writer.write(b"data: " + json.dumps({"id": "1", "choices": [], "usage": usage}).encode() + b"\n\n")
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
    writer.close()


async def stream(port: int, key: str, late: list[float], ended: list[bool]) -> None:
    """One client that notes how old each event is when it comes."""
    asked = {
        "model": "gpt-4o-mini",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [],
    }
    body = json.dumps(asked).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (key.encode(), len(body), body)
    )
    is_whole = False
    while line := await reader.readline():
        if b'"sent": ' in line:
            late.append(time.monotonic() - float(line.rpartition(b'"sent": ')[2].split(b"}")[0]))
        is_whole = is_whole or b"[DONE]" in line
    writer.close()
    ended.append(is_whole)


async def streams(port: int, key: str, count: int) -> tuple[list[float], int]:
    """So many at one time; how late their events were, in ms, and how many ended whole."""
    late: list[float] = []
    ended: list[bool] = []
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(stream(port, key, late, ended)))
        await asyncio.sleep(0.0005)
    await asyncio.gather(*tasks)
    return sorted(1000 * seconds for seconds in late), sum(ended)


def measure_streams(folder: Path, count: int) -> None:
    """Print how late events come with the gateway and without."""
    port = free_port()
    code = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1]); import gateway\n"
        "async def main():\n"
        "    place = ('127.0.0.1', int(sys.argv[2]))\n"
        "    server = await asyncio.start_server(gateway.paced, *place, backlog=4096)\n"
        "    await server.serve_forever()\n"
        "asyncio.run(main())"
    )
    command = pinned([UPSTREAM_CORE], sys.executable, "-c", code, str(Path(__file__).parent), str(port))

    def is_there() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with running(command, is_there), flatfare(folder / "streams", port, CORES[:1], 1) as target:
        for name, at in (("direct", port), ("Flatfare", int(target.url.rpartition(":")[2]))):
            late, whole = asyncio.run(streams(at, target.key, count))
            p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
            said = f"p50 {p50:.2f} ms, p99 {p99:.1f} ms, max {late[-1]:.0f} ms"
            print(f"{name:28} {whole}/{count} streams whole; events late {said}")


# peers


@contextmanager
def litellm(home: Path, upstream: int, folder: Path, core: int) -> Iterator[Target]:
    """LiteLLM's proxy, one worker, no database: nothing is kept."""
    if not (home / "litellm/bin/litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", home / "litellm"], check=True)
        subprocess.run([home / "litellm/bin/pip", "install", "-q", "litellm[proxy]"], check=True)
    port, key = free_port(), "sk-" + "b" * 40
    params = {
        "model": "openai/gpt-4o-mini",
        "api_base": f"http://127.0.0.1:{upstream}/v1",
        "api_key": "sk-mock",
    }
    config = {
        "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": params}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    (folder / "litellm.yaml").write_text(json.dumps(config))
    own = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    command = pinned([core], str(home / "litellm/bin/litellm"), "--config", str(folder / "litellm.yaml"))
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with running(
        command, lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"), env={**os.environ, **own}
    ) as pid:
        shown = subprocess.run(
            [home / "litellm/bin/pip", "show", "litellm"], capture_output=True, text=True, check=True
        ).stdout
        version = shown.split("Version: ")[1].split()[0]
        yield Target(
            f"LiteLLM {version}", f"http://127.0.0.1:{port}", key, pids=(pid,), remark="cost header, no book"
        )


@contextmanager
def tensorzero(home: Path, upstream: int, folder: Path, core: int) -> Iterator[Target]:
    """TensorZero's gateway as its wheel embeds it, observability off."""
    if not (home / "tensorzero/bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", home / "tensorzero"], check=True)
        subprocess.run([home / "tensorzero/bin/pip", "install", "-q", "tensorzero", "openai"], check=True)
    (folder / "tensorzero.toml").write_text(
        "[gateway]\nobservability.enabled = false\n"
        '[models.m1]\nrouting = ["mock"]\n[models.m1.providers.mock]\n'
        f'type = "openai"\nmodel_name = "gpt-4o-mini"\napi_base = "http://127.0.0.1:{upstream}/v1/"\n'
        'api_key_location = "env::OPENAI_API_KEY"\n'
    )
    code = (
        "import time, warnings; warnings.simplefilter('ignore')\n"
        "import tensorzero; from openai import OpenAI\n"
        "client = OpenAI(api_key='x', base_url='http://127.0.0.1:1/')\n"
        "start = tensorzero.patch_openai_client\n"
        "client = start(client, config_file='tensorzero.toml', async_setup=False)\n"
        "open('tz.url', 'w').write(str(client.base_url)); time.sleep(600)"
    )
    command = pinned([core], str(home / "tensorzero/bin/python"), "-c", code)
    url = folder / "tz.url"
    with running(command, url.exists, cwd=folder, env={**os.environ, "OPENAI_API_KEY": "sk-mock"}) as pid:
        time.sleep(0.5)
        base = url.read_text().rstrip("/").removesuffix("/v1")
        yield Target(
            "TensorZero", base, "x", "tensorzero::model_name::m1", pids=(pid,), remark="no book, no keys"
        )


@contextmanager
def portkey(home: Path, upstream: int, folder: Path, core: int) -> Iterator[Target]:
    """Portkey's open gateway, one Node process."""
    start = home / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    if not start.exists():
        (home / "portkey").mkdir(parents=True, exist_ok=True)
        packages = ["@portkey-ai/gateway@1.15.2", "@hono/node-server@1.11.5", "hono@4.9.7"]
        subprocess.run(["npm", "i", *packages, "--legacy-peer-deps"], cwd=home / "portkey", check=True)
    port = free_port()
    headers = (
        'wrk.headers["x-portkey-provider"] = "openai"\n'
        f'wrk.headers["x-portkey-custom-host"] = "http://127.0.0.1:{upstream}/v1"'
    )
    command = pinned([core], "node", str(start), f"--port={port}", "--headless")
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/")) as pid:
        yield Target(
            "Portkey 1.15.2",
            f"http://127.0.0.1:{port}",
            "sk-mock",
            headers=headers,
            pids=(pid,),
            remark="no cost",
        )


PEERS = (litellm, tensorzero, portkey)


def line(target: Target, folder: Path, seconds: int, direct: Measured) -> Measured:
    """Measure a target and print its line."""
    before = cpu_s(target.pids)
    loaded = wrk(target, folder, 32, seconds)
    cpu = cpu_s(target.pids) - before
    alone = wrk(target, folder, 1, max(2, seconds // 2))
    per_thousand = 1000 * cpu / (loaded.rate * seconds) if loaded.rate else 0
    wrong = f"  {loaded.errors} ERRORS" if loaded.errors else ""
    print(
        f"{target.name:28} {loaded.rate:>9,.0f}/s  p50 {loaded.p50_ms:.2f} p99 {loaded.p99_ms:.2f} ms at 32;"
        f"  alone +{alone.p50_ms - direct.p50_ms:.2f} p99 +{alone.p99_ms - direct.p99_ms:.2f} ms;"
        f"  {per_thousand * 1000:.0f} ms CPU per 1,000  ({target.remark}){wrong}",
        flush=True,
    )
    return loaded


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args()
    missing = [name for name in ("nginx", "wrk", "taskset") if shutil.which(name) is None]
    if missing or len(CORES) < 3:
        print(f"needs {', '.join(missing) or 'three cores'}, which this machine does not have")
        return
    calls, count = (1_000_000, 2000) if asked.full else (asked.calls, asked.streams)
    load = os.getloadavg()[0]
    where = f"wrk on {LOAD_CORE}, nginx on {UPSTREAM_CORE}"
    print(f"Python {platform.python_version()}, {len(CORES)} cores, load {load:.1f} before; {where}")
    folder = Path(tempfile.mkdtemp(prefix="flatfare-bench-"))
    try:
        with provider(folder) as upstream:
            bare = Target("bare nginx", f"http://127.0.0.1:{upstream}", "x", remark="no gateway")
            direct = wrk(bare, folder, 1, max(2, asked.seconds // 2))
            rate = wrk(bare, folder, 32, asked.seconds).rate
            said = f"alone p50 {direct.p50_ms:.2f} p99 {direct.p99_ms:.2f} ms"
            print(f"{bare.name:28} {rate:>9,.0f}/s;  {said}")
            rates = {}
            for workers, cores, budgets in ((1, CORES[:1], 0), (2, CORES[:2], 0), (1, CORES[:1], 5)):
                with flatfare(folder / f"f{workers}{budgets}", upstream, cores, workers, budgets) as target:
                    rates[workers, budgets] = line(target, folder, asked.seconds, direct).rate
            grown, held = rates[2, 0] / rates[1, 0], rates[1, 5] / rates[1, 0]
            print(f"{'':28} two workers {grown:.2f} times one; five budgets {held:.0%} of none")
            for peer in PEERS if asked.peers else ():
                try:
                    with ExitStack() as stack:
                        target = stack.enter_context(peer(asked.peers.resolve(), upstream, folder, CORES[0]))
                        rate = line(target, folder, asked.seconds, direct).rate
                        print(f"{'':28} Flatfare, 1 worker, is {rates[1, 0] / rate:.1f} times that")
                except (OSError, RuntimeError, subprocess.CalledProcessError) as problem:
                    print(f"{peer.__name__:28} was not measured: {problem}")
            with flatfare(folder / "memory", upstream, CORES[:1], 1) as target:
                done, sizes = 0, []
                while done < calls:
                    done += int(wrk(target, folder, 32, 5).rate * 5)
                    sizes.append(max(own_mb(pid) for pid in target.pids))
                seen = ", ".join(f"{size:.0f}" for size in sizes[:: max(1, len(sizes) // 10)])
                print(f"{'memory, largest process':28} {seen} MB over {done:,} calls")
        measure_streams(folder, count)
        print(f"load {os.getloadavg()[0]:.1f} after; one run each")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
