"""Runs and their receipts: what was sold, what it was verified by, and, for the operator, what it cost.

A receipt is read anew each time: from the sale's entries, the task's verdicts, sealed or not, and
the calls it made. It says nothing that they do not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from flatfare.core.errors import BadInput, NotFound
from flatfare.core.moments import iso
from flatfare.core.money import decimal_text
from flatfare.core.outcome import Outcome, Settlement
from flatfare.service import selling
from flatfare.service.actions import keeping
from flatfare.service.actions.publishing import Published, published
from flatfare.service.selling import Sale
from flatfare.service.tasks.folding import Known
from flatfare.service.tasks.recording import known_of
from flatfare.store import chains, runs
from flatfare.store.book import Book, Value
from flatfare.store.lake import Lake
from flatfare.store.runs import Attempt, Run, State

_OF_VERDICTS = (
    "verifier",
    "verifier_version",
    "kind",
    "judgement",
    "evidence_hash",
    "at_us",
    "attempt_number",
)


def documents_of(
    book: Book, lake: Lake, found: Sequence[Run], *, for_operator: bool
) -> list[dict[str, object]]:
    """Runs as command line and API list them."""
    known = known_of(book, lake, [run.task_id for run in found], has_imports=False)
    return [_document(book, run, known[run.task_id], for_operator) for run in found]


def document_of(
    book: Book,
    lake: Lake,
    run: Run,
    *,
    for_operator: bool,
    output: str | None = None,
    reasons: Sequence[str] = (),
) -> dict[str, object]:
    """A run as command line and API show it; ``output`` where it is at hand and not kept."""
    return _document(book, run, _known(book, lake, run), for_operator, output, reasons)


def _document(
    book: Book,
    run: Run,
    known: Known,
    for_operator: bool,
    output: str | None = None,
    reasons: Sequence[str] = (),
) -> dict[str, object]:
    task = known.present or {}
    held = output if output is not None else keeping.read(run.output, run.id, "output")
    return {
        "id": run.id,
        "key": run.request_key,
        "action": run.action,
        "version": run.action_version,
        "customer": run.customer,
        "task": run.task_id,
        "state": str(run.state),
        "ending": run.ending,
        "outcome": str(task.get("outcome") or Outcome.OPEN),
        "settlement": str(task.get("settlement") or Settlement.NONE),
        "started_at": iso(run.started_at_us),
        "ended_at": iso(run.ended_at_us),
        "attempts": run.attempts,
        "output": _output(held),
        "output_kept": run.output is not None,
        "reasons": list(reasons) or json.loads(run.reasons),
        "receipt": None if run.ended_at_us is None else _receipt(book, run, known, for_operator),
    }


def refusal_of(run: Run) -> str | None:
    """Why the run was refused before anything was begun; None where it was not. It quotes no input."""
    return "\n".join(json.loads(run.reasons)) if run.state is State.REFUSED else None


def run_of(book: Book, run_id: str) -> Run:
    """The run of this id; ``NotFound`` where there is none."""
    found = runs.one(book, run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id[:60]!r}: flatfare actions runs")
    return found


def erase(
    book: Book, *, run_id: str | None = None, customer: str | None = None, at_us: int, by_whom: str
) -> int:
    """Erase what is kept of a run's input and output, or of all runs of a customer; it is on record.

    How many runs had something. The record names a customer by the hash of the name; receipts stay.
    """
    if (run_id is None) == (customer is None):
        raise BadInput("Say whose results to erase: either a run, or a customer.")
    with book.writing():
        count = runs.erase(book, run_id=run_id, customer=customer)
        whose = run_id or f"customer:{hashlib.sha256(str(customer).encode()).hexdigest()}"
        chains.append(
            book,
            chains.ORGANISATION,
            kind="results.erased",
            subject=whose,
            by_whom=by_whom,
            at_us=at_us,
            content=json.dumps({"runs": count}),
        )
    return count


def receipt_of(book: Book, lake: Lake, run: Run, *, for_operator: bool) -> dict[str, object]:
    """The receipt of a run that is done."""
    return _receipt(book, run, _known(book, lake, run), for_operator)


def _receipt(book: Book, run: Run, known: Known, for_operator: bool) -> dict[str, object]:
    version = published(book, run.action, run.action_version)
    sale, task = sale_of(book, run), known.present or {}
    matures = task.get("matures_at_us")
    document: dict[str, object] = {
        "run": run.id,
        "action": run.action,
        "version": run.action_version,
        "action_hash": version.hash,
        "definition_version": version.definition_version,
        "customer": run.customer,
        "task": run.task_id,
        "outcome": str(task.get("outcome") or Outcome.OPEN),
        "settlement": str(task.get("settlement") or Settlement.NONE),
        "price": _price(sale, version),
        "billed": _billed(sale, version),
        "verdicts": [_verdict(said) for said in known.verdicts],
        "window_closes_at": None if matures is None else iso(int(str(matures))),
        "settled_at": None if sale is None or sale.settled_at_us is None else iso(sale.settled_at_us),
        "entries": [] if sale is None else _entries(book, run),
    }
    if for_operator:
        document["operator"] = _operators(book, run, sale)
    return document


def _price(sale: Sale | None, version: Published) -> dict[str, object]:
    """What the run was quoted, or, where nobody was to pay, what the action's price is."""
    price = version.action.price
    if sale is None:
        return {"amount": decimal_text(price.per_verified_nano), "currency": price.currency}
    return {
        "amount": decimal_text(sale.quote.amount_nano),
        "at_most": decimal_text(sale.quote.most_nano),
        "currency": sale.currency,
    }


