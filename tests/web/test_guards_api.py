"""Guards over HTTP: agreed, changed, looked at and removed by who may change budgets."""

from pathlib import Path

from tests.web.conftest import looking
from tests.web.lively import empty

LOOPS = {"name": "loops", "kind": "calls", "at_most": "50", "per": "task", "reason": "a loop in May"}


def test_a_guard_is_agreed_on_changed_and_removed(tmp_path: Path) -> None:
    with looking(empty(tmp_path)) as client:
        made = client.post("/api/guards", json=LOOPS)
        assert made.status_code == 201, made.text
        assert (made.json()["at_most"], made.json()["action"], made.json()["hits"]) == ("50", "stop", 0)
        frugal = {"name": "frugal", "kind": "models", "instead": {"gpt-4o": "gpt-4o-mini"}}
        assert client.post("/api/guards", json=frugal).json()["at_most"] == "90"
        changed = client.post("/api/guards/loops/change", json={"at_most": "60", "action": "throttle"}).json()
        assert (changed["at_most"], changed["action"], changed["per"]) == ("60", "throttle", "task")
        assert client.get("/api/guards/loops").json()["past"] == []
        assert client.post("/api/guards/frugal/remove", json={}).json()["removed"]
        assert [one["name"] for one in client.get("/api/guards").json()["guards"]] == ["loops"]


def test_what_cannot_be_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with looking(empty(tmp_path)) as client:
        refused = client.post("/api/guards", json={"name": "loops", "kind": "calls"})
        assert refused.status_code == 400
        assert "has no limit: write at_most" in refused.json()["detail"]
        assert client.post("/api/guards", json=LOOPS).status_code == 201
        assert client.post("/api/guards", json=LOOPS).status_code == 409
        assert client.get("/api/guards/nothing").status_code == 404
