"""What a response cost, from whatever form it lies in, and why; nothing in it makes metering fail."""

import base64
import csv
import gzip
import json
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flatfare.cli.meter import meter as command
from flatfare.core.errors import BadUsage
from flatfare.core.moments import parse_moment
from flatfare.core.usage import Usage
from flatfare.dialects.recognition import dialects
from flatfare.service.costing.counting import by_characters
from flatfare.service.costing.metering import Metered, Response, meter, meter_response, standard_book
from flatfare.service.costing.recordings import response_of, responses_in

USAGE = {"prompt_tokens": 2000, "completion_tokens": 500, "prompt_tokens_details": {"cached_tokens": 1024}}
CHAT = {
    "object": "chat.completion",
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "created": 1750000000,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
    "usage": USAGE,
}
COST_NANO = 976 * 2500 + 1024 * 1250 + 500 * 10_000  # GPT-4o at $2.50, $1.25 and $10 per million


def envelope(body: object = CHAT, **more: object) -> dict[str, object]:
    return {
        "request_host": "api.openai.com",
        "request_url_path": "/v1/chat/completions",
        "request_body": json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}),
        "response_status": 200,
        "response_body_text": json.dumps(body) if isinstance(body, dict) else body,
        "response_body_encoding": "text",
        "usage_headers": None,
        **more,
    }


def recorded(body: object = CHAT, **more: object) -> Metered:
    response = response_of(json.dumps(envelope(body, **more)).encode(), Response(body=b""))
    return meter_response(response, standard_book())


def test_a_bare_body_is_priced_with_the_rates_of_its_day() -> None:
    metered = meter(CHAT)
    assert metered.cost.amount_nano == COST_NANO
    assert (metered.provider, metered.endpoint, metered.model) == (
        "openai",
        "chat.completions",
        "gpt-4o-2024-08-06",
    )
    assert metered.at_from == "stamped by the provider"


def test_bytes_text_and_objects_are_one() -> None:
    assert meter(json.dumps(CHAT)).cost == meter(json.dumps(CHAT).encode()).cost == meter(CHAT).cost


def test_the_moment_given_beats_the_stamp_and_now_is_the_last_resort() -> None:
    at_us, _ = parse_moment("2024-09-01T00:00:00Z")
    assert meter(CHAT, at_us=at_us).at_from == "given"
    body = {"object": "list", "model": "text-embedding-3-small", "data": [], "usage": {"prompt_tokens": 5}}
    assert meter(body).at_from == "now"


def test_the_json_document_has_the_shape_that_the_design_promises() -> None:
    document = meter(CHAT).as_json("answer.json")
    assert {key: document[key] for key in list(document)[:7]} == {
        "file": "answer.json",
        "provider": "openai",
        "endpoint": "chat.completions",
        "model": "gpt-4o-2024-08-06",
        "status": 200,
        "stream": False,
        "usage": {"input": 976, "cache_read": 1024, "output": 500},
    }
    assert document["lines"] == [
        {"unit": "input", "count": "976", "rate": "2.50", "per": 1000000, "amount": "0.002440000"},
        {"unit": "cache_read", "count": "1024", "rate": "1.25", "per": 1000000, "amount": "0.001280000"},
        {"unit": "output", "count": "500", "rate": "10.00", "per": 1000000, "amount": "0.005000000"},
    ]
    cost = {"amount": "0.008720000", "currency": "USD", "state": "measured", "reason": None}
    assert document["cost"] == document["computed_cost"] == cost
    assert document["reported_cost"] is None


def test_an_envelope_says_where_it_came_from() -> None:
    metered = recorded()
    assert (metered.provider, metered.cost.amount_nano) == ("openai", COST_NANO)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, "529"])
def test_an_error_costs_nothing_and_says_so(status: object) -> None:
    metered = recorded({"error": {"message": "no"}}, response_status=status)
    assert (metered.cost.amount_nano, metered.cost.is_known) == (0, True)
    assert str(status) in (metered.cost.reason or "")


