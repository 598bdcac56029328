"""A dispute: the lines that should not have been billed, each with its evidence and the amount claimed.

What the vendor has credited already is not claimed again. Evidence is hashes and moments, no texts.
"""

from collections.abc import Iterator, Sequence

from flatfare.core.chain import GENESIS
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.service.buying.accounting import Account
from flatfare.service.buying.judging import DISPUTABLE, Conversation, Judged, State
from flatfare.service.buying.vendors import vendor_of

COLUMNS = (
    "vendor", "statement_line", "line", "conversation", "ticket", "billed_at", "unit", "vendor_says",
    "billed", "claimed", "reason", "explanation", "duplicate_of", "definition", "evidence", "chain_head",
)  # fmt: skip
"""Of the dispute as CSV."""

_EXPLANATIONS = {
    State.DUPLICATE: "the conversation was billed before, and a conversation is billed once",
    State.UNMATCHED: "there is no such conversation in our tickets",
    State.REOPENED: "the customer came back: the ticket was reopened",
    State.HANDED_OFF: "a person had to take the ticket over",
    State.FAILED: "a verifier found that it was not done",
    State.ASSUMED: "nobody but the vendor says that it was done",
}


def dispute_of(account: Account, now_us: int, *, with_assumed: bool = False) -> dict[str, object]:
    """The dispute with one vendor."""
    states = (*DISPUTABLE, *((State.ASSUMED,) if with_assumed else ()))
    lines = list(_claims(account, states))
    by_reason = {
        str(state): decimal_text(sum(nano for judged, nano, _ in lines if judged.state is state))
        for state in states
    }
    return {
        "vendor": account.vendor,
        "name": vendor_of(account.vendor).name,
        "as_of": iso(now_us),
        "currency": "USD",
        "lines_billed": len(account.lines),
        "billed": decimal_text(account.billed_nano),
        "lines_disputed": len(lines),
        "claimed": decimal_text(sum(nano for _, nano, _ in lines)),
        "claimed_by_reason": by_reason,
        "lines": [document for _, _, document in lines],
    }


def rows_of(dispute: dict[str, object]) -> Iterator[dict[str, object]]:
    """The dispute's lines as flat rows."""
    lines = dispute["lines"]
    assert isinstance(lines, list)
    for line in lines:
        evidence = "; ".join(
            f"{one['verifier']} {one['version']} ({one['kind']}): {one['judgement']} at {one['at']}, "
            f"evidence {one['evidence_hash']}"
            for one in line["evidence"]
        )
        ticket = line["ticket"] or {}
        yield {**line, "vendor": dispute["vendor"], "evidence": evidence, "ticket": ticket.get("name")}


def _claims(account: Account, states: Sequence[State]) -> Iterator[tuple[Judged, int, dict[str, object]]]:
    """Each disputed line with what is claimed of it, in nano-dollars."""
    credited: dict[str, int] = {}
    for judged in account.lines:
        if judged.state is State.CREDIT:
            key = judged.conversation.task_id
            credited[key] = credited.get(key, 0) - judged.line.nano
    for judged in account.lines:
        if judged.state not in states or not judged.line.nano:
            continue
        key = judged.conversation.task_id
        off = min(credited.get(key, 0), judged.line.nano)
        credited[key] = credited.get(key, 0) - off
        if judged.line.nano > off:
            yield judged, judged.line.nano - off, _line(judged, judged.line.nano - off)


def _line(judged: Judged, claimed_nano: int) -> dict[str, object]:
    line, one = judged.line, judged.conversation
    return {
        "statement_line": line.place,
        "line": line.id,
        "conversation": line.conversation,
        "ticket": _ticket(one),
        "billed_at": iso(line.at_us),
        "unit": line.unit,
        "vendor_says": line.reported_as,
        "billed": decimal_text(line.nano),
        "claimed": decimal_text(claimed_nano),
        "reason": str(judged.state),
        "explanation": _EXPLANATIONS[judged.state],
        "duplicate_of": judged.duplicate_of.place if judged.duplicate_of else None,
        "definition": f"{one.definition.action} {one.definition.version}" if one.definition.action else None,
        "evidence": [
            {
                "verifier": said["verifier"],
                "version": said["verifier_version"],
                "kind": said["kind"],
                "judgement": said["judgement"],
                "score": said["score"],
                "at": iso(int(said["at_us"] or 0)),
                "evidence_hash": said["evidence_hash"],
                "position": said["position"],
                "hash": said["hash"],
            }
            for said in one.verdicts
        ],
        "chain_head": one.verdicts[-1]["hash"] if one.verdicts else GENESIS,
    }


def _ticket(one: Conversation) -> dict[str, object] | None:
    ticket = one.ticket
    if ticket is None or ticket.name is None:
        return None
    moments = {
        "opened_at": ticket.opened_at_us,
        "closed_at": ticket.closed_at_us,
        "reopened_at": ticket.reopened_at_us,
    }
    return {
        "name": ticket.name,
        **{name: iso(at_us) for name, at_us in moments.items()},
        "reopened": ticket.is_reopened,
        "handed_off": ticket.is_handed_off,
        "csat": ticket.csat,
    }
