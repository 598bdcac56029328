"""Calls as exports write them become leaves, costs and keys, or say why not."""

import json

import pytest

from flatfare.core.errors import BadInput, BadUsage
from flatfare.core.identity import derived
from flatfare.prices.book import PriceBook
from flatfare.service.costing.price_versions import rates_in, told
from tests.service.importing.bringing import Place

LEAVES = "input, cache_read, cache_write, output, reasoning"


def leaves(place: Place, content: str, name: str = "given.csv", **asked: object) -> tuple[object, ...]:
    """The leaves of the only call of a file."""
    result = place.text("calls", content, name, at_us=1, **asked)
    assert result.rejected == 0, result.first_reasons
    return place.row(f"SELECT {LEAVES} FROM calls")


def test_openai_counts_what_was_cached_inside_the_prompt(place: Place) -> None:
    row = {
        "model": "gpt-4o",
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
    }
    assert leaves(place, json.dumps(row), "given.jsonl") == (400, 600, None, 30, 20)


def test_anthropic_counts_what_was_cached_beside_the_input(place: Place) -> None:
    text = (
        "model,input_tokens,cache_read_input_tokens,cache_creation_input_tokens,output_tokens\n"
        "claude-sonnet-4-5,100,600,50,7\n"
    )
    assert leaves(place, text) == (100, 600, 50, 7, None)


def test_litellm_counts_cache_reads_inside_its_prompt_tokens(place: Place) -> None:
    text = "model,prompt_tokens,cache_read_input_tokens,completion_tokens\nclaude-sonnet-4-5,1000,600,7\n"
    assert leaves(place, text) == (400, 600, None, 7, None)


def test_opentelemetry_counts_cache_reads_inside_its_input_tokens(place: Place) -> None:
    row = {
        "attributes": {
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.output_tokens": 7,
        }
    }
    assert leaves(place, json.dumps(row), "given.jsonl") == (400, 600, None, 7, None)


def attribute(name: str, **value: object) -> dict[str, object]:
    return {"key": name, "value": value}


