"""Bought outcomes: what a vendor billed, held against tickets and verdicts of somebody else."""

from decimal import Decimal

import pytest

from flatfare.config import Settings
from flatfare.core.errors import BadInput
from flatfare.core.identity import derived
from flatfare.service.buying.accounting import Account, accounts, document_of
from flatfare.service.buying.disputing import dispute_of, rows_of
from flatfare.service.buying.judging import State
from flatfare.service.buying.statements import import_bought
from flatfare.service.buying.vendors import listed, vendor_of
from flatfare.service.importing.order import ExchangeRate, Imported, Order
from flatfare.service.importing.run import Stores
from flatfare.service.reporting import report
from flatfare.service.tasks import defining
from tests.service.importing.bringing import Place

HEAD = "Resolution ID,Conversation ID,Date,Amount (USD),Resolution state\n"
STATEMENT = HEAD + "".join(
    f"R{number},C{number},2026-09-0{number},0.99,{word}\n"
    for number, word in enumerate(("confirmed", "assumed", "assumed", "assumed", "assumed", "assumed"), 1)
)
TICKETS = """conversation_id,closed_at,reopened,escalated,csat
C1,2026-09-01T10:00:00Z,false,no,5
C2,2026-09-02T10:00:00Z,true,no,
C3,2026-09-03T10:00:00Z,false,yes,
C4,2026-09-04T10:00:00Z,0,no,1
C5,2026-09-05T10:00:00Z,no,no,
"""
VERDICTS = """conversation_id,verifier,result,judged_at
C1,QA human,pass,2026-09-10
C4,QA human,fail,2026-09-10
"""


def brought(
    place: Place,
    statement: str,
    tickets: str | None = None,
    vendor: str = "fin",
    name: str = "fin.csv",
    **asked: object,
) -> Imported:
    place.now_us += 1_000_000
    return import_bought(
        Stores(place.book, place.lake, Settings()),
        place.file(name, statement),
        Order("bought", **asked),  # type: ignore[arg-type]
        vendor_of(vendor),
        place.now_us,
        tickets=None if tickets is None else place.file("tickets.csv", tickets),
        rejects=str(place.folder / "rejects.jsonl"),
    )


def account(place: Place, **asked: object) -> Account:
    (found,) = accounts(place.book, place.lake, now_us=2_000_000_000_000_000, **asked)  # type: ignore[arg-type]
    return found


def states(found: Account) -> dict[str, str]:
    return {str(one.line.conversation): str(one.state) for one in found.lines}


def test_each_line_is_what_it_was_and_not_what_the_vendor_says(place: Place) -> None:
    result = brought(place, STATEMENT, TICKETS)
    assert (result.read, result.new, result.more["lines"]) == (6, 6, 6)
    place.text("verdicts", VERDICTS, "qa.csv", source="intercom-fin", maps={"task": "conversation_id"})
    assert states(account(place)) == {
        "C1": "verified",
        "C2": "reopened",
        "C3": "handed_off",
        "C4": "failed",
        "C5": "assumed",
        "C6": "unmatched",
    }
    assert place.is_sound()


def test_a_conversation_is_a_task_with_the_vendor_as_its_path(place: Place) -> None:
    brought(place, STATEMENT, TICKETS, fixed={"name": "resolve-ticket"})
    columns = "CAST(id AS VARCHAR), name, path, outcome, given_nano, json_extract_string(labels, 'vendor')"
    assert place.row(f"SELECT {columns} FROM tasks WHERE external_id = 'C5'") == (
        str(derived("task", "intercom-fin", "C5")),
        "resolve-ticket",
        "intercom-fin",
        "assumed",
        990_000_000,
        "intercom-fin",
    )
    assert place.row("SELECT outcome FROM tasks WHERE external_id = 'C2'") == ("reversed",)


