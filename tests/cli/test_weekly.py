"""``flatfare weekly``: what it says, where it sends, and what it refuses."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.config import Settings
from flatfare.core.errors import BadInput, BadUsage
from tests.web.lively import lively

Run = Callable[..., Result]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A webhook of this machine, and what it was told."""
    told: list[dict[str, object]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quietly."""

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An invented firm's book."""
    return lively(tmp_path_factory.mktemp("firm"), time.time_ns() // 1000)


@pytest.fixture
def run(firm: Settings, tmp_path: Path) -> Run:
    """Runs the command on the firm's book, with these lines of settings."""

    def command(*words: str, lines: str = "") -> Result:
        file = tmp_path / "flatfare.yaml"
        file.write_text(f"database: {firm.database}\nlake: {firm.lake}\n{lines}", encoding="utf-8")
        return CliRunner().invoke(root, ["weekly", *words, "--config", str(file)])

    return command


def test_it_reads_like_a_page(run: Run) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    for said in ("Cost per verified outcome", "week before", "Spend", "attention"):
        assert said in result.stdout


def test_json_is_the_document(run: Run) -> None:
    found = json.loads(run("--json").stdout)
    assert found["figures"][0]["name"] == "Cost per verified outcome"
    assert set(found["this_week"]) == set(found["week_before"])


def test_csv_is_a_line_a_figure(run: Run) -> None:
    assert run("--csv").stdout.startswith("name,now,beside,before,change")


def test_a_week_can_be_named_and_one_that_is_not_over_is_refused(run: Run) -> None:
    assert json.loads(run("--week", "2026-W20", "--json").stdout)["week"] == "2026-W20"
    refused = run("--week", "2999-W01")
    assert isinstance(refused.exception, BadUsage)
    assert "not over yet" in str(refused.exception)


def test_a_page_is_written(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("typst", reason="needs the invoices extra")
    assert run("--pdf", str(tmp_path / "w.pdf")).exit_code == 0
    assert (tmp_path / "w.pdf").read_bytes().startswith(b"%PDF-")


def test_to_send_it_somebody_has_to_be_named(run: Run) -> None:
    refused = run("--send")
    assert isinstance(refused.exception, BadUsage)
    assert "weekly_report: {channels: [ops]" in str(refused.exception)


def test_sent_twice_it_comes_once(run: Run, hook: tuple[str, list[dict[str, object]]]) -> None:
    url, told = hook
    lines = (
        f"alerts: {{ops: {{url: '{url}', allow_private: true, kinds: [none]}}}}\n"
        "weekly_report: {channels: [ops]}\n"
    )
    first, second = (
        run("--send", "--week", "2026-W30", lines=lines),
        run("--send", "--week", "2026-W30", lines=lines),
    )
    assert "Sent to ops." in first.stderr
    assert "had it already" in second.stderr
    reports = [one for one in told if one["type"] == "report.weekly"]
    assert len(reports) == 1
    data = reports[0]["data"]
    assert isinstance(data, dict)
    assert (data["id"], data["week"]) == ("weekly-2026-W30", "2026-W30")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("weekly_report: {channels: [nobody]}", "channels as nobody"),
        ("weekly_report: {day: monday}", "channels as nothing"),
        ("alerts: {a: {url: 'https://x/y'}}\nweekly_report: {channels: [a], day: someday}", "one of monday"),
        ("alerts: {a: {url: 'https://x/y'}}\nweekly_report: {channels: [a], hour: 24}", "from 0 to 23"),
        ("alerts: {a: {url: 'https://x/y'}}\nweekly_report: {channels: [a], when: 1}", "weekly_report.when"),
        ("weekly_report: 5", "write name: value"),
    ],
)
def test_wrong_settings_are_refused_naming_what_is_wrong(run: Run, lines: str, said: str) -> None:
    refused = run(lines=lines)
    assert isinstance(refused.exception, BadInput)
    assert said in str(refused.exception)
