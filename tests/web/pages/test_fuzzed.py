"""Whatever is written into an address or a form is answered or refused, and never runs as anything."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

NASTY = st.sampled_from(
    [
        "' OR 1=1 --",
        "'; DROP TABLE tasks; --",
        '"; SELECT 1; --',
        '$."x"\') FROM calls --',
        "{{ 7*7 }}",
        "{% raise %}",
        "${7*7}",
        "<img src=x onerror=alert(1)>",
        "\x00",
        "\ud800",
        "=cmd|' /C calc'!A0",
        "../../etc/passwd",
        "%s%s%n",
        "label.team",
        "team=",
        "=x",
        "path=a=b",
        "9" * 40,
        "-0",
        "1e309",
        "nan",
        "²",
        "2026-13-45",
        "0001-01-01",
        "9999-12-31",
        "",
    ]
)
TEXT = st.one_of(NASTY, st.text(max_size=30))
NAMES = st.sampled_from(
    [
        *("period", "since", "until", "compare", "filter", "zone", "by", "sort", "limit", "table", "theme"),
        *("frame", "offset", "state", "before", "kind", "all", "like", "provider", "version", "token"),
    ]
)
PATHS = st.sampled_from(
    [
        *("/", "/outcomes", "/tasks", "/spend", "/budgets", "/prices", "/audit", "/settings", "/unknown"),
        *("/actions", "/reviews", "/customers", "/spend.csv", "/tasks.json", "/overview.csv"),
        *("/overview/charts/prices.svg", "/spend/charts/spend.json", "/outcomes/charts/frontier.svg"),
    ]
)
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(path=PATHS, pairs=st.lists(st.tuples(NAMES, TEXT), max_size=3))
def test_no_address_fails_through_a_fault_of_ours(
    newcomer: TestClient, path: str, pairs: list[tuple[str, str]]
) -> None:
    query = {name: value.encode("utf-8", "replace").decode() for name, value in pairs}
    answer = newcomer.get(path, params=query)
    assert answer.status_code in (200, 303, 400, 401, 404), (path, query, answer.text[:300])
    is_page = answer.headers.get("content-type", "").startswith("text/html")
    assert not (is_page and "<img src=x" in answer.text)


@settings(QUICK, max_examples=40)
@given(text=TEXT)
def test_no_name_in_an_address_fails_through_a_fault_of_ours(newcomer: TestClient, text: str) -> None:
    part = quote(text.encode("utf-8", "replace"), safe="") or "x"
    for path in ("/tasks", "/customers", "/invoices", "/actions", "/runs", "/prices/openai"):
        answer = newcomer.get(f"{path}/{part}")
        assert answer.status_code in (200, 307, 400, 404), (path, part, answer.text[:300])
        assert "<img src=x" not in answer.text


@pytest.mark.parametrize("text", ["' OR 1=1 --", '"] = 1 OR ["', "x' UNION SELECT * FROM keys --"])
def test_a_filter_is_a_value_and_never_sql(operator: TestClient, text: str) -> None:
    for key in ("team", "path", "model", "customer"):
        answer = operator.get("/spend.json", params={"filter": f"{key}={text}", "period": "all"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["rows"] == []
