"""Human review over HTTP: blind, by whoever is signed in, and one verdict of it on the task."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from flatfare.config import Settings
from flatfare.core.identity import task_id
from flatfare.service.access import keys as issuing
from flatfare.service.access.keys import Terms
from flatfare.service.judging import sampling
from flatfare.store.book import open_book
from flatfare.store.sampling import HUMAN, Plan
from tests.web.conftest import calling, let_in, signed_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=f"sqlite:///{tmp_path}/book.db", lake=f"{tmp_path}/lake")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with calling(settings) as client:
        yield client


def post(client: TestClient, path: str, **body: object) -> dict[str, object]:
    answer = client.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, object] = answer.json()
    return found


def test_work_goes_in_is_judged_twice_and_verifies_the_task(client: TestClient) -> None:
    review = post(client, "/api/reviews", task="17", output="Three months.", input="How long?", name="qa")[
        "id"
    ]
    for reviewer in ("ann", "bob"):
        taken = post(client, "/api/reviews/next", reviewer=reviewer)
        sheet = taken["review"]
        assert isinstance(sheet, dict)
        assert sheet["review"] == review
        assert sheet["shown"] == {"output": "Three months.", "input": "How long?"}
        assert "task" not in sheet
        whole = client.get(f"/api/reviews/{review}").json()
        assert whole["said"] is None
        said = post(
            client, f"/api/reviews/{review}/answers", judgement="pass", reviewer=reviewer, minutes="1.5"
        )
    assert said == {"review": review, "state": "decided", "is_new": True}
    assert post(client, "/api/reviews/next", reviewer="cid") == {"review": None, "waiting": 0}
    (row,) = client.get("/api/reviews?state=decided").json()["reviews"]
    assert (row["judgement"], row["answers"], row["task"]) == ("pass", 2, str(task_id(None, "17")))
    assert [one["reviewer"] for one in client.get(f"/api/reviews/{review}").json()["said"]] == ["ann", "bob"]
    story = client.get("/api/tasks/17").json()
    assert "human-review" in str(story)
    assert "verified" in str(story)
    assert client.get("/api/reviews/agreement?name=qa").json()["unanimous"]["count"] == 1


def test_a_key_puts_work_in_and_judges_nothing(client: TestClient, settings: Settings) -> None:
    with open_book(settings.database) as book:
        secret = issuing.create(book, Terms("app", project="shop"), at_us=1, by_whom="test").secret
    key = {"Authorization": f"Bearer {secret}"}
    made = client.post("/api/reviews", json={"task": "17", "output": "x"}, headers=key)
    assert made.status_code == 201
    assert made.json()["task"] == str(task_id("shop", "17"))
    assert made.json()["asked_by"] == "the key 'app'"
    for path in ("/api/reviews/next", f"/api/reviews/{made.json()['id']}/withdraw"):
        assert client.post(path, json={}, headers=key).status_code == 403
    assert client.get("/api/reviews", headers=key).status_code == 403


def test_what_is_given_back_waits_for_another_and_what_is_withdrawn_for_nobody(client: TestClient) -> None:
    review = post(client, "/api/reviews", task="17", output="x", reviewers=1)["id"]
    post(client, "/api/reviews/next", reviewer="ann")
    assert post(client, "/api/reviews/next", reviewer="bob")["review"] is None
    post(client, f"/api/reviews/{review}/release", reviewer="ann")
    assert post(client, "/api/reviews/next", reviewer="bob")["review"] is not None
    post(client, f"/api/reviews/{review}/withdraw", reason="wrong task")
    answer = client.post(f"/api/reviews/{review}/answers", json={"judgement": "pass", "reviewer": "bob"})
    assert answer.status_code == 409
    assert "withdrawn" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/reviews", {"task": "17"}, 400),
        ("/api/reviews", {"task": "17", "output": "x", "reviewers": 99}, 400),
        ("/api/reviews", {"task": "17", "link": "javascript:x"}, 400),
        ("/api/reviews/none/answers", {"judgement": "pass"}, 404),
        ("/api/reviews/none/answers", {"judgement": "maybe"}, 400),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(
    client: TestClient, path: str, body: dict[str, object], status: int
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert client.get("/api/reviews?state=lost").status_code == 400


def test_who_has_done_a_task_asks_which_plan_draws_it_and_shows_it_to_people(
    client: TestClient, settings: Settings
) -> None:
    half = Plan("half", Decimal("0.5"), HUMAN, 1, "qa", None, {"question": "Right?", "reviewers": 1})
    with open_book(settings.database) as book:
        sampling.create(book, half, by_whom="test")
        secret = issuing.create(book, Terms("app"), at_us=1, by_whom="test").secret
    key = {"Authorization": f"Bearer {secret}"}
    asked = 0
    for number in range(20):
        path = f"/api/reviews/plans?task=T-{number}&action=qa"
        plans = client.get(path, headers=key).json()["plans"]
        body = {"task": f"T-{number}", "output": "x", "name": "qa", "plan": "half"}
        answer = client.post("/api/reviews", json=body, headers=key)
        assert answer.status_code == (201 if plans else 409)
        asked += bool(plans)
        if plans:
            assert (answer.json()["question"], answer.json()["reviewers"]) == ("Right?", 1)
    assert 0 < asked < 20
    assert client.get("/api/reviews/plans?task=T-1&action=other", headers=key).json()["plans"] == []


def test_a_reviewer_sees_of_an_open_review_nothing_that_would_tell_whose_work_it_is(
    client: TestClient, settings: Settings
) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    review = post(client, "/api/reviews", task="17", output="x", reviewers=2)["id"]
    for reviewer, word in (("ann", "pass"), ("bob", "fail")):
        post(client, "/api/reviews/next", reviewer=reviewer)
        post(client, f"/api/reviews/{review}/answers", judgement=word, reviewer=reviewer)
    let_in(settings, "rita", "reviewer")
    rita = signed_in(settings, "rita")
    for document in (
        rita.get(f"/api/reviews/{review}").json(),
        rita.get("/api/reviews").json()["reviews"][0],
    ):
        assert (document["state"], document["task"], document["answers"]) == ("open", None, None)
        assert [document[hidden] for hidden in ("is_disputed", "labels", "asked_by")] == [None] * 3
    assert client.get(f"/api/reviews/{review}").json()["answers"] == 2
    assert rita.get("/api/reviews?task=17").json() == {"reviews": []}  # nor by asking for each task
    assert len(client.get("/api/reviews?task=17").json()["reviews"]) == 1


def test_a_reviewer_of_one_team_judges_and_sees_the_work_of_that_team(
    client: TestClient, settings: Settings
) -> None:
    pytest.importorskip("argon2", reason="needs the web extra")
    made = {
        team: post(client, "/api/reviews", task=f"of {team}", output="x", labels={"team": team}, reviewers=1)
        for team in ("legal", "search")
    }
    let_in(settings, "rita", "reviewer", {"team": "search"})
    rita = signed_in(settings, "rita")
    assert [one["id"] for one in rita.get("/api/reviews").json()["reviews"]] == [made["search"]["id"]]
    foreign = f"/api/reviews/{made['legal']['id']}"
    assert rita.get(foreign).status_code == 404
    taken = rita.post("/api/reviews/next", json={}).json()
    assert (taken["review"]["review"], taken["waiting"]) == (made["search"]["id"], 1)
    assert rita.post(f"{foreign}/answers", json={"judgement": "pass"}).status_code == 404
    own = f"/api/reviews/{made['search']['id']}"
    assert rita.post(f"{own}/answers", json={"judgement": "fail"}).json()["state"] == "decided"
    assert rita.post("/api/reviews/next", json={}).json() == {"review": None, "waiting": 0}
    assert rita.get("/api/reviews/agreement").json()["reviews"] == 1


def test_a_review_has_the_labels_of_its_task(client: TestClient) -> None:
    opened = {"event": "opened", "id": str(task_id(None, "e")), "task": "17", "labels": {"team": "search"}}
    assert client.post("/api/events", json={"events": [opened]}).json()["recorded"] == 1
    made = post(client, "/api/reviews", task="17", output="x", labels={"team": "mine"})
    assert made["labels"] == {"team": "search"}