def test_an_unknown_model_is_unknown_and_never_zero() -> None:
    metered = recorded({**CHAT, "model": "gpt-unheard-of"})
    assert metered.cost.amount_nano is None
    assert "gpt-unheard-of" in (metered.cost.reason or "")


def test_an_unknown_host_is_priced_as_the_one_whose_shape_it_has_and_estimated() -> None:
    metered = recorded(request_host="llm.example.com")
    assert str(metered.cost.state) == "estimated"
    assert "llm.example.com is not known" in (metered.cost.reason or "")


def test_a_body_of_no_known_shape_says_what_to_name() -> None:
    for body in (b"hello", b'{"a": 1}', b"[]", b"", b"null", b"\x00\x01\x02", b"data: x\n\n"):
        metered = meter(body)
        assert metered.cost.amount_nano is None
        assert metered.cost.reason


def test_a_provider_that_is_not_known_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(BadUsage, match="expected one of"):
        meter(CHAT, provider="opnai")
    with pytest.raises(BadUsage, match=r"chat\.completions"):
        meter(b"hello", provider="openai", endpoint="chat")


@pytest.mark.parametrize("endpoint", ["chat", "/v1/chat/completions", "ChatCompletion"])
def test_an_endpoint_in_other_words_is_found_by_its_path_or_the_body(endpoint: str) -> None:
    metered = meter(CHAT, provider="openai", endpoint=endpoint)
    assert metered.endpoint == "chat.completions"
    assert metered.cost.is_known


def test_the_providers_charge_counts_and_the_computed_one_stands_beside_it() -> None:
    body = {
        "object": "chat.completion",
        "id": "gen-1",
        "model": "openai/gpt-4o-mini",
        "provider": "OpenAI",
        "created": 1784878106,
        "choices": [],
        "usage": {
            "prompt_tokens": 900,
            "completion_tokens": 69,
            "cost": 0.0160614,
            "cost_details": {"upstream_inference_cost": 0.0001764},
        },
    }
    request = {"model": "openai/gpt-4o-mini", "tools": [{"type": "openrouter:advisor"}]}
    metered = meter(body, provider="openrouter", endpoint="chat.completions", request=request)
    assert metered.computed_cost.amount_nano == 176_400
    assert metered.cost.amount_nano == 16_061_400
    assert metered.reported_cost is not None
    assert metered.reported_cost.amount == "0.0160614"
    (cause,) = metered.causes
    assert "openrouter:advisor" in cause.why
    assert cause.amount_nano == 16_061_400 - 176_400


def test_the_computed_cost_counts_where_the_settings_say_so() -> None:
    body = {**CHAT, "model": "openai/gpt-4o-mini", "usage": {**USAGE, "cost": 5}}
    response = Response(body=json.dumps(body).encode(), provider="openrouter", endpoint="chat.completions")
    assert meter_response(response, standard_book()).cost.amount_nano == 5_000_000_000
    metered = meter_response(response, standard_book(), counts_reported=False)
    assert metered.cost == metered.computed_cost != meter_response(response, standard_book()).cost


def test_a_stream_without_usage_is_counted_offline_and_estimated() -> None:
    chunk = {"object": "chat.completion.chunk", "model": "gpt-4o", "created": 1750000000}
    words = [
        {**chunk, "choices": [{"index": 0, "delta": {"content": word}}]} for word in ("This ", "is ", "it.")
    ]
    stream = "".join(f"data: {json.dumps(event)}\n\n" for event in words)
    request = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Say it."}]}
    metered = meter(stream, request=request)
    assert str(metered.cost.state) == "estimated"
    assert metered.usage["input"] == 3 + 4 + 3
    assert metered.usage["output"] == 4
    assert metered.reading.text_seen is None
    without = meter(stream)
    assert without.cost.amount_nano is None
    assert "without its request" in (without.cost.reason or "")