def batch_of(*spans: dict[str, object]) -> dict[str, object]:
    """Spans as OpenTelemetry's exporters write them."""
    resource = {"attributes": [attribute("deployment.environment", stringValue="prod")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": list(spans)}]}]}


def span(operation: str, span_id: str) -> dict[str, object]:
    return {
        "traceId": "t1",
        "spanId": span_id,
        "name": operation,
        "startTimeUnixNano": "1790848800000000000",
        "endTimeUnixNano": "1790848802000000000",
        "status": {"code": 2 if span_id == "b" else 1},
        "attributes": [
            attribute("gen_ai.operation.name", stringValue=operation),
            attribute("gen_ai.provider.name", stringValue="openai"),
            attribute("gen_ai.response.model", stringValue="gpt-4o-2024-08-06"),
            attribute("gen_ai.usage.input_tokens", intValue="1000"),
            attribute("gen_ai.usage.output_tokens", intValue="200"),
        ],
    }


@pytest.mark.parametrize("lines", [1, 2])
def test_opentelemetrys_own_json_is_read_span_by_span_and_an_agents_sum_is_no_call(
    place: Place, lines: int
) -> None:
    http = {"traceId": "t1", "spanId": "h", "startTimeUnixNano": "1790848800000000000", "attributes": []}
    first, second = batch_of(span("invoke_agent", "a"), span("chat", "b"), http), batch_of(span("chat", "c"))
    text = "\n".join(json.dumps(one) for one in (first, second)[:lines])
    result = place.text("calls", text, "traces.jsonl")
    assert (result.new, result.rejected) == (lines, 0)
    wanted = "external_id, status, input, output, cost_nano, labels"
    assert (
        place.rows(f"SELECT {wanted} FROM calls ORDER BY 1")
        == [
            ("b", "failed", 1000, 200, 4500000, '{"environment":"prod"}'),
            ("c", "ok", 1000, 200, 4500000, '{"environment":"prod"}'),
        ][:lines]
    )


def test_an_observation_of_a_trace_that_is_no_call_is_left_out(place: Place) -> None:
    usage = {"input": 10, "output": 2}
    rows = [
        {
            "id": "g",
            "traceId": "t",
            "type": "GENERATION",
            "startTime": "2026-10-01T10:00:00Z",
            "model": "gpt-4o",
            "usage": usage,
        },
        {
            "id": "s",
            "traceId": "t",
            "type": "SPAN",
            "startTime": "2026-10-01T10:00:00Z",
            "usage": {"input": 0, "output": 0},
        },
    ]
    result = place.text("calls", "\n".join(map(json.dumps, rows)), "observations.jsonl")
    assert (result.new, result.rejected) == (1, 0)


def test_openrouters_activity_counts_cached_and_reasoned_tokens_inside(place: Place) -> None:
    text = (
        "generation_id,tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug\n"
        "gen-1,1000,200,50,100,openai/gpt-4o-mini\n"
    )
    assert leaves(place, text) == (900, 100, None, 150, 50)


def test_anthropics_usage_export_counts_what_was_cached_beside_the_rest(place: Place) -> None:
    text = (
        "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_read,usage_output_tokens,web_search_count\n"
        "2026-10-01,claude-sonnet-4-5-20250929,100,10,30,40,0\n"
    )
    assert leaves(place, text) == (100, 30, None, 40, None)
    assert place.row("SELECT cache_write_5m, cost_nano FROM calls") == (10, 946_500)


def test_langfuse_gives_parts_that_do_not_overlap(place: Place) -> None:
    row = {
        "providedModelName": "gpt-4o",
        "usageDetails": {"input": 400, "input_cached_tokens": 600, "output": 9},
    }
    assert leaves(place, json.dumps(row), "given.jsonl") == (400, 600, None, 9, None)


def test_openrouter_bills_native_tokens(place: Place) -> None:
    text = "model_permaslug,tokens_prompt,native_tokens_prompt,tokens_completion,native_tokens_completion\n"
    text += "x/y,1,10,2,20\n"
    assert leaves(place, text) == (10, None, None, 20, None)


def test_the_order_says_how_counts_overlap(place: Place) -> None:
    text = "model,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens\nm,100,600,5,9\n"
    fixed = {"cached": "outside", "reasoning": "outside"}
    assert leaves(place, text, fixed=fixed) == (100, 600, None, 5, 9)


def test_more_cached_than_prompted_is_refused(place: Place) -> None:
    result = place.text("calls", "model,prompt_tokens,cached_tokens\nm,5,7\n", at_us=1)
    assert (result.new, result.rejected) == (0, 1)
    assert "Found 7 cached tokens in a prompt of 5" in place.rejects()
    assert "--set cached=outside" in place.rejects()


@pytest.mark.parametrize(
    ("cost", "nano", "digits"),
    [
        ("0.5", 500_000_000, None),
        ("$1,234.50", 1_234_500_000_000, None),
        ("3.06e-05", 30_600, None),
        ("USD 2", 2_000_000_000, None),
        ("0.0000000125", 12, "0.0000000125"),  # half to even
        ("0.0000000135", 14, "0.0000000135"),
        ("0.00000001250000000000000001", 13, "0.00000001250000000000000001"),  # past what a double holds
        ("0.0013917400000000003", 1_391_740, "0.0013917400000000003"),
        ("$0.000000001", 1, None),
        ("999999.999999999", 999_999_999_999_999, None),
    ],
)
def test_a_cost_is_read_to_the_nano_dollar(place: Place, cost: str, nano: int, digits: str | None) -> None:
    place.text("calls", f'model;prompt_tokens;completion_tokens;cost\nm;1;1;"{cost}"\n', at_us=1)
    assert place.row("SELECT reported_nano, reported_digits, cost_nano, cost_basis FROM calls") == (
        nano,
        digits,
        nano,
        "reported",
    )


@pytest.mark.parametrize(
    ("cost", "why"),
    [
        ("-0.01", "a cost is never below zero"),
        ("abc", "an amount of money was expected"),
        ("1e99", "no sum of money has that size"),
        ("0,125", "--decimal-comma"),
    ],
)
def test_what_is_no_cost_is_refused(place: Place, cost: str, why: str) -> None:
    result = place.text("calls", f'prompt_tokens\tcost\n1\t"{cost}"\n', at_us=1)
    assert result.rejected == 1
    assert why in place.rejects()


def test_a_decimal_comma_is_noticed_in_a_semicolon_file(place: Place) -> None:
    place.text("calls", "prompt_tokens;completion_tokens;Cost\n1;1;0,125\n1;1;0,5\n", at_us=1)
    assert place.row("SELECT SUM(reported_nano) FROM calls") == (625_000_000,)


def test_another_currency_needs_its_rate(place: Place) -> None:
    text = "prompt_tokens,completion_tokens,cost,currency\n1,1,2.00,EUR\n"
    place.text("calls", text, at_us=1)
    assert place.row("SELECT cost_nano, original_nano, original_currency FROM calls") == (
        None,
        2 * 10**9,
        "EUR",
    )
    assert "--exchange EUR=RATE@DATE" in str(place.row("SELECT cost_reason FROM calls")[0])


def test_another_currency_keeps_its_amount_beside(place: Place) -> None:
    from flatfare.cli.import_ import _exchange

    exchange = dict([_exchange("EUR=1.0832@2026-11-01")])
    place.text("calls", "prompt_tokens,completion_tokens,Cost (EUR)\n1,1,2.00\n", at_us=1, exchange=exchange)
    assert place.row("SELECT cost_nano, original_nano, original_currency, exchange_rate FROM calls") == (
        2_166_400_000,
        2_000_000_000,
        "EUR",
        "1.0832 on 2026-11-01",
    )


def test_a_bare_zero_beside_tokens_is_unknown(place: Place) -> None:
    place.text("calls", "model,prompt_tokens,completion_tokens,cost\nnobody-knows-it,10,1,0\n", at_us=1)
    row = place.row("SELECT cost_nano, cost_state, reported_nano, reported_digits FROM calls")
    assert row == (None, "unknown", None, "0")
    assert str(place.row("SELECT cost_reason FROM calls")[0]).startswith(
        "the source gives a cost of 0 beside tokens"
    )


@pytest.mark.parametrize(
    "cost", ["0.0000000003", "$0.0000000003", "3e-10", "3e-22", "0.00000000000000000001"]
)
def test_a_cost_too_small_for_a_nano_dollar_is_known_and_no_bare_zero(place: Place, cost: str) -> None:
    """It counts as the nearest whole one, which is 0, where a bare 0 would give way to the computed cost."""
    text = f"provider,model,prompt_tokens,completion_tokens,cost\nopenai,gpt-4o,10,1,{cost}\nx,y,1,1,{cost}\n"
    result = place.text("calls", text, at_us=1)
    asked = "SELECT DISTINCT cost_nano, cost_state, cost_reason, reported_nano, reported_digits FROM calls"
    assert place.row(asked) == (0, "measured", None, 0, cost)
    (said,) = [note for note in result.notes if "nano-dollar" in note]
    assert said.startswith("2 rows give an amount above 0 that is less than half a nano-dollar")


@pytest.mark.parametrize("cost", ["0.00000000000000000000", "$0", "0e-12", "0.000000001"])
def test_of_other_amounts_no_such_thing_is_said(place: Place, cost: str) -> None:
    text = f"model,prompt_tokens,completion_tokens,cost\nx,1,1,{cost}\n"
    result = place.text("calls", text, at_us=1)
    assert not [note for note in result.notes if "nano-dollar" in note]
    assert place.row("SELECT cost_nano FROM calls") == (1 if cost == "0.000000001" else None,)


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ("m,10,1,0", {"zero_is_free": True}),
        ("google/gemma-3:free,10,1,0", {}),
        ("m,0,0,0", {}),
    ],
)
def test_a_zero_that_is_a_price_counts(place: Place, row: str, asked: dict[str, object]) -> None:
    place.text("calls", f"model,prompt_tokens,completion_tokens,cost\n{row}\n", at_us=1, **asked)
    assert place.row("SELECT cost_nano, cost_state FROM calls") == (0, "measured")


