"""``flatfare keys`` prints a secret once and never again, and says what it did."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import BadUsage


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "b.db")


def run(database: str, *arguments: str) -> Result:
    return CliRunner().invoke(root, ["keys", *arguments, "--database", database])


def test_create_prints_the_id_and_the_key_once(database: str) -> None:
    made = run(database, "create", "--name", "web", "--label", "team=search", "--expires", "90d", "--json")
    issued = json.loads(made.stdout)
    assert set(issued) == {"id", "key"}
    assert issued["key"].startswith("ff_")
    for shape in ("--json", "--csv", "--table"):
        listed = run(database, "list", "--all", shape)
        assert issued["id"] in listed.output
        assert issued["key"][8:] not in listed.output


def test_the_plain_form_prints_the_secret_alone_on_stdout(database: str) -> None:
    made = run(database, "create", "--name", "web")
    assert made.stdout.strip().startswith("ff_")
    assert len(made.stdout.split()) == 1
    assert "not shown again" in made.stderr


def test_a_listed_key_says_what_it_may_do(database: str) -> None:
    run(
        database,
        *("create", "--name", "web", "--allow-model", "gpt-5*", "--allow-provider", "openai"),
        *("--requests-per-minute", "60", "--tokens-per-minute", "1000", "--concurrent", "4"),
        *("--project", "shop", "--expires", "2030-01-01"),
    )
    (row,) = [json.loads(line) for line in run(database, "list", "--json").stdout.splitlines()]
    assert row["state"] == "active"
    assert row["allowed_models"] == ["gpt-5*"]
    assert row["allowed_providers"] == ["openai"]
    assert (row["requests_per_minute"], row["tokens_per_minute"], row["concurrent"]) == (60, 1000, 4)
    assert row["expires"] == "2030-01-01T00:00:00Z"


def test_rotate_lets_both_secrets_live_for_the_overlap(database: str) -> None:
    first = run(database, "create", "--name", "web", "--json").stdout
    second = run(database, "rotate", "web", "--overlap", "2h", "--json").stdout
    assert json.loads(first)["id"] == json.loads(second)["id"]
    assert json.loads(first)["key"] != json.loads(second)["key"]
    (row,) = [json.loads(line) for line in run(database, "list", "--json").stdout.splitlines()]
    assert [secret["ends"] is None for secret in row["secrets"]] == [False, True]


def test_a_revoked_key_is_listed_only_on_request(database: str) -> None:
    run(database, "create", "--name", "web")
    assert "is revoked" in run(database, "revoke", "web", "--reason", "leaked").output
    assert run(database, "list", "--json").stdout == ""
    assert json.loads(run(database, "list", "--all", "--json").stdout)["state"] == "revoked"


def test_disable_names_how_to_undo_it(database: str) -> None:
    run(database, "create", "--name", "web")
    assert "flatfare keys enable key_" in run(database, "disable", "web").output
    assert "is enabled" in run(database, "enable", "web").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--name", "web", "--expires", "soon"),
        ("create", "--name", "web", "--concurrent", "0"),
        ("rotate", "web", "--overlap", "1 fortnight"),
        ("create",),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(database: str, arguments: tuple[str, ...]) -> None:
    assert run(database, *arguments).exit_code == 2


def test_a_label_without_a_value_is_refused(database: str) -> None:
    result = run(database, "create", "--name", "web", "--label", "team")
    assert isinstance(result.exception, BadUsage)
    assert "key=value" in str(result.exception)


def test_a_window_that_is_none_is_wrong_usage(database: str) -> None:
    result = run(database, "create", "--name", "web", "--budget", "5.00", "--per", "fortnight")
    assert isinstance(result.exception, BadUsage)
    assert run(database, "list", "--json").stdout == ""