def test_the_vendors_own_word_verifies_nothing(place: Place) -> None:
    brought(place, STATEMENT)
    found = account(place)
    assert set(states(found).values()) == {"assumed"}
    assert (found.row.cost_per_verified_nano, found.judged) == (None, (0, 0))


def test_the_true_cost_of_a_verified_outcome_is_all_that_was_paid(place: Place) -> None:
    brought(place, STATEMENT, TICKETS)
    place.text("verdicts", VERDICTS, "qa.csv", source="intercom-fin", maps={"task": "conversation_id"})
    found = account(place)
    assert found.row.cost_per_verified_nano == 6 * 990_000_000
    assert found.price_nano == vendor_of("fin").price_nano == 990_000_000
    row = report(place.book, place.lake, now_us=2_000_000_000_000_000).rows[0]
    assert row.cost_per_verified_nano == found.row.cost_per_verified_nano


def test_a_conversation_billed_twice_is_a_duplicate_also_months_later(place: Place) -> None:
    brought(place, STATEMENT + "R1b,C1,2026-09-02,0.99,assumed\n", TICKETS)
    again = brought(place, HEAD + "R9,C2,2026-10-02,0.99,assumed\n", TICKETS, name="october.csv")
    assert (again.more["lines"], again.rejected) == (1, 0)
    found = account(place)
    doubles = [one for one in found.lines if one.state is State.DUPLICATE]
    assert [(one.line.conversation, one.duplicate_of.place) for one in doubles if one.duplicate_of] == [
        ("C1", "2"),
        ("C2", "3"),
    ]
    assert place.row("SELECT given_nano FROM tasks WHERE external_id = 'C2'") == (1_980_000_000,)
    october = account(place, since_us=1_790_812_800_000_000)
    assert [str(one.state) for one in october.lines] == ["reopened", "duplicate"]
    assert place.is_sound()


def test_a_unit_of_activity_may_come_many_times_for_a_conversation(place: Place) -> None:
    text = "case_id,usage_date,actions\nC1,2026-09-01,3\nC1,2026-09-01,2\n"
    brought(place, text, vendor="agentforce-flex", fixed={"unit_price": "0.10"}, maps={"quantity": "actions"})
    found = account(place)
    assert [(str(one.state), one.line.nano) for one in found.lines] == [
        ("assumed", 300_000_000),
        ("assumed", 200_000_000),
    ]


def test_a_line_without_a_conversation_is_billed_and_never_matched(place: Place) -> None:
    brought(place, HEAD + "R1,,2026-09-01,0.99,assumed\n")
    found = account(place)
    assert [str(one.state) for one in found.lines] == ["unmatched"]
    assert found.billed_nano == 990_000_000


def test_again_there_is_nothing_to_do_and_newer_tickets_turn_what_was_assumed(place: Place) -> None:
    brought(place, STATEMENT, TICKETS)
    assert brought(place, STATEMENT, TICKETS).already_at_us is not None
    assert states(account(place))["C5"] == "assumed"
    turned = TICKETS.replace("C5,2026-09-05T10:00:00Z,no", "C5,2026-09-05T10:00:00Z,2")
    result = brought(place, STATEMENT, turned)
    assert (result.more["lines"], result.rejected) == (0, 0)
    assert states(account(place))["C5"] == "reopened"
    assert place.is_sound()


def test_lines_that_cannot_be_read_are_named(place: Place) -> None:
    odd = "R7,C7,2026-09-07,much,x\nR8,C8,,0.99,x\nR1,C9,2026-09-09,0.99,x\nR1,C1,2026-09-01,0.99,confirmed\n"
    result = brought(place, STATEMENT + odd)
    assert (result.new, result.rejected) == (6, 3)
    said = (place.folder / "rejects.jsonl").read_text()
    assert all(word in said for word in ("amount of money", "Found no date", "a second time"))