def test_tokens_by_characters_are_near_for_prose_marks_numbers_and_other_scripts() -> None:
    assert by_characters("This is a test.") == 5
    assert by_characters("internationalization") == 3
    assert by_characters("12345") == 2
    assert by_characters("你好世界") == 3
    assert by_characters("") == 0


@pytest.mark.parametrize(
    ("encode", "header"),
    [
        (gzip.compress, None),
        (gzip.compress, "gzip"),
        (zlib.compress, None),
        (zlib.compress, "deflate"),
        (lambda body: zlib.compress(body, wbits=-15), "deflate"),
        (lambda body: body, "gzip"),  # recorders keep the header of what they opened
        (lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip"),
        (lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:]), "gzip"),
    ],
)
def test_compressed_bodies_are_opened(encode: Callable[[bytes], bytes], header: str | None) -> None:
    headers = {"Content-Encoding": header} if header else {}
    assert meter(encode(json.dumps(CHAT).encode()), headers=headers).cost.amount_nano == COST_NANO


@pytest.mark.parametrize(("name", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_other_encodings_are_opened_where_their_package_is_there_and_name_it_otherwise(
    name: str, package: str
) -> None:
    metered = meter(b"\x00" * 40, provider="openai", headers={"content-encoding": name})
    assert metered.cost.amount_nano is None
    assert package in (metered.cost.reason or "") or name in (metered.cost.reason or "")


def test_a_bomb_is_refused_in_bounded_memory_and_time() -> None:
    bomb = gzip.compress(b"0" * 300_000_000)
    tracemalloc.start()
    started = time.monotonic()
    metered = meter(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "swells" in (metered.cost.reason or "")
    assert peak < 300 * len(bomb) + 8_000_000
    assert time.monotonic() - started < 5


HOSTILE = [
    b"{" * 10_000,
    b'{"usage":' * 10_000 + b"}" * 10_000,
    b'{"object":"chat.completion","choices":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":NaN}}',
    b'{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":1e400}}',
    b'{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1}}',
    b'{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":1' + b"0" * 5000 + b"}}",
    b'{"object":"chat.completion","choices":[],"usage":[1,2,3]}',
    b'{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2,"completion_tokens":1}}',
    b'{"object":"chat.completion","choices":[],"model":"\xff\xfe","usage":{"prompt_tokens":1,"completion_tokens":1}}',
    b'{"object":"chat.completion","choices":[],"model":"\xe2\x82',
    b"data: " + b'{"choices":' * 10_000,
    b"data: {\n" * 5_000,
    b"[" * 10_000,
    b"[" + b'{"a":' * 10_000,
    b"\x1f\x8b" + bytes(100),
    b"\x28\xb5\x2f\xfd" + bytes(100),
    b"\x78\x9c" + bytes(100),
    b'{"response_body_text": {"a": 1}, "request_host": 5}',
    b'{"response_body_text": "' + b"\\ud800" * 10 + b'", "request_host": "api.openai.com"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bodies_give_a_reason_and_nothing_else(body: bytes) -> None:
    for provider in (None, "openai", "anthropic", "gemini", "bedrock"):
        metered = meter_response(response_of(body, Response(body=b"", provider=provider)), standard_book())
        assert metered.cost.is_known or metered.cost.reason


def mutated(body: bytes, seed: int) -> bytes:
    """The body with a few bytes changed, cut out, doubled or cut off."""
    chance = random.Random(seed)
    changed = bytearray(body)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[place:place] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 20)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 60)]
            case 3:
                del changed[place:]
            case _:
                changed[place : place + 1] = chance.choice(
                    [b"-", b"9" * 25, b'"', b"null", b"{", b"1e999", b"\xff"]
                )
        if not changed:
            break
    return bytes(changed)


@pytest.mark.parametrize("rounds", [2, pytest.param(200, marks=pytest.mark.soak)])
def test_no_mutation_of_a_recorded_answer_makes_metering_fail(
    shared: Callable[..., Path], rounds: int
) -> None:
    book = standard_book()
    seeds = random.Random(rounds)
    for file in sorted(shared("recorded").glob("*/*.json"))[:: 3 if rounds < 10 else 1]:
        response = response_of(file.read_bytes(), Response(body=b""))
        if len(response.body) > 200_000:
            continue
        for _ in range(rounds):
            seed = seeds.randrange(1 << 40)
            broken = Response(
                body=mutated(response.body, seed),
                host=response.host,
                path=response.path,
                request_body=mutated(response.request_body, seed) if response.request_body else b"",
                headers=response.headers,
                is_stream=response.is_stream,
            )
            metered = meter_response(broken, book)
            assert metered.cost.is_known or metered.cost.reason, (file, seed)
            assert all(count > 0 for count in metered.usage.values()), (file, seed)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from([None, *sorted(dialects())]))
