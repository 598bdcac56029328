"""Adding rates and taking sources over: appended, dated, checked for mistakes of units."""

import json
from pathlib import Path

import pytest

from flatfare.core.errors import BadInput, Conflict, StoreFailure
from flatfare.core.pricing import Rate
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.log import FileLog
from flatfare.service.costing.price_updates import (
    NewRates,
    add,
    add_exchange_rate,
    differences,
    disagreements,
    read_source,
    take_over,
)
from tests.prices.books import MemoryLog, at, book, written

NOW = at("2026-11-20T15:00:00Z")


def rate(
    of: PriceBook, provider: str, model: str, moment: int = NOW, unit: str = "input", **more: object
) -> str:
    counts = {"input": int(str(more.pop("prompt", 1)))}
    found = of.find(provider, model, moment, Circumstances(**more), counts)  # type: ignore[arg-type]
    assert isinstance(found, Found), found
    return written(found, unit)


class TestAdding:
    def test_a_model_without_a_price_gets_it_for_all_time(self) -> None:
        log = MemoryLog()
        add(log, NewRates("openai", "gpt-6-mini", {"input": "0.30", "output": "1.20"}), NOW)
        assert rate(PriceBook.standard(log), "openai", "gpt-6-mini", at("2026-01-01")) == "0.30"

    def test_the_same_again_without_a_day_is_a_no_op(self) -> None:
        log = MemoryLog()
        new = NewRates("openai", "gpt-6-mini", {"input": "0.30"})
        assert add(log, new, NOW).is_new
        assert not add(log, new, NOW + 60_000_000).is_new
        assert add(log, NewRates("openai", "gpt-6-mini", {"input": "0.40"}), NOW + 60_000_000).is_new
        assert add(log, new, NOW + 120_000_000).is_new  # it went back

    def test_a_rate_from_a_past_day_is_refused_unless_it_corrects(self) -> None:
        log = MemoryLog()
        new = NewRates("openai", "gpt-4o", {"input": "2.40"}, starts="2026-01-01")
        with pytest.raises(Conflict, match="would re-price the past"):
            add(log, new, NOW)
        add(log, new, NOW, may_correct=True)
        assert rate(PriceBook.standard(log), "openai", "gpt-4o", at("2026-02-01")) == "2.40"

    def test_a_mistake_of_units_is_refused(self) -> None:
        with pytest.raises(BadInput, match="priced per million"):
            add(MemoryLog(), NewRates("openai", "gpt-4o", {"input": "0.0000025"}), NOW)
        with pytest.raises(BadInput, match="--allow-jump"):
            add(MemoryLog(), NewRates("openai", "new-model", {"input": "25000"}), NOW)

    def test_terms_hold_for_every_model_of_a_provider(self) -> None:
        log = MemoryLog()
        add(log, NewRates("openai", "*", times="0.8", units="all", organisation="acme"), NOW)
        found = PriceBook.standard(log)
        assert rate(found, "openai", "gpt-4o", NOW, organisation="acme") == "2.00"
        assert rate(found, "openai", "gpt-4o", NOW) == "2.50"

    def test_a_deployment_is_the_same_as_a_model(self) -> None:
        log = MemoryLog()
        add(log, NewRates("azure", "chat-prod", same_as="openai/gpt-4o"), NOW)
        assert rate(PriceBook.standard(log), "azure", "chat-prod", at("2026-01-01")) == "2.50"
        named = PriceBook.standard(deployments={"Chat-Prod": "gpt-4o"})
        assert rate(named, "azure", "chat-prod") == "2.50"

    def test_an_own_server_is_free(self) -> None:
        log = MemoryLog()
        add(log, NewRates("local", "*", is_free=True), NOW)
        assert rate(PriceBook.standard(log), "local", "llama-4") == "0.00"

    def test_what_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(BadInput, match="where a billable unit was expected"):
            add(MemoryLog(), NewRates("openai", "x", {"inptu": "1"}), NOW)

    def test_an_exchange_rate_is_dated(self) -> None:
        log = MemoryLog()
        add_exchange_rate(log, "eur", "1.08", "2026-11-01", "bank", NOW)
        exchange = PriceBook.standard(log).exchange
        assert exchange.at("EUR", NOW) is not None
        assert exchange.at("EUR", at("2026-10-31")) is None
        with pytest.raises(BadInput):
            add_exchange_rate(log, "eur", "-1", None, None, NOW)