def _billed(sale: Sale | None, version: Published) -> dict[str, object]:
    currency = version.action.price.currency if sale is None else sale.currency
    settled = 0 if sale is None else sale.settled_nano
    given_back = 0 if sale is None else sale.reversed_nano
    return {
        "amount": decimal_text(settled - given_back),
        "settled": decimal_text(settled),
        "reversed": decimal_text(given_back),
        "currency": currency,
    }


def _entries(book: Book, run: Run) -> list[dict[str, object]]:
    found = selling.entries(book, task_id=run.task_id)
    return [
        {"id": entry.id, "verb": str(entry.verb), "at": iso(entry.at_us)}
        for entry in found
        if str(entry.verb) != "cost"
    ]


def _verdict(said: Mapping[str, Value]) -> dict[str, object]:
    names = ("verifier", "version", "kind", "judgement", "evidence_hash", "at", "attempt")
    values = [said[name] for name in _OF_VERDICTS]
    values[5] = iso(int(str(values[5])))
    return dict(zip(names, values, strict=True))


def _operators(book: Book, run: Run, sale: Sale | None) -> dict[str, object]:
    """What the work cost, call by call as it was booked, and what is left of the price."""
    attempts = [one for one in runs.attempts_of(book, run.id) if one.take == run.take]
    cost_nano, reason = _cost(attempts, sale)
    net_nano = 0 if sale is None else sale.settled_nano - sale.reversed_nano
    is_dollars = sale is None or sale.currency == "USD"
    return {
        "cost": {
            "amount": decimal_text(cost_nano),
            "currency": "USD",
            "state": "measured" if reason is None else "estimated",
            "reason": reason,
            "is_final": bool(run.is_cost_final),
        },
        "margin": decimal_text(net_nano - cost_nano) if is_dollars and reason is None else None,
        "path": [_attempt(one) for one in attempts],
    }


def _cost(attempts: Sequence[Attempt], sale: Sale | None) -> tuple[int, str | None]:
    if sale is not None and sale.settlement is not Settlement.HELD:
        return sale.costs.total_nano, sale.costs.reason
    reasons = [one.cost_reason for one in attempts if one.cost_reason]
    return sum(one.cost_nano or 0 for one in attempts), reasons[0] if reasons else None


def _attempt(one: Attempt) -> dict[str, object]:
    return {
        "attempt": one.number,
        "rung": one.rung,
        "path": one.path,
        "ending": one.ending,
        "reasons": json.loads(one.reasons),
        "cost": decimal_text(one.cost_nano),
        "cost_reason": one.cost_reason,
        "calls": [call for call, _, _ in json.loads(one.calls) if call],
        "started_at": iso(one.started_at_us),
        "ended_at": iso(one.ended_at_us),
    }


def _output(text: str | None) -> object:
    """The output as JSON where it is JSON, else its text."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _known(book: Book, lake: Lake, run: Run) -> Known:
    """What is known of a run's task: a run makes its task, none is imported."""
    return known_of(book, lake, [run.task_id], has_imports=False)[run.task_id]


def sale_of(book: Book, run: Run) -> Sale | None:
    """The run's sale; None where none was begun."""
    if run.customer is None:
        return None
    try:
        return selling.sale_of(book, run.task_id)
    except NotFound:
        return None