@example(b"data:", "openai")
def test_any_bytes_give_a_cost_or_a_reason(body: bytes, provider: str | None) -> None:
    metered = meter(body, provider=provider)
    assert metered.cost.is_known or metered.cost.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)  # every route of every dialect each time
@given(usage=JSON, choices=JSON, model=JSON, created=JSON, extra=JSON)
def test_any_types_in_the_known_fields_give_a_cost_or_a_reason(**fields: object) -> None:
    for name, dialect in dialects().items():
        for endpoint in {route.endpoint for route in dialect.routes if not route.free}:
            metered = meter(json.dumps(fields), provider=name, endpoint=endpoint, stream=False)
            assert metered.cost.is_known or metered.cost.reason


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def test_recorded_answers_with_usage_have_a_cost(shared: Callable[..., Path]) -> None:
    """99 % of what is billable has a cost; the rest is unknown with a reason; nothing fails."""
    book = standard_book()
    billable = priced = 0
    unknown: list[str] = []
    for row in rows(shared("recorded", "index.csv")):
        response = response_of(shared("recorded", row["file"]).read_bytes(), Response(body=b""))
        metered = meter_response(response, book)
        assert metered.cost.is_known or metered.cost.reason, row["file"]
        if int(row["status"]) >= 400:
            assert metered.cost.amount_nano == 0, row["file"]
            assert metered.cost.reason, row["file"]
        elif row["has_usage"] == "1" and not metered.reading.is_free:
            billable += 1
            priced += metered.computed_cost.is_known
            if not metered.computed_cost.is_known:
                unknown.append(f"{row['file']}: {metered.computed_cost.reason}")
    assert priced >= 0.99 * billable, f"{priced} of {billable}:\n" + "\n".join(unknown)


def test_every_recorded_charge_is_matched_or_explained_to_the_last_nano_dollar(
    shared: Callable[..., Path],
) -> None:
    book = standard_book()
    explained = []
    for row in rows(shared("recorded", "billed_truth.csv")):
        metered = meter_response(
            response_of(shared("recorded", row["file"]).read_bytes(), Response(body=b"")), book
        )
        billed = Fraction(Decimal(row["billed_usd"])) * 10**9
        difference = billed - sum((line.amount for line in metered.lines), Fraction(0))
        assert metered.reported_cost is not None, row["file"]
        assert Decimal(metered.reported_cost.amount) == Decimal(row["billed_usd"]), row["file"]
        if abs(difference) < Fraction(1, 2):
            assert not metered.causes, row["file"]
            continue
        explained.append(row["file"])
        assert sum(cause.amount_nano for cause in metered.causes) == difference, row["file"]
        assert all("does not show" not in cause.why for cause in metered.causes), (
            row["file"],
            metered.causes,
        )
    assert len(explained) <= 3, explained


def run(*arguments: str, stdin: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(arguments), input=stdin)
    return result.exit_code, result.stdout


def test_the_command_prints_one_document(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(CHAT), encoding="utf-8")
    code, printed = run(str(file), "--json")
    assert code == 0
    assert json.loads(printed)["cost"]["amount"] == "0.008720000"
    assert json.loads(printed)["file"] == str(file)


