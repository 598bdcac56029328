"""Statements, records and results come into a book in either database."""

import json
from pathlib import Path

from flatfare.config import Settings
from flatfare.service.buying.accounting import accounts
from flatfare.service.buying.statements import import_bought
from flatfare.service.buying.vendors import vendor_of
from flatfare.service.importing.order import Order
from flatfare.service.importing.results import import_results
from flatfare.service.importing.run import Stores
from flatfare.service.outcomes.exporting import exported
from flatfare.service.outcomes.importing import import_records
from flatfare.store.book import open_book
from flatfare.store.lake import Lake

NOW_US = 1_790_000_000_000_000
STATEMENT = "conversation_id,date,amount\nC1,2025-09-01,0.99\nC1,2025-09-02,0.99\n"
TICKETS = "conversation_id,closed_at,reopened,csat\nC1,2025-09-01,2,1\n"


def test_all_of_it_works_in_either(database: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(STATEMENT)
    (tmp_path / "t.csv").write_text(TICKETS)
    (tmp_path / "r.xml").write_text(
        '<testsuite><testcase name="a"><flakyFailure message="x"/></testcase></testsuite>'
    )
    with open_book(database) as book:
        stores = Stores(book, Lake(tmp_path / "lake"), Settings())
        for now_us in (NOW_US, NOW_US + 1):
            import_bought(
                stores,
                str(tmp_path / "s.csv"),
                Order("bought", update=True),
                vendor_of("fin"),
                now_us,
                tickets=str(tmp_path / "t.csv"),
            )
        import_results(stores, [str(tmp_path / "r.xml")], Order("junit"), NOW_US + 2)
        (account,) = accounts(book, stores.lake, now_us=NOW_US + 3)
        assert [str(one.state) for one in account.lines] == ["reopened", "duplicate"]
        records = list(exported(book, stores.lake))
        assert [one["attempts"]["count"] for one in records] == [1, 2]  # type: ignore[index]
        (tmp_path / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
        known = import_records(stores, str(tmp_path / "records.jsonl"), NOW_US + 4)
        assert (known.new, known.known, known.rejected) == (0, 2, 0)
    with open_book(f"sqlite:///{tmp_path}/other.db") as other:
        beside = Stores(other, Lake(tmp_path / "other"), Settings())
        assert import_records(beside, str(tmp_path / "records.jsonl"), NOW_US + 5).new == 2
        assert list(exported(other, beside.lake)) == records