def test_a_statement_without_conversations_or_prices_is_refused(place: Place) -> None:
    with pytest.raises(BadInput, match="names the conversation"):
        brought(place, "Date,Amount\n2026-09-01,0.99\n")
    result = brought(place, "conversation_id,date\nC1,2026-09-01\n")
    assert (result.new, result.rejected) == (0, 1)
    assert "Found no price" in (place.folder / "rejects.jsonl").read_text()


def test_amounts_in_other_currencies_and_credits(place: Place) -> None:
    text = "conversation_id,date,amount,currency\nC1,2026-09-01,1.00,EUR\nC1,2026-09-09,(0.50),EUR\n"
    refused = brought(place, text, name="a.csv")
    assert refused.rejected == 2
    rate = {"EUR": ExchangeRate(Decimal("1.10"), "2026-09-01")}
    brought(place, text, name="a.csv", exchange=rate)
    found = account(place)
    assert [(str(one.state), one.line.nano, one.line.currency) for one in found.lines] == [
        ("assumed", 1_100_000_000, "EUR"),
        ("credit", -550_000_000, "EUR"),
    ]
    assert place.row("SELECT given_nano FROM tasks") == (550_000_000,)


def test_a_statement_as_it_is_written_in_germany(place: Place) -> None:
    statement = (
        "\ufeffRechnungsnummer;Konversations-ID;Erledigt am;Betrag;Status\r\n"
        "R-1;K-1;01.10.2026 09:15;0,99 €;bestätigt\r\n"
        'R-2;K-2;02.10.2026 10:00;"1.000,50 €";angenommen\r\n'
        "R-3;K-2;02.10.2026 11:00;-0,99 €;Gutschrift\r\n"
        ";;Summe;1.000,50 €;\r\n"
    )
    result = brought(
        place,
        statement,
        maps={"line": "Rechnungsnummer", "at": "Erledigt am", "price": "Betrag", "reported_as": "Status"},
        time_format="%d.%m.%Y %H:%M",
        exchange={"EUR": ExchangeRate(Decimal("1.10"), "2026-10-01")},
    )
    assert (result.read, result.rejected, result.more["lines"]) == (2, 0, 3)
    assert "Rows that add others up were left out: 1." in result.notes
    amounts = "SELECT billed_nano, currency FROM bought_outcomes ORDER BY billed_at_us"
    assert place.book.rows(amounts) == [
        (1_089_000_000, "EUR"),
        (1_100_550_000_000, "EUR"),
        (-1_089_000_000, "EUR"),
    ]


def test_the_currency_of_a_columns_name_counts_where_the_amount_names_none(place: Place) -> None:
    text = "Line ID,Conversation,Date,Amount (EUR)\n1,C1,2026-09-01,0.99\n"
    refused = brought(place, text)
    assert refused.rejected == 1
    assert "--exchange EUR=RATE@DATE" in refused.first_reasons[0]
    brought(place, text, exchange={"EUR": ExchangeRate(Decimal(2), "2026-10-01")})
    assert place.book.rows("SELECT billed_nano, currency FROM bought_outcomes") == [(1_980_000_000, "EUR")]


@pytest.mark.parametrize(
    ("amount", "quantity", "nano"),
    [
        ("0,99", "2", 1_980_000_000),
        ("$1,000", "1", 10**12),
        ("0,5", "1,5", 750_000_000),
        ("1,000.50", "1", 1_000_500_000_000),
    ],
)
def test_a_comma_is_a_decimal_sign_where_it_can_be_nothing_else(
    place: Place, amount: str, quantity: str, nano: int
) -> None:
    text = f'Conversation;Date;Unit price;Quantity\nC1;2026-09-01;"{amount}";"{quantity}"\n'
    assert brought(place, text).rejected == 0
    assert place.book.value("SELECT billed_nano FROM bought_outcomes") == nano