def test_the_computed_cost_stands_beside_the_reported(place: Place) -> None:
    text = "provider,model,prompt_tokens,completion_tokens,cost,timestamp\n"
    text += "openai,gpt-4o,1000000,0,9.99,2026-01-01T00:00:00Z\n"
    place.text("calls", text)
    assert place.row("SELECT reported_nano, computed_nano, cost_nano, cost_basis FROM calls") == (
        9_990_000_000,
        2_500_000_000,
        9_990_000_000,
        "reported",
    )


def test_a_computed_cost_names_its_prices_and_they_are_kept(place: Place) -> None:
    place.text(
        "calls",
        "id,time,model,prompt_tokens,completion_tokens,cost\n"
        "1,2026-06-01T00:00:00Z,gpt-4o,100,10,0.5\n2,2026-06-01T00:00:00Z,nobody-s,100,10,0.5\n"
        "3,2026-06-01T00:00:00Z,gpt-4o,100,10,\n",
    )
    with place.opened() as engine:
        rows = engine.execute("SELECT cost_basis, price_version FROM calls ORDER BY external_id").fetchall()
    version = rows[0][1]
    assert rows == [("reported", version), ("reported", None), ("computed", version)]
    (terms,) = told(place.book, PriceBook(()), version)
    assert {row["unit"]: row["rate"] for row in rates_in(terms)}["input"] == "2.50"


