"""What judging costs is on the task's bill: from a judge asked through a real gateway to the report."""

import asyncio
import http.client
import json
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.config import Secret, Settings
from flatfare.core.checks.submission import Submission
from flatfare.core.identity import derived
from flatfare.core.outcome import Judgement
from flatfare.gateway.server import serving
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.service.judging.asking import Asker, Whose
from flatfare.service.tasks.recording import Teller, record
from flatfare.store.book import open_book
from flatfare.store.lake import Lake
from flatfare.verifiers import kinds, verdicts
from flatfare.verifiers.kinds import Means
from tests.verifiers.judges import Answer, Asked, Judge, Said, chat, judging, says

WORK = Submission("The notice period is three months.", "How long is it?")
GPT, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4-5"
# A call of gpt-4o costs $0.003 here (1000 × $2.50 + 50 × $10 per million), one of claude-sonnet-4-5
# $0.00375 (1000 × $3 + 50 × $15).
NOW_US = 1_790_000_000_000_000


def work_then(answer: Answer) -> Answer:
    """Does the work that is asked for, and judges what it is to judge."""
    return lambda asked: answer(asked) if "Put the code" in str(asked.body) else Said(200, chat("Done."))


def do_work(url: str, task: str, key: str | None) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    headers = {"Content-Type": "application/json", "baggage": f"flatfare.task={quote(task, safe='')}"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How long is it?"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()


def settings_of(judge: Judge, folder: Path) -> Settings:
    return judge.settings(
        listen="127.0.0.1:0", database=f"sqlite:///{folder}/flatfare.db", lake=f"{folder}/lake"
    )


def live(
    settings: Settings, task: str, models: list[str], key: str | None = None
) -> tuple[Judgement, dict[str, object]]:
    """Do a task's work, have it judged, and take both into the book; with the verdict's event."""
    found: list[tuple[Judgement, dict[str, object]]] = []

    async def run() -> None:
        async with serving(settings) as gateway:
            await asyncio.to_thread(do_work, gateway.url, task, key)
            asker = Asker(
                settings, gateway.url, whose=Whose(task), key=Secret(key) if key is not None else None
            )
            check = kinds.verifier(
                "model-judge",
                {"models": models, "rubric": "It names the period."},
                means=Means(asker, ("gpt-4o",)),
            )
            finding = await asyncio.to_thread(check.judge, WORK)
            await gateway.book()
            found.append((finding.judgement, verdicts.event_of(finding, WORK, task, NOW_US + 5)))

    asyncio.run(run())
    return found[0]


def report_of(settings: Settings) -> dict[str, object]:
    """``flatfare report`` over everything, in one row."""
    result = CliRunner().invoke(
        root,
        ["report", "--by", "action", "--json", "--database", settings.database, "--lake", settings.lake],
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["rows"]
    found: dict[str, object] = row
    return found


def told(settings: Settings, task: str, event: dict[str, object], project: str | None = None) -> None:
    opened = {"event": "opened", "id": str(derived("o", task)), "task": task, "at": NOW_US, "name": "qa"}
    closed = {"event": "closed", "id": str(derived("c", task)), "task": task, "at": NOW_US + 9}
    with open_book(settings.database) as book:
        done = record(
            book,
            Lake(settings.lake),
            [opened, event, closed],
            Teller("test", project=project),
            now_us=NOW_US + 10,
        )
    assert not done.refused


@pytest.mark.parametrize("task", ["ticket-17", "Vorgang 17 – Ärger"])
def test_the_judge_s_calls_are_the_task_s_cost_of_verification(tmp_path: Path, task: str) -> None:
    with judging(work_then(says("yes"))) as judge:
        settings = settings_of(judge, tmp_path)
        judgement, event = live(settings, task, [GPT, CLAUDE])
    assert judgement is Judgement.PASS
    told(settings, task, event)
    row = report_of(settings)
    assert row["verified"] == 1
    assert row["cost"] == "0.010500000"  # with $0.003 for the work
    assert row["verification_cost"] == "0.007500000"
    assert row["cost_per_attempt"] == "0.010500000"  # the same per verified outcome, of five and more


def test_a_key_of_a_project_pays_for_judging_its_own_tasks(tmp_path: Path) -> None:
    with judging(work_then(says("no"))) as judge:
        settings = settings_of(judge, tmp_path)
        with open_book(settings.database) as book:
            key = issuing.create(book, Terms("app", project="shop"), at_us=1, by_whom="test").secret
        judgement, event = live(settings, "17", [CLAUDE], key)
        assert all("ff_" not in str(asked.headers) for asked in judge.asked)
    assert judgement is Judgement.FAIL
    told(settings, "17", event, "shop")
    row = report_of(settings)
    assert (row["verified"], row["failed"]) == (0, 1)
    assert row["verification_cost"] == "0.007500000"


def test_tries_that_came_to_nothing_are_on_the_bill_too(tmp_path: Path) -> None:
    def cut(asked: Asked) -> Said:
        return Said(200, chat('{"code": "', finish_reason="length"))

    with judging(work_then(cut)) as judge:
        settings = settings_of(judge, tmp_path)
        judgement, event = live(settings, "17", [GPT])
    assert judgement is Judgement.ABSTAIN
    told(settings, "17", event)
    row = report_of(settings)
    assert row["verified"] == 0
    assert row["verification_cost"] == "0.006000000"  # two, none of use: a third could not decide


def test_the_provider_sees_nothing_of_whose_bill_it_is(tmp_path: Path) -> None:
    with judging(work_then(says("yes"))) as judge:
        live(settings_of(judge, tmp_path), "ticket-17", [CLAUDE])
    for asked in judge.asked:
        assert not [name for name in asked.headers if name.startswith("flatfare")]
        assert "ticket-17" not in str(asked.headers)
