"""One run of an action: what was made, by whom it was verified, and its receipt."""

import json
from collections.abc import Mapping

from flatfare.core.moments import MICROSECONDS, parse_moment
from flatfare.service.actions import receipts
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Fact, Facts, Figure, Figures, Table, Text, View
from flatfare.web.pages.money import amount_text
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.rendering import moment_text
from flatfare.web.pages.tasks import TONES


def view(visit: Visit) -> View:
    """The run as it stands."""
    books = visit.books
    run = receipts.run_of(books.book, visit.path["run"])
    document = receipts.document_of(books.book, books.lake, run, for_operator=True)
    return view_of(document, visit.asking.zone)


def view_of(run: Mapping[str, object], zone: str) -> View:
    """A run's document as a page, its times those of a zone."""
    receipt = run["receipt"]
    blocks: list[Block] = [Figures(_figures(run, receipt))]
    if run["output"] is not None:
        blocks.append(Text("What came of it", _written(run["output"])))
    reasons = run["reasons"]
    assert isinstance(reasons, list)
    if reasons:
        what = "Why it was refused" if run["state"] == "refused" else "What the verifiers said"
        blocks.append(Text(what, "\n".join(str(one) for one in reasons)))
    if isinstance(receipt, dict):
        blocks += [_receipt(run, receipt, zone), *_tables(receipt)]
    address = f"/actions/{run['action']}"
    return View(
        f"Run of {run['action']}",
        tuple(blocks),
        dict(run),
        eyebrow=(str(run["action"]), address),
        has_period=False,
        is_live=run["state"] not in ("done", "interrupted", "refused"),
    )


def _figures(run: Mapping[str, object], receipt: object) -> tuple[Figure, ...]:
    outcome = str(run["outcome"])
    figures = [
        Figure("Outcome", outcome, str(run["state"]), tone=TONES.get(outcome, "")),
        Figure("Settlement", str(run["settlement"]), str(run["customer"] or "nobody pays")),
    ]
    if isinstance(receipt, dict):
        billed = receipt["billed"]
        figures.append(Figure("Billed", amount_text(billed["amount"], billed["currency"]), tone="lead"))
        operator = receipt.get("operator")
        if operator:
            cost, margin = operator["cost"], operator["margin"]
            at_least = "≥ " if cost["reason"] else ""
            figures += [
                Figure(
                    "Cost",
                    at_least + amount_text(cost["amount"], "USD"),
                    str(cost["reason"] or ""),
                    why="/unknown",
                ),
                Figure("Margin", None if margin is None else amount_text(margin, "USD"), why="/unknown"),
            ]
    return tuple(figures)


def _receipt(run: Mapping[str, object], receipt: Mapping[str, object], zone: str) -> Facts:
    price = receipt["price"]
    assert isinstance(price, dict)
    said = (
        ("Action", f"{run['action']}, version {run['version']}"),
        ("Customer", str(run["customer"] or "")),
        ("Price", amount_text(price["amount"], str(price["currency"]))),
        ("Began", _moment(run["started_at"], zone)),
        ("Ended", _moment(run["ended_at"], zone)),
        ("Window closes", _moment(receipt["window_closes_at"], zone)),
        ("Attempts", str(run["attempts"])),
        ("Definition", f"version {receipt['definition_version']}"),
    )
    facts = [Fact(label, Cell(text)) for label, text in said if text]
    facts.append(Fact("Task", Cell("its whole story", href=f"/tasks/{run['task']}")))
    facts.append(Fact("Hash of the action", Cell(str(receipt["action_hash"])[:16], tone="code")))
    return Facts("Receipt", tuple(facts))


def _moment(text: object, zone: str) -> str:
    """A moment to the second; nothing where there is none yet."""
    if not text:
        return ""
    at_us = parse_moment(str(text))[0]
    return f"{moment_text(at_us, zone)}:{at_us // MICROSECONDS % 60:02d}"


def _tables(receipt: Mapping[str, object]) -> list[Table]:
    verdicts = receipt["verdicts"]
    assert isinstance(verdicts, list)
    made = [
        Table(
            "verdicts",
            "Verified by",
            (
                Column("verifier", "left"),
                Column("Said", "left"),
                Column("Evidence (SHA-256)", "left", is_long=True),
            ),
            tuple(
                (
                    Cell(
                        str(one["verifier"]),
                        f"{one['kind']}, version {one.get('version') or one.get('verifier_version')}",
                    ),
                    Cell(
                        str(one["judgement"]),
                        tone={"pass": "good", "fail": "bad"}.get(str(one["judgement"]), "quiet"),
                    ),
                    Cell(str(one["evidence_hash"] or "")[:16], tone="code"),
                )
                for one in verdicts
            ),
            empty="Nobody has judged it yet.",
        )
    ]
    operator = receipt.get("operator")
    if isinstance(operator, dict) and operator["path"]:
        made.append(_path(operator["path"]))
    return made


def _path(attempts: list[dict[str, object]]) -> Table:
    rows = tuple(
        (
            Cell(f"{one['attempt']}. {one['rung']}", str(one["path"] or "")),
            Cell(str(one["ending"] or "under way")),
            Cell(
                None if one["cost"] is None else amount_text(one["cost"], "USD"),
                str(one["cost_reason"] or ""),
                why="/unknown",
            ),
            Cell(f"{len(calls) if isinstance(calls := one['calls'], list) else 0:,}"),
        )
        for one in attempts
    )
    columns = (Column("attempt", "left"), Column("Ended", "left"), Column("Cost"), Column("Calls"))
    return Table("path", "The path it took", columns, rows)


def _written(output: object) -> str:
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)


PAGE = Page("/runs/{run}", "run", "Run", Right.READ, view, in_navigation=False)