class TestFile:
    def test_lines_survive(self, tmp_path: Path) -> None:
        log = FileLog(tmp_path / "deep" / "prices.jsonl")
        add(log, NewRates("openai", "a", {"input": "1"}), NOW)
        add(log, NewRates("openai", "b", {"input": "2"}), NOW)
        assert [line["model"] for line in FileLog(log.path).lines()] == ["a", "b"]

    def test_a_line_that_cannot_be_read_stops_the_reading(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.jsonl"
        path.write_text('{"provider":"p","model":"m"}\n{"provi\n', encoding="utf-8")
        with pytest.raises(BadInput, match="Line 2 of the price log"):
            FileLog(path).lines()

    def test_a_log_that_cannot_be_written_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        with pytest.raises(StoreFailure, match="cannot be written"):
            FileLog(tmp_path / "file" / "prices.jsonl").append([{"provider": "p", "model": "m"}])


SHIPPED = "{provider: p, models: {m: {prices: [{rates: {input: '2.00', output: '8.00'}}]}}}"


def source(*statements: dict[str, object], model: str = "m", **entry: object) -> dict[str, dict[str, object]]:
    return {
        "p": {
            "provider": "p",
            "source": "elsewhere",
            "models": {model: {"prices": list(statements), **entry}},
        }
    }


class TestTakingOver:
    def test_the_installed_source_says_nothing_new_at_first(self) -> None:
        assert differences(PriceBook.standard(), read_source("genai-prices"), NOW) == []

    def test_a_changed_rate_shows_and_holds_from_now(self) -> None:
        log = MemoryLog()
        changes = differences(
            book(shipped=SHIPPED), source({"rates": {"input": "1.00", "output": "8.00"}}), NOW
        )
        assert [(change.unit, change.before, change.after) for change in changes] == [
            ("input", Rate(2_000_000_000), Rate(1_000_000_000))
        ]
        assert take_over(log, changes, NOW) == 1
        (line,) = log.lines()
        assert (line["from"], line["rates"], line["trust"]) == (
            "2026-11-20T15:00:00Z",
            {"input": "1.00"},
            "imported",
        )

    def test_a_taken_over_rate_leaves_the_past_and_reviewed_data(self) -> None:
        log = MemoryLog()
        content = {
            "openai": {
                "provider": "openai",
                "source": "x",
                "models": {
                    "gpt-4.1": {"prices": [{"rates": {"input": "1.00"}}]},
                    "gpt-4o-2024-08-06": {"prices": [{"rates": {"input": "1.00"}}]},
                },
            }
        }
        take_over(log, differences(PriceBook.standard(), content, NOW), NOW)
        after = PriceBook.standard(log)
        assert rate(after, "openai", "gpt-4.1", NOW - 1) == "2.00"
        assert rate(after, "openai", "gpt-4.1", NOW) == "1.00"
        assert rate(after, "openai", "gpt-4o-2024-08-06", NOW) == "2.50"  # reviewed
        assert differences(after, content, NOW) == []

    def test_a_future_rate_keeps_its_day(self) -> None:
        log = MemoryLog()
        changes = differences(
            book(shipped=SHIPPED), source({"from": "2027-01-01", "rates": {"input": "1.50"}}), NOW
        )
        take_over(log, changes, NOW)
        assert log.lines()[0]["from"] == "2027-01-01"

    def test_a_past_day_is_kept_only_when_backdating(self) -> None:
        log = MemoryLog()
        changes = differences(
            book(shipped=SHIPPED), source({"from": "2026-11-01", "rates": {"input": "1.5"}}), NOW
        )
        take_over(log, changes, NOW, backdate=True)
        assert log.lines()[0]["from"] == "2026-11-01"

    def test_a_jump_is_refused_and_nothing_is_appended(self) -> None:
        log = MemoryLog()
        changes = differences(book(shipped=SHIPPED), source({"rates": {"input": "2000", "output": "7"}}), NOW)
        with pytest.raises(BadInput, match="The first is 'input' of p/m"):
            take_over(log, changes, NOW)
        assert log.lines() == ()
        assert take_over(log, changes, NOW, may_jump=True) == 1

    @pytest.mark.parametrize("amount", ["0", "0.002", "2000"])
    def test_a_thousandfold_and_zero_are_jumps(self, amount: str) -> None:
        (change,) = differences(book(shipped=SHIPPED), source({"rates": {"input": amount}}), NOW)
        assert change.is_jump

    def test_hours_come_with_their_window(self) -> None:
        log = MemoryLog()
        window = {"hours": ["01:00-02:00"]}
        content = source({"rates": {"input": "2"}}, {"when": {"during": "night"}, "rates": {"input": "1"}})
        content["p"]["windows"] = {"night": window}
        take_over(log, differences(book(), content, NOW), NOW)
        found = PriceBook.standard(log)
        assert rate(found, "p", "m", at("2026-11-21T01:30:00Z")) == "1.00"
        assert rate(found, "p", "m", at("2026-11-21T03:30:00Z")) == "2.00"


def test_sources_that_disagree_are_named() -> None:
    found = book("{provider: p, models: {m: {prices: [{rates: {input: '3.00', output: '8'}}]}}}", SHIPPED)
    said = disagreements(found, "p", "m", NOW, Circumstances(), {"input": 1})
    assert [(item.unit, item.rate.amount_nano, item.counts) for item in said] == [
        ("input", 3_000_000_000, True),
        ("input", 2_000_000_000, False),
    ]


LITELLM = {
    "sample_spec": {"litellm_provider": "one of …", "input_cost_per_token": 0.0},
    "gemini/gemini-9": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "input_cost_per_token": 1.25e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-07,
        "input_cost_per_token_above_200k_tokens": 2.5e-06,
        "input_cost_per_token_batches": 6.25e-07,
        "input_cost_per_token_above_200k_tokens_batches": 1.25e-06,
        "cache_creation_input_token_cost_above_1hr": 2.5e-06,
    },
    "bedrock/eu-west-1/anthropic.claude-9": {
        "litellm_provider": "bedrock",
        "mode": "chat",
        "input_cost_per_token": 3.3e-06,
    },
    "deepseek/ds-9": {
        "litellm_provider": "deepseek",
        "mode": "chat",
        "input_cost_per_token": 3e-07,
        "off_peak_pricing": {
            "input_cost_per_token": 1.5e-07,
            "windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}],
        },
    },
    "hear-9": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
    "mystery": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0,
    },
}