def test_the_buyers_own_definition_judges(place: Place) -> None:
    brought(place, STATEMENT, TICKETS)
    rule = {"action": "resolution", "signals": {"csat": {"below": 3, "says": "fail"}}, "window": "72h"}
    own = defining.of_document(rule)
    assert states(account(place))["C4"] == "assumed"
    assert states(account(place, definition=own))["C4"] == "failed"
    strict = defining.of_document({"action": "resolution", "silence": "failed"})
    assert states(account(place, definition=strict))["C5"] == "failed"


def test_while_the_window_is_open_nothing_is_assumed(place: Place) -> None:
    brought(place, STATEMENT, TICKETS)
    long = defining.of_document({"action": "resolution", "window": "90d"})
    (found,) = accounts(place.book, place.lake, now_us=1_789_000_000_000_000, definition=long)
    assert states(found)["C5"] == "open"
    assert found.row.n == 0


def test_a_dispute_names_each_line_with_its_evidence_and_what_is_claimed(place: Place) -> None:
    extra = "R1b,C1,2026-09-02,0.99,assumed\nK,C2,2026-10-01,-0.40,deducted\n"
    brought(place, STATEMENT + extra, TICKETS)
    place.text("verdicts", VERDICTS, "qa.csv", source="intercom-fin", maps={"task": "conversation_id"})
    dispute = dispute_of(account(place), place.now_us)
    lines = {line["statement_line"]: line for line in dispute["lines"]}  # type: ignore[attr-defined]
    assert {place_: (line["reason"], line["claimed"]) for place_, line in lines.items()} == {
        "3": ("reopened", "0.590000000"),
        "4": ("handed_off", "0.990000000"),
        "5": ("failed", "0.990000000"),
        "7": ("unmatched", "0.990000000"),
        "8": ("duplicate", "0.990000000"),
    }
    assert dispute["claimed"] == "4.550000000"
    assert lines["8"]["duplicate_of"] == "2"
    human = next(one for one in lines["5"]["evidence"] if one["kind"] == "human")
    assert (human["verifier"], human["judgement"], len(human["evidence_hash"])) == ("QA human", "fail", 64)
    assert lines["5"]["chain_head"] == lines["5"]["evidence"][-1]["hash"]
    assert sum(Decimal(str(row["claimed"])) for row in rows_of(dispute)) == Decimal("4.55")
    assumed = dispute_of(account(place), place.now_us, with_assumed=True)
    assert assumed["claimed"] == "5.540000000"


def test_making_is_held_against_buying_for_the_same_kind_of_work(place: Place) -> None:
    lines = "".join(f"R{n},C{n},2026-09-01,0.99,x\n" for n in range(60))
    verdicts = "".join(f"C{n},QA human,{'pass' if n % 2 else 'fail'},2026-09-10\n" for n in range(60))
    own = "".join(
        f"o{n},resolution,own,{'true' if n % 3 else 'false'},0.2{n % 7},2026-09-01\n" for n in range(90)
    )
    brought(place, HEAD + lines)
    head = "conversation_id,verifier,result,judged_at\n"
    place.text("verdicts", head + verdicts, "qa.csv", source="intercom-fin", maps={"task": "conversation_id"})
    place.text("tasks", "task_id,action,path,success,cost,created_at\n" + own, "own.csv")
    found = account(place)
    (against,) = found.own
    assert (against.name, against.base, against.n, against.base_n) == ("own", "intercom-fin", 90, 60)
    assert against.interval is not None
    assert against.interval.low > 0
    assert "cheaper per verified outcome than intercom-fin" in against.sentence
    document = document_of(found)
    assert document["make_or_buy"][0]["name"] == "own"  # type: ignore[index]
    assert document["judged"]["conversations"] == 60  # type: ignore[index]


def test_facts_of_vendors_have_a_source_and_a_day() -> None:
    assert all(one.source and one.checked and one.rule for one in listed())
    assert vendor_of("Fin").key == vendor_of("intercom").key == "intercom-fin"
    assert vendor_of("Some Startup") == vendor_of("some-startup").__class__(
        "some-startup", "Some Startup", "outcome", True
    )