def test_without_a_reported_cost_the_computed_one_counts(place: Place) -> None:
    text = "model,prompt_tokens,completion_tokens,timestamp\ngpt-4o,1000000,0,2026-01-01T00:00:00Z\n"
    place.text("calls", text)
    assert place.row("SELECT provider, computed_nano, cost_nano, cost_basis FROM calls") == (
        "openai",
        2_500_000_000,
        2_500_000_000,
        "computed",
    )


def test_the_role_says_why_a_call_was_made(place: Place) -> None:
    text = (
        "role,prompt_tokens,completion_tokens,turn\nassistant,1,1,0\nuser,1,1,1\njudge,1,1,2\nplanner,1,1,3\n"
    )
    place.text("calls", text, at_us=1)
    assert place.rows("SELECT purpose FROM calls ORDER BY turn") == [
        ("work",), ("simulation",), ("verification",), ("work",),
    ]  # fmt: skip


def test_calls_belong_to_the_task_that_their_columns_name(place: Place) -> None:
    text = "run,task_id,trial,prompt_tokens\nr1,7,0,5\n"
    place.text("calls", text, at_us=1, source="tau2", maps={"task": "run+task_id+trial"})
    assert place.row("SELECT CAST(task_id AS VARCHAR) FROM calls") == (
        str(derived("task", "tau2", "r1/7/0")),
    )


def test_labels_are_canonical(place: Place) -> None:
    rows = [
        {"prompt_tokens": 1, "metadata": {"team": "café", "zone": 'a"b'}, "user_id": "u1"},
        {"prompt_tokens": 2, "metadata": {"team": None}},
    ]
    place.text("calls", "\n".join(map(json.dumps, rows)), "given.jsonl", at_us=1)
    assert place.rows("SELECT labels FROM calls ORDER BY input") == [
        ('{"team":"café","user":"u1","zone":"a\\"b"}',),
        ("{}",),
    ]


def test_times_come_in_many_forms(place: Place) -> None:
    moments = [
        "2026-03-20T18:42:33.582227", "2026-03-20 18:42:33+02:00", "1774032153",
        "1774032153582", "2026-03-20",
        "2026-03-20T18:42:33Z",
    ]  # fmt: skip
    text = "prompt_tokens,timestamp\n" + "".join(f"{n},{moment}\n" for n, moment in enumerate(moments))
    result = place.text("calls", text)
    assert place.rows("SELECT at_us FROM calls ORDER BY input") == [
        (1_774_032_153_582_227,),
        (1_774_024_953_000_000,),
        (1_774_032_153_000_000,),
        (1_774_032_153_582_000,),
        (1_773_964_800_000_000,),
        (1_774_032_153_000_000,),
    ]
    assert "Times without a zone were taken as UTC." in result.notes