def imported(tmp_path: Path, document: object, name: str = "prices.json") -> PriceBook:
    path = tmp_path / name
    path.write_text(json.dumps(document) if name.endswith("json") else str(document), encoding="utf-8")
    log = MemoryLog()
    take_over(log, differences(PriceBook.standard(), read_source(str(path)), NOW), NOW)
    return PriceBook.standard(log)


def test_litellms_file_is_read(tmp_path: Path) -> None:
    found = imported(tmp_path, LITELLM)
    assert rate(found, "gemini", "gemini-9") == "1.25"
    assert rate(found, "gemini", "gemini-9", unit="cache_write_1h") == "2.50"
    assert rate(found, "gemini", "gemini-9", prompt=200_001) == "2.50"
    assert rate(found, "gemini", "gemini-9", tier="batch") == "0.625"
    assert rate(found, "gemini", "gemini-9", tier="batch", prompt=200_001) == "1.25"
    assert rate(found, "bedrock", "anthropic.claude-9", region="eu-west-1") == "3.30"
    assert rate(found, "deepseek", "ds-9", at("2026-11-20T12:00:00Z")) == "0.30"
    assert rate(found, "deepseek", "ds-9", at("2026-11-21T12:00:00Z")) == "0.15"
    assert rate(found, "openai", "hear-9", unit="input_audio_second") == "0.0001 per 1"
    assert "No price" in str(found.find("openai", "mystery", NOW))


def test_models_devs_file_is_read(tmp_path: Path) -> None:
    document = {
        "google": {
            "id": "google",
            "models": {
                "gemini-9": {
                    "cost": {
                        "input": 1.25,
                        "output": 10,
                        "cache_read": 0.31,
                        "context_over_200k": {"input": 2.5},
                    }
                },
                "gemini-10": {
                    "cost": {
                        "input": 2,
                        "output": 12,
                        "tiers": [{"input": 4, "tier": {"type": "context", "size": 200_000}}],
                    }
                },
                "unpriced": {"cost": {"input": 0, "output": 0}},
            },
        }
    }
    found = imported(tmp_path, document)
    assert rate(found, "gemini", "gemini-9", unit="cache_read") == "0.31"
    assert rate(found, "gemini", "gemini-9", prompt=200_000) == "1.25"
    assert rate(found, "gemini", "gemini-9", prompt=200_001) == "2.50"
    assert rate(found, "gemini", "gemini-10", prompt=200_000) == "4.00"
    assert "No price" in str(found.find("gemini", "unpriced", NOW))


def test_our_own_form_is_read(tmp_path: Path) -> None:
    text = "{provider: newcomer, source: their page, models: {x: {prices: [{rates: {input: '0.10'}}]}}}"
    assert rate(imported(tmp_path, text, "newcomer.yaml"), "newcomer", "x") == "0.10"


@pytest.mark.parametrize("text", ["[1]", "{}", "{", '{"a": {"b": 1}}'])
def test_what_is_no_source_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "strange.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        read_source(str(path))