def test_the_command_prints_json_lines_for_a_folder(tmp_path: Path) -> None:
    for name in ("b.json", "a.json"):
        (tmp_path / name).write_text(json.dumps(envelope()), encoding="utf-8")
    (tmp_path / "README.md").write_text("not an answer", encoding="utf-8")
    code, printed = run(str(tmp_path), "--json")
    assert code == 0
    assert [Path(json.loads(line)["file"]).name for line in printed.splitlines()] == ["a.json", "b.json"]


def test_the_command_reads_stdin_and_takes_hints() -> None:
    code, printed = run(
        "-",
        "--json",
        "--provider",
        "openai",
        "--endpoint",
        "chat.completions",
        "--at",
        "2024-09-01T00:00:00Z",
        "--header",
        "content-encoding: gzip",
        stdin=gzip.compress(json.dumps(CHAT).encode()),
    )
    assert code == 0
    assert json.loads(printed)["at"] == {"time": "2024-09-01T00:00:00Z", "from": "given"}


def test_the_table_explains_each_line(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(CHAT), encoding="utf-8")
    code, printed = run(str(file))
    assert code == 0
    for word in (
        "cache_read",
        "1,024",
        "1.25 per million",
        "0.001280000",
        "since",
        "source",
        "stamped by the provider",
    ):
        assert word in printed


def test_an_unknown_cost_is_an_answer_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({**CHAT, "model": "gpt-unheard-of"}), encoding="utf-8")
    code, printed = run(str(file))
    assert code == 0
    assert "— unknown" in printed
    assert "gpt-unheard-of" in printed


def test_recordings_of_sessions_and_event_streams_are_opened(tmp_path: Path) -> None:
    lines = [
        {"type": "session.created", "session": {"model": "gpt-realtime"}},
        {"type": "response.done", "response": {"usage": {"input_tokens": 5, "output_tokens": 2}}},
    ]
    text = "\n".join(map(json.dumps, lines))
    metered = recorded(
        text, request_host="", request_url_path="/v1/realtime", response_body_encoding="websocket-jsonl"
    )
    assert metered.usage == Usage(input=5, output=2)
    raw = base64.b64encode(json.dumps(CHAT).encode()).decode()
    assert recorded(raw, response_body_encoding="base64").cost.amount_nano == COST_NANO


def test_a_file_of_a_folder_that_cannot_be_read_is_unknown_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(envelope()), encoding="utf-8")
    read = Path.read_bytes

    def refuse(file: Path) -> bytes:
        if file.name == "a.json":
            raise PermissionError(13, "Permission denied")
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    code, printed = run(str(tmp_path), "--json")
    first, second = map(json.loads, printed.splitlines())
    assert code == 0
    assert "Permission denied" in first["cost"]["reason"]
    assert second["cost"]["amount"] == "0.008720000"


def test_a_model_name_cannot_move_the_terminals_cursor(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({**CHAT, "model": "gpt\u001b[31m"}), encoding="utf-8")
    assert "\x1b" not in run(str(file))[1]


def test_hidden_files_are_not_responses(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("{}", encoding="utf-8")
    assert list(responses_in(tmp_path, Response(body=b""))) == []


def test_the_settings_say_which_cost_counts_and_add_rates_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    body = {**CHAT, "model": "openai/gpt-4o-mini", "usage": {**USAGE, "cost": 5}}
    (tmp_path / "answer.json").write_text(json.dumps(body), encoding="utf-8")
    hints = ("answer.json", "--provider", "openrouter", "--endpoint", "chat.completions", "--json")
    assert json.loads(run(*hints)[1])["cost"]["amount"] == "5.000000000"
    computed = json.loads(run(*hints, "--computed")[1])
    assert computed["cost"] == computed["computed_cost"]
    (tmp_path / "flatfare.yaml").write_text("cost_that_counts: computed\n", encoding="utf-8")
    assert json.loads(run(*hints)[1])["cost"] == computed["cost"]
