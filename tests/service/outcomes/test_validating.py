"""A wrong record is told with its path, what was found and what was expected."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flatfare.core.chain import GENESIS, link
from flatfare.service.outcomes import schema
from flatfare.service.outcomes.validating import checked, problems, says

ROOT = Path(__file__).parents[3]
TASK = "0284c9fc-eaf4-f2ce-cc78-b883473e0a7a"
VERDICT = "9255e850-8852-deed-27f2-bca8a15b6871"


def record() -> dict:  # type: ignore[type-arg]
    verdict = {
        "id": VERDICT,
        "verifier": "tests",
        "version": "1",
        "kind": "code",
        "judgement": "pass",
        "evidence_hash": "a" * 64,
        "at": "2026-01-01T00:01:00Z",
        "position": 0,
        "previous_hash": GENESIS,
    }
    task = {"id": TASK, "name": "resolve", "source": "s", "opened_at": "2026-01-01T00:00:00Z"}
    verdict["hash"] = link(GENESIS, *says(verdict, task))
    call = {
        "id": "11111111-1111-1111-1111-111111111111",
        "at": "2026-01-01T00:00:01Z",
        "purpose": "work",
        "status": "ok",
        "usage": {"input": 5},
        "usage_state": "measured",
        "cost": {"amount": "0.25", "state": "measured"},
    }
    return {
        "format": "outcome-record/1",
        "task": task,
        "path": "p",
        "attempts": {"count": 1},
        "costs": {"work": {"amount": "0.25", "state": "measured"}},
        "verdicts": [verdict],
        "chain": {"length": 1, "head": verdict["hash"]},
        "outcome": {"state": "verified", "at": "2026-01-01T00:01:00Z", "cause": VERDICT},
        "settlement": "none",
        "calls": [call],
        "x_ours": {"anything": [1]},
    }


def told(document: object) -> list[tuple[str, str, str]]:
    return [(one.path, one.found, one.expected) for one in problems(document)]


def test_a_right_record_has_no_problems() -> None:
    assert told(record()) == []


CHANGES = [
    (("task", "id"), "17", "task.id", '"17"'),
    (("task", "opened_at"), "yesterday", "task.opened_at", '"yesterday"'),
    (("task", "opened_at"), "2026-02-31T00:00:00Z", "task.opened_at", '"2026-02-31T00:00:00Z"'),
    (("costs", "work", "amount"), 0.25, "costs.work.amount", "0.25"),
    (("costs", "work", "amount"), "0.50", "costs.work.amount", '"0.50"'),
    (("costs", "work", "state"), "free", "costs.work.state", '"free"'),
    (("verdicts", 0, "kind"), "oracle", "verdicts[0].kind", '"oracle"'),
    (("verdicts", 0, "verifier"), "", "verdicts[0].verifier", '""'),
    (("verdicts", 0, "position"), 1, "verdicts[0].position", "1"),
    (("verdicts", 0, "score"), "0.9", "verdicts[0].hash", None),
    (("chain", "head"), "b" * 64, "chain.head", None),
    (("chain", "length"), 2, "chain.length", "2"),
    (("outcome", "cause"), "nobody", "outcome.cause", '"nobody"'),
    (("settlement",), None, "settlement", "null"),
    (("calls", 0, "usage", "input"), -1, "calls[0].usage.input", "-1"),
    (("prompt",), "a text", "prompt", "a field"),
    (("attempts", "count"), 0, "attempts.count", "0"),
    (("attempts", "count"), 2**70, "attempts.count", str(2**70)),
    (("costs", "work", "amount"), "1000000000", "costs.work.amount", '"1000000000"'),
    (("format",), "outcome-record/2", "format", '"outcome-record/2"'),
]


@pytest.mark.parametrize(("where", "value", "path", "found"), CHANGES)
def test_a_problem_names_path_found_and_expected(
    where: tuple[str | int, ...], value: object, path: str, found: str | None
) -> None:
    document = record()
    _set(document, where, value)
    said = told(document)
    assert path in [one[0] for one in said]
    if found is not None:
        assert (path, found) in [one[:2] for one in said]
    assert all(expected for _, _, expected in said)


def test_nothing_is_verified_without_a_verdict_that_passed() -> None:
    document = record()
    document["verdicts"] = []
    document["chain"] = {"length": 0, "head": GENESIS}
    del document["outcome"]["cause"]
    assert told(document) == [
        ("outcome.state", '"verified"', "a verdict that passed: none is verified without")
    ]


def test_a_task_may_be_verified_by_the_signal_that_is_its_cause() -> None:
    document = record()
    (said, *_) = document["verdicts"]
    said |= {"verifier": "signal:accepted", "judgement": "abstain"}
    document["outcome"]["cause"] = said["id"]
    problem = ("outcome.state", '"verified"', "a verdict that passed: none is verified without")
    others = [one for one in document["verdicts"] if one is not said and one["judgement"] == "pass"]
    assert not others
    assert problem not in told(document)
    del document["outcome"]["cause"]
    assert problem in told(document)


def test_a_field_that_lacks_is_named() -> None:
    document = record()
    del document["verdicts"][0]["evidence_hash"]
    assert ("verdicts[0].evidence_hash", "nothing", "a value: it is required") in told(document)


@pytest.mark.parametrize("text", ["{", "17", '"x"', "[]", '{"task": 1, "task": 2}', "[" * 100_000])
def test_a_line_that_is_no_record_is_told(text: str) -> None:
    line = checked(7, text)
    assert (line.number, line.record) == (7, None)
    assert line.problems


def test_the_published_schema_is_the_one_in_the_package() -> None:
    published = json.loads((ROOT / "schemas" / "outcome-record-1.json").read_text())
    assert published == schema.published()


def test_our_check_says_the_same_as_a_full_validator() -> None:
    validators = pytest.importorskip("jsonschema_rs", reason="needs jsonschema-rs, to compare with")
    full = validators.Draft202012Validator(schema.published())
    for document in _mutants(2_000):
        mine = list(schema.problems(document))
        assert bool(mine) is not full.is_valid(document), (document, mine)


def _mutants(count: int) -> Iterator[object]:
    chance = random.Random(17)
    values = [
        None,
        True,
        0,
        -1,
        1.5,
        2.0,
        "",
        "x",
        "0.25",
        "1.0000000001",
        [],
        {},
        [{}],
        {"x": 1},
        TASK,
        "a" * 64,
    ]
    for _ in range(count):
        document = copy.deepcopy(record())
        for _ in range(chance.randint(1, 2)):
            place: object = document
            while isinstance(place, dict | list) and place:
                keys = list(place) if isinstance(place, dict) else list(range(len(place)))
                key = chance.choice(keys)
                inner = place[key]
                if not isinstance(inner, dict | list) or not inner or chance.random() < 0.3:
                    _change(place, key, chance, values)
                    break
                place = inner
        yield document


def _change(place: dict | list, key: object, chance: random.Random, values: list) -> None:  # type: ignore[type-arg]
    how = chance.random()
    if how < 0.2 and isinstance(place, dict):
        del place[key]
    elif how < 0.3 and isinstance(place, dict):
        place["more" if chance.random() < 0.5 else "x_more"] = chance.choice(values)
    else:
        place[key] = copy.deepcopy(chance.choice(values))  # type: ignore[index, call-overload]


def _set(document: dict, where: tuple[str | int, ...], value: object) -> None:  # type: ignore[type-arg]
    place = document
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
