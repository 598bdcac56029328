"""Actions beside a gateway in processes of its own: by command and over HTTP, with keys and without."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateway.rig_gateway import free_port
from tests.runner.rig import EMAIL, EXAMPLES, Model, provided

WORDS = ("actions", "run", "names-and-dates", "--customer", "acme", "--json", "--input")
INPUT = json.dumps({"email": EMAIL})


BESIDE_MODELS = "/v1/actions/names-and-dates"


def flatfare(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "flatfare", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(folder: Path, port: int) -> Iterator[tuple[str, str]]:
    """``flatfare serve`` at a port that is known beforehand; its address and the token of its user."""
    providers = {"openai": {"base_url": f"http://127.0.0.1:{port}/v1", "api_key": "sk-real"}}
    own = free_port()
    (folder / "flatfare.yaml").write_text(json.dumps({"listen": f"127.0.0.1:{own}", "providers": providers}))
    command = [sys.executable, "-m", "flatfare", "serve"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"(http://\S+) \(yours: \S+token=(\S+)\)", process.stderr.readline())
        assert found is not None
        yield found[1], found[2]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stderr.close()


def ask(url: str, token: str, path: str, body: object = None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers), timeout=60) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


def test_runs_beside_a_served_gateway_are_booked_by_it(tmp_path: Path) -> None:
    flatfare(tmp_path, "actions", "publish", str(EXAMPLES / "names-and-dates.yaml"))
    flatfare(tmp_path, "customers", "create", "acme")
    flatfare(tmp_path, "customers", "top-up", "acme", "10")
    order = {"input": {"email": EMAIL}, "customer": "acme"}
    with provided(Model()) as port, served(tmp_path, port) as (url, token):
        by_http = ask(url, token, "/api/actions/names-and-dates/runs", order)
        by_command = json.loads(flatfare(tmp_path, *WORDS, INPUT))
        flatfare(tmp_path, "keys", "create", "--name", "somebody")  # from now on every call needs a key
        again = [
            ask(url, token, "/api/actions/names-and-dates/runs", order),
            ask(url, token, BESIDE_MODELS, order),
        ]
        with_key = json.loads(flatfare(tmp_path, *WORDS, INPUT))
        for run in (by_http, by_command, *again, with_key):
            assert (run["outcome"], run["settlement"]) == ("verified", "settled"), run
            _check_cost(url, token, str(run["id"]))
        listed = [json.loads(line) for line in flatfare(tmp_path, "keys", "list", "--json").splitlines()]
        names = [str(key["name"]) for key in listed]
    assert "somebody" in names
    assert len([name for name in names if name.startswith("action-runner-")]) == 1  # the serving one's
    assert os.path.exists(tmp_path / "flatfare.db")


def _check_cost(url: str, token: str, run: str) -> None:
    """Within some seconds the run's cost is what its calls were booked with."""
    for _ in range(150):
        receipt = ask(url, token, f"/api/runs/{run}")["receipt"]
        assert isinstance(receipt, dict)
        if receipt["operator"]["cost"]["is_final"]:
            assert receipt["operator"]["cost"]["amount"] != "0.000000000"
            return
        time.sleep(0.1)
    raise AssertionError(f"the cost of {run} did not become final: {receipt}")
