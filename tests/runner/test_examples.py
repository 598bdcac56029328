"""The example actions, end to end, on a provider that misbehaves: only what is verified is billed."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from flatfare.core.ledger import Kind
from flatfare.runner import judging
from flatfare.runner.pdf_text import pages_of
from flatfare.runner.running import Order, Result
from flatfare.service import selling
from flatfare.service.actions.receipts import receipt_of
from flatfare.service.invoicing.issuing import Books, issue_so_far, rebuilt
from flatfare.service.invoicing.rendering import page, rows
from flatfare.store import runs
from flatfare.store.lake import Lake
from tests.runner.rig import CONTRACT, DOLLAR, EMAIL, INVOICE, REPORT, TICKET, Model, Shop, shop

SEED = 20261121
CHANCES = {
    "schema": 0.06,
    "quote": 0.08,
    "refusal": 0.05,
    "timeout": 0.03,
    "error": 0.08,
    "slow": 0.08,
    "cut": 0.05,
    "length": 0.05,
    "text": 0.05,
}
ORDERS = {
    "contract-review": {"contract": CONTRACT},
    "invoice-extraction": {"invoice": INVOICE},
    "names-and-dates": {"email": EMAIL},
    "report-summary": {"report": REPORT},
    "ticket-classification": {"ticket": TICKET},
    "word-count": {"text": "a b a"},
}
PRICES = {
    "contract-review": 5 * DOLLAR,
    "invoice-extraction": DOLLAR // 2,
    "names-and-dates": DOLLAR,
    "report-summary": 3 * DOLLAR,
    "ticket-classification": DOLLAR // 10,
    "word-count": DOLLAR // 20,
}
ROUNDS = 8
BUYERS = ("acme", "bolt")  # who pays in advance, and who by invoice


def test_only_verified_work_is_billed_and_all_sums_agree(tmp_path: Path) -> None:
    async def play() -> None:
        model = Model(seed=SEED, chances=CHANCES, patience_s=5.0)
        async with shop(tmp_path, model, rung_s=3.0) as own:
            with own.book() as book:
                selling.customers.create(book, name="bolt", terms="invoice", at_us=1, by_whom="test")
            results = await _carry_out(own)
            for _ in range(60):  # until calls that were given up are heard out, and so booked
                await own.runner.gate.book()  # type: ignore[misc]
                await own.runner.books.do(judging.book_open_costs, time.time_ns() // 1000)
                with own.book() as book:
                    if not runs.with_open_cost(book):
                        break
                await asyncio.sleep(0.5)
            _check(own, results)
            _check_invoice(own, results, Lake(tmp_path / "lake"))
            print(f"\n{dict(model.did)}")

    asyncio.run(play())


async def _carry_out(own: Shop) -> list[Result]:
    turn = asyncio.Semaphore(6)

    async def one(action: str, number: int) -> Result:
        async with turn:
            return await own.runner.run(
                Order(action, ORDERS[action], customer=BUYERS[number % 2], key=f"{action} {number}")
            )

    return await asyncio.gather(*(one(action, n) for n in range(ROUNDS) for action in ORDERS))


def _check(own: Shop, results: list[Result]) -> None:
    endings = Counter(str(result.run.ending) for result in results)
    assert endings["verified"] >= 0.7 * len(results), endings
    assert sum(result.run.attempts for result in results) > len(results), "nothing climbed"
    with own.book() as book:
        billed = cost = 0
        for result in results:
            run = runs.one(book, result.run.id)
            assert run is not None
            receipt = receipt_of(book, Lake(own.settings.lake), run, for_operator=True)
            due = PRICES[run.action] if run.ending == "verified" else 0
            assert _nano(receipt["billed"]["amount"]) == due  # type: ignore[index]
            operator = receipt["operator"]
            assert isinstance(operator, dict)
            assert operator["cost"]["is_final"], operator
            called = book.value("SELECT SUM(cost_nano) FROM calls WHERE task_id = ?", (run.task_id,)) or 0
            assert _nano(operator["cost"]["amount"]) == called
            passing = {said["verifier"] for said in receipt["verdicts"] if said["judgement"] == "pass"}  # type: ignore[attr-defined]
            assert (run.ending == "verified") <= (len(passing) >= 2)
            billed, cost = billed + due, cost + int(str(called))
        totals = selling.totals(book)
        assert totals[Kind.REVENUE]["USD"] == billed
        assert -totals[Kind.MODEL_COST]["USD"] == cost == book.value("SELECT SUM(cost_nano) FROM calls")
        assert totals[Kind.HOLD]["USD"] == 0
        assert selling.verify(book) == []
        outcomes = dict(book.rows("SELECT outcome, COUNT(*) FROM tasks GROUP BY outcome"))
        assert outcomes.get("verified") == endings["verified"]
        assert set(outcomes) <= {"verified", "failed"}


def _check_invoice(own: Shop, results: list[Result], lake: Lake) -> None:
    """Receipts, ledger, document, CSV and the printed page come to the same, to the nano-dollar."""
    with own.book() as book:
        books = Books(book, lake, "UTC")
        bought = [
            found for one in results if (found := runs.one(book, one.run.id)) and found.customer == "bolt"
        ]
        receipts = [receipt_of(book, lake, run, for_operator=False) for run in bought]
        billed = sum(_nano(receipt["billed"]["amount"]) for receipt in receipts)  # type: ignore[index]
        assert billed == -selling.balance(book, "bolt", at_us=1).accrued_nano
        kept = issue_so_far(books, "bolt", at_us=time.time_ns() // 1000, by_whom="test")
        assert kept is not None
        assert kept.total_nano == billed == sum(_nano(row["amount"]) for row in rows(kept.says))
        verified = {run.task_id for run in bought if run.ending == "verified"}
        assert {row["task"] for row in rows(kept.says)} == verified
        assert -selling.balance(book, "bolt", at_us=1).receivable_nano == billed
        assert rebuilt(books, kept) == kept.document
        assert selling.verify(book) == []
        printed = " ".join("".join(pages_of(page(kept, {}), "invoice.pdf")).split())
        assert kept.number in printed
        assert f"{billed // DOLLAR}.{billed % DOLLAR // 10_000_000:02d}" in printed


def _nano(amount: object) -> int:
    return int(str(amount).replace(".", ""))
