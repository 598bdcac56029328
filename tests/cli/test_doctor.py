"""``flatfare doctor`` as a person uses it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flatfare.cli.root import root
from flatfare.service.budgets.tier_advice import CALLS_MIN
from tests.store.rows import call, place, write

OPENAI = "openai: {base_url: https://api.openai.com/v1, api_key: k}"


@pytest.mark.parametrize(
    ("providers", "is_advised"),
    [
        (OPENAI, True),
        ("ours: {base_url: https://api.openai.com/v1, api_key: k, dialect: openai}", True),
        (OPENAI.replace("}", ", default_tier: priority}"), False),
        (f"{OPENAI}, other: {{base_url: https://api.openai.com/v1, dialect: openai}}", False),
        ("anthropic: {base_url: https://api.anthropic.com, api_key: k}", False),
    ],
)
def test_a_setting_is_suggested_for_the_provider_of_which_nobody_said_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, providers: str, is_advised: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flatfare.yaml").write_text(f"providers: {{{providers}}}\n")
    book, _ = place(tmp_path)
    told = {"service_tier": "default", "status": "ok", "traits": '{"tier":"unsaid"}'}
    write(book, [call(number, **told) for number in range(CALLS_MIN)])
    book.close()
    result = CliRunner().invoke(root, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    found = [one for one in json.loads(result.stdout)["findings"] if one["check"] == "budgets"]
    assert bool(found) == is_advised
    if found:
        assert found[0]["severity"] == "note"
        assert "default_tier: standard" in found[0]["todo"]
        assert providers.partition(":")[0] in found[0]["todo"]
