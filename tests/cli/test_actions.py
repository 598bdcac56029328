"""``flatfare actions``: checked, published, shown, compared, run and priced by command."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flatfare.cli import main as face
from flatfare.cli.root import root
from flatfare.core.errors import BadUsage
from tests.runner.batch_rig import answering
from tests.runner.rig import EMAIL, EXAMPLES, Model, provided

_ = face


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(EXAMPLES, tmp_path / "actions")
    return tmp_path


def flatfare(*words: str, ends: int = 0) -> Result:
    result = CliRunner().invoke(root, words)
    assert result.exit_code == ends, (result.output, result.exception)
    return result


def served(folder: Path, port: int) -> None:
    (folder / "flatfare.yaml").write_text(
        json.dumps(
            {"listen": "127.0.0.1:0", "providers": {"openai": {"base_url": f"http://127.0.0.1:{port}/v1"}}}
        )
    )


def test_every_example_can_be_published(folder: Path) -> None:
    files = [str(file) for file in sorted((folder / "actions").glob("*.yaml"))]
    assert "6 files can be published." in flatfare("actions", "check", *files).stderr
    for file in files:
        flatfare("actions", "publish", file)
        flatfare("actions", "publish", file)
    rows = [json.loads(line) for line in flatfare("actions", "list", "--json").stdout.splitlines()]
    assert [row["name"] for row in rows][:2] == ["contract-review", "invoice-extraction"]
    assert "5.00 USD per verified outcome" in flatfare("actions", "list").stdout


def test_a_version_is_published_from_a_day_to_come(folder: Path) -> None:
    file = folder / "actions" / "names-and-dates.yaml"
    flatfare("actions", "publish", str(file))
    file.write_text(file.read_text().replace("version: 1", "version: 2").replace('"1.00"', '"2.00"'))
    said = flatfare("actions", "publish", str(file), "--from", "2100-01-01").stdout
    assert "2.00 USD per verified outcome, from 2100-01-01T00:00:00Z on." in said
    listed = flatfare("actions", "list").stdout
    assert "names-and-dates version 2: 2.00 USD per verified outcome, from 2100-01-01T00:00:00Z on." in listed
    assert 'per_verified: "1.00"' in flatfare("actions", "show", "names-and-dates").stdout.replace(
        'price: "1.00"', 'per_verified: "1.00"'
    )
    assert "It is to come" in flatfare("actions", "show", "names-and-dates", "--version", "2").stderr
    other = CliRunner().invoke(root, ["actions", "publish", str(file), "--from", "2101-01-01"])
    assert "was published to hold from 2100-01-01" in str(other.exception)
    file.write_text(file.read_text().replace("version: 2", "version: 3"))
    late = CliRunner().invoke(root, ["actions", "publish", str(file), "--from", "2020-01-01"])
    assert "what has passed keeps its version" in str(late.exception)


def test_a_run_that_was_refused_stands_in_the_list_with_the_reason(folder: Path) -> None:
    flatfare("actions", "publish", "actions/word-count.yaml")
    flatfare("customers", "create", "broke")
    words = ("actions", "run", "word-count", "--input", '{"text": "a b a"}')
    why = str(CliRunner().invoke(root, [*words, "--customer", "broke"]).exception)
    assert "Top it up" in why
    (run,) = (json.loads(line) for line in flatfare("actions", "runs", "--json").stdout.splitlines())
    assert (run["state"], run["ending"], run["reason"]) == ("refused", None, why)
    assert f"{run['id']} was refused: {why}\n" in flatfare("actions", "runs").stdout
    said = flatfare("actions", "receipt", run["id"]).stdout
    assert said.startswith(f"word-count version 1: refused: {why}\n")
    assert "0 waiting" in flatfare("actions", "recover").stdout


def test_a_command_is_sold_without_a_model_and_without_a_gateway(folder: Path) -> None:
    flatfare("actions", "publish", "actions/word-count.yaml")
    result = flatfare("actions", "run", "word-count", "--input", '{"text": "a b a"}', "--json")
    run = json.loads(result.stdout)
    assert (run["outcome"], run["output"]["words"]) == ("verified", 3)
    assert flatfare("actions", "receipt", run["id"]).stdout.startswith("word-count version 1: verified")
    assert run["id"] in flatfare("actions", "runs").stdout


def test_a_paid_run_an_unpaid_one_and_an_unverified_one(folder: Path) -> None:
    (folder / "mail.txt").write_text(EMAIL)
    flatfare("actions", "publish", "actions/names-and-dates.yaml")
    flatfare("customers", "create", "acme")
    flatfare("customers", "top-up", "acme", "10")
    model = Model()
    with provided(model) as port:
        served(folder, port)
        words = ("actions", "run", "names-and-dates", "--input", "mail.txt")
        paid = flatfare(*words, "--customer", "acme")
        assert "billed 1.00 USD (settled)" in paid.stderr
        assert "cost $0.000035, margin $1.00\n" in paid.stderr
        assert json.loads(paid.stdout)["people"][0] == "Ann Smith"
        assert "billed 0.00 USD (none)" in flatfare(*words).stderr
        model.always = "quote"
        failed = flatfare(*words, "--customer", "acme", ends=1)
        assert "billed 0.00 USD (voided)" in failed.stderr
        assert "does not stand in the source" in failed.stderr


def test_rows_are_run_in_batches_and_progress_is_told(folder: Path) -> None:
    provider = answering(Model())
    with provided(provider) as port:
        served(folder, port)
        flatfare("actions", "publish", "actions/names-and-dates.yaml")
        (folder / "in.csv").write_text(f'id,email\na,"{EMAIL}"\nb,"{EMAIL} again"\n')
        words = ("actions", "run", "names-and-dates", "--bulk", "in.csv", "--batch", "--out", "out.jsonl")
        result = flatfare(*words)
        assert result.stdout == "2 verified\n"
        assert "batch 1: 2 sent\nbatch 1: 2 of 2 done\n" in result.stderr
        assert flatfare(*words).stdout == "2 known\n"
        assert len(provider.batches) == 1


def test_batches_are_for_bulk_runs(folder: Path) -> None:
    flatfare("actions", "publish", "actions/names-and-dates.yaml")
    result = flatfare("actions", "run", "names-and-dates", "--batch", "--input", "{}", ends=1)
    assert isinstance(result.exception, BadUsage)
    assert "--batch is for many rows" in str(result.exception)


def test_rows_are_run_in_bulk_and_a_job_goes_on_where_it_stopped(folder: Path) -> None:
    (folder / "in.csv").write_text(
        'id,email\na,"Dear Ann Smith, on 12 May 2026"\nb,\nc,"Ann Smith, 12 May 2026",x\n'
    )
    flatfare("actions", "publish", "actions/names-and-dates.yaml")
    model = Model()
    with provided(model) as port:
        served(folder, port)
        words = ("actions", "run", "names-and-dates", "--bulk", "in.csv", "--out", "out.jsonl", "--json")
        first = json.loads(flatfare(*words).stdout)
        assert first["counts"] == {"failed": 1, "rejected": 2}
        rejects = [json.loads(line) for line in Path("out.rejects.jsonl").read_text().splitlines()]
        assert {one["row"] for one in rejects} == {"b", "c"}
        asked = len(model.asked)
        assert json.loads(flatfare(*words).stdout)["counts"] == {"known": 3}
        assert len(model.asked) == asked


def test_advice_on_a_price_from_a_trial_on_sample_inputs(folder: Path) -> None:
    rows = [json.dumps({"id": str(n), "input": {"email": f"{EMAIL} {n}"}}) for n in range(25)]
    (folder / "in.jsonl").write_text("\n".join(rows))
    flatfare("actions", "publish", "actions/names-and-dates.yaml")
    model = Model(chances={"quote": 0.3}, only_models=("gpt-5-nano",))
    with provided(model) as port:
        served(folder, port)
        found = json.loads(
            flatfare("actions", "price", "names-and-dates", "--sample", "in.jsonl", "--json").stdout
        )
    assert (found["runs"], found["verified"], found["fit"]) == (25, 25, "fit")
    assert {one["choice"] for one in found["ladders"]} == {"low cost", "balanced", "high accuracy"}
    assert found["ladders"][2]["rungs"] in (["low", "high"], ["high"])
    assert len(model.asked) == 50
    assert flatfare("actions", "price", "names-and-dates").stdout.startswith(
        "names-and-dates: not enough runs to say (0 runs"
    )


def test_what_is_wrong_is_said_by_line_and_ends_with_one(folder: Path) -> None:
    text = Path("actions/names-and-dates.yaml").read_text()
    Path("a.yaml").write_text(text.replace("/as_written", "/as_spoken"))
    result = flatfare("actions", "check", "a.yaml", ends=1)
    assert result.stdout == (
        "a.yaml:38: The verifier 'stand-in-the-email' can never pass: the output never has 'as_spoken'.\n"
    )
    flatfare("actions", "publish", "a.yaml", ends=1)


@pytest.mark.parametrize(
    ("former", "new", "said"),
    [
        (
            'price: "1.00"',
            'price: "0.000001"',
            "The price is below any possible cost: one attempt costs at least",
        ),
        ('price: "1.00"', 'price: "0.05"', "A run may cost up to $0.1000 and earns $0.0500"),
        ("openai/gpt-5-nano", "openai/gpt-99-unheard-of", "The model of 'low' has no price"),
        ('price: "1.00"', 'price: {currency: EUR, per_verified: "1"}', "The price is in EUR and models cost"),
    ],
)
def test_what_is_unwise_is_said(folder: Path, former: str, new: str, said: str) -> None:
    text = Path("actions/names-and-dates.yaml").read_text()
    assert former in text
    Path("a.yaml").write_text(text.replace(former, new))
    assert said in flatfare("actions", "check", "a.yaml").stderr


def test_what_changed_from_one_version_to_the_next(folder: Path) -> None:
    flatfare("actions", "publish", "actions/names-and-dates.yaml")
    text = Path("actions/names-and-dates.yaml").read_text()
    Path("b.yaml").write_text(text.replace("version: 1", "version: 2").replace('"1.00"', '"1.20"'))
    lines = flatfare("actions", "diff", "names-and-dates", "b.yaml").stdout.splitlines()
    assert lines == ["version: 1 → 2", "price.per_verified: '1.00' → '1.20'"]
    flatfare("actions", "publish", "b.yaml")
    assert "1.20 USD" in flatfare("actions", "list").stdout
    assert os.path.exists("flatfare.db")
