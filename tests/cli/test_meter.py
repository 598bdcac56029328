"""``flatfare meter`` as other programs call it: one document or lines, CSV, and what is a failure."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli.root import root
from flatfare.core.errors import BadInput, BadUsage

KNOWN = {
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "created": 1750000000,
    "choices": [],
    "usage": {
        "prompt_tokens": 2000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 1024},
    },
}


def metered(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["meter", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "known.json").write_text(json.dumps(KNOWN), encoding="utf-8")
    (tmp_path / "unknown.json").write_text(json.dumps({**KNOWN, "model": "nobody-1"}), encoding="utf-8")
    return tmp_path


def test_a_cost_that_cannot_be_known_is_an_answer_and_no_failure(folder: Path) -> None:
    told = metered("--json", str(folder / "unknown.json"))
    assert told.exit_code == 0
    cost = json.loads(told.stdout)["cost"]
    assert (cost["amount"], cost["state"]) == (None, "unknown")
    assert "nobody-1" in cost["reason"]


def test_what_cannot_be_read_is_a_failure_and_a_wrong_option_is_wrong_usage(folder: Path) -> None:
    assert isinstance(metered("--json", str(folder / "none.json")).exception, BadInput)
    assert isinstance(metered("--at", "yesterday", str(folder / "known.json")).exception, BadUsage)


def test_csv_has_a_row_for_each_response_with_its_digits(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(metered("--csv", str(folder)).stdout)))
    assert [(row["usage"], row["cost"], row["state"]) for row in rows] == [
        ("input=976 cache_read=1024 output=500", "0.008720000", "measured"),
        ("input=976 cache_read=1024 output=500", "", "unknown"),
    ]


def test_amounts_in_several_currencies_are_not_summed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for model, currency in (("yuan", "CNY"), ("dollars", "USD")):
        added = [
            "prices",
            "add",
            f"dashscope/{model}",
            "--input",
            "4",
            "--output",
            "4",
            "--currency",
            currency,
        ]
        assert CliRunner().invoke(root, added).exit_code == 0
        (folder / f"{model}.json").write_text(json.dumps({**KNOWN, "model": model}), encoding="utf-8")

    def said(*names: str) -> list[str]:
        return metered("--provider", "alibaba", *(f"{name}.json" for name in names)).stdout.splitlines()

    assert said("dollars", "yuan", "yuan")[-1] == "3 responses, $0.010000000 and 0.020000000 CNY"
    assert said("yuan", "yuan", "unknown")[-1] == "3 responses, 0.020000000 CNY, at least: 1 unknown"
    title, *lines = said("dollars", "yuan")
    assert "USD" not in title
    assert ["CNY" in line for line in lines[:2]] == [False, True]


def test_what_is_not_known_at_all_is_no_sum_of_nothing(folder: Path) -> None:
    unknown, known = (str(folder / f"{name}.json") for name in ("unknown", "known"))
    assert metered(unknown, unknown).stdout.splitlines()[-1] == "2 responses, —: 2 unknown"
    assert metered(known, unknown).stdout.splitlines()[-1] == "2 responses, $0.008720000, at least: 1 unknown"
    assert metered(known, known).stdout.splitlines()[-1] == "2 responses, $0.017440000"