def test_a_time_that_is_none_is_refused(place: Place) -> None:
    result = place.text("calls", "prompt_tokens,timestamp\n1,yesterday\n2,1234567890123456789012\n3,\n")
    assert (result.new, result.rejected) == (0, 3)
    assert "where a time was expected" in place.rejects()
    assert "Found no time in this row" in place.rejects()


def test_calls_without_a_time_column_need_one(place: Place) -> None:
    with pytest.raises(BadInput, match="--at 2026-08-01"):
        place.text("calls", "model,prompt_tokens\nm,1\n")


def test_columns_that_are_not_read_are_named(place: Place) -> None:
    result = place.text("calls", "prompt_tokens,temperature,colour\n1,2,3\n", at_us=1)
    assert any("Not read: temperature, colour." in note for note in result.notes)


def test_columns_that_are_not_read_can_be_kept(place: Place) -> None:
    place.text("calls", "prompt_tokens,colour\n1,red\n", at_us=1, keep_unknown=True)
    assert place.row("SELECT labels FROM calls") == ('{"colour":"red"}',)


def test_a_field_that_does_not_exist_is_a_usage_error(place: Place) -> None:
    with pytest.raises(BadUsage, match="Did you mean 'completion_tokens'"):
        place.text("calls", "a,b\n1,2\n", maps={"completion_token": "a"})


def test_a_column_that_is_not_there_lists_those_that_are(place: Place) -> None:
    with pytest.raises(
        BadInput, match=r"no column 'modle'. Did you mean 'model'.*It has: model, prompt_tokens"
    ):
        place.text("calls", "model,prompt_tokens\n1,2\n", maps={"model": "modle"})


def test_a_fixed_value_must_be_one_of_its_field(place: Place) -> None:
    with pytest.raises(BadUsage, match="a count is never negative"):
        place.text("calls", "model\nm\n", fixed={"prompt_tokens": "-5"}, at_us=1)


def test_a_log_of_several_providers_has_rows_of_several_shapes(place: Place) -> None:
    rows = [
        {
            "id": 1,
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 600},
            },
        },
        {"id": 2, "usage": {"input_tokens": 100, "cache_read_input_tokens": 600, "output_tokens": 6}},
        {
            "id": 3,
            "usage": {
                "input_tokens": 900,
                "input_tokens_details": {"cached_tokens": 300},
                "output_tokens": 7,
            },
        },
    ]
    result = place.text("calls", "\n".join(map(json.dumps, rows)), "given.jsonl", at_us=1)
    assert result.rejected == 0, result.first_reasons
    assert place.rows(f"SELECT {LEAVES} FROM calls ORDER BY output") == [
        (400, 600, None, 5, None),
        (100, 600, None, 6, None),
        (600, 300, None, 7, None),
    ]


def test_an_export_that_adds_up_requests_is_pointed_out(place: Place) -> None:
    bucket = {"start_time": 1_790_000_000, "results": [{"input_tokens": 5, "num_model_requests": 9}]}
    result = place.text("calls", json.dumps({"data": [bucket]}), "usage.json")
    assert place.row("SELECT input, at_us FROM calls") == (5, 1_790_000_000_000_000)
    assert any("'num_model_requests' says that a row may add up several" in note for note in result.notes)


@pytest.mark.parametrize(
    ("column", "said"),
    [("session_id", "--map task=session_id"), ("colour", "--map task=COLUMN"), ("task_id", None)],
)
def test_calls_that_name_no_task_are_said_with_what_may_name_it(
    place: Place, column: str, said: str | None
) -> None:
    text = f"request_id,time,model,cost,{column}\nr1,2026-10-01T08:00:00Z,gpt-5,0.1,s1\n"
    notes = [note for note in place.text("calls", text).notes if "outside tasks" in note]
    assert [said in note for note in notes] == ([] if said is None else [True])
