"""A second, simple ledger in plain numbers, and a driver that tells it and the book the same and compares.

The oracle is written from the ledger's page in the documents alone, and shares no code with the
product: it keeps amounts per customer in dictionaries, and knows nothing of entries or chains.
"""

import uuid
from collections import defaultdict
from pathlib import Path

from flatfare.core.action_price import parse_price
from flatfare.core.errors import FlatfareError
from flatfare.service import selling
from flatfare.service.selling import Costs
from flatfare.store.book import Book, open_book
from tests.builders import id_of
from tests.service.selling.shop import judge, open_task

DAY_US = 86_400_000_000
START_US = (
    1_792_800_000_000_000  # 2026-10-24: the day before clocks go back in Europe, a week before a month ends
)
BUYERS = {"ann": "prepaid", "bea": "invoice", "cid": "team"}
LIMIT_NANO = 40_000_000_000


class Oracle:
    """What should stand where."""

    def __init__(self) -> None:
        self.stands: dict[str, dict[str, int]] = {name: defaultdict(int) for name in BUYERS}
        self.lots: list[dict] = []
        self.sales: dict[str, dict] = {}
        self.outcomes: dict[str, str] = {}

    def pay_in(self, who: str, nano: int) -> bool:
        self._add(who, cash=-nano, wallet=nano)
        return True

    def grant(self, who: str, lot: dict, price: int, paid: str) -> bool:
        worth = lot["left"]
        if paid == "promotion":
            self._add(who, promotion=-worth)
        else:
            self._add(who, **{"cash" if paid == "cash" else self._owed(who): -price})
            self._add(who, **{"rounding" if lot["unit"] else "promotion": price - worth})
        self.lots.append(lot | {"who": who, "gift": paid == "promotion", "seq": len(self.lots)})
        return True

    def hold(self, who: str, task: str, action: str, price: dict, at: int) -> bool:
        most = price["each"] * price["attempts_max"] + price["work"]
        draws = self._pick(who, action, most, at)
        if draws is None:
            return False
        for source, nano in draws:
            self._take(who, source, nano)
        self.sales[task] = {"who": who, "state": "held", "draws": draws, "price": price}
        return True

    def settle(self, task: str, attempts: int, at: int) -> bool:
        sale = self.sales.get(task)
        if sale is None or sale["state"] != "held" or self.outcomes.get(task, "open") == "open":
            return False
        price, who = sale["price"], sale["who"]
        due = price["each"] * min(attempts, price["attempts_max"])
        due += price["work"] if self.outcomes[task] == "verified" else 0
        if not due:
            return False
        by_unit = any(isinstance(source, dict) and source["unit"] for source, _ in sale["draws"])
        held = sum(nano for _, nano in sale["draws"])
        sale["draws"] = self._unwind(who, sale["draws"], 0 if by_unit else held - due, at)
        paid = sum(nano for _, nano in sale["draws"])
        later = sum(nano for source, nano in sale["draws"] if source == "pending")
        self._add(who, revenue=paid, pending=later, **{self._owed(who): -later})
        final = [(self._owed(who) if source == "pending" else source, nano) for source, nano in sale["draws"]]
        sale |= {"state": "settled", "draws": final, "paid": paid, "unit": by_unit}
        return True

    def void(self, task: str, at: int) -> bool:
        sale = self.sales.get(task)
        if sale is None or sale["state"] != "held":
            return False
        self._unwind(sale["who"], sale["draws"], sum(nano for _, nano in sale["draws"]), at)
        sale |= {"state": "voided", "draws": []}
        return True

    def reverse(self, task: str, nano: int | None, at: int) -> bool:
        sale = self.sales.get(task)
        if sale is None or sale["state"] != "settled":
            return False
        left = sale["paid"] - sale.get("back", 0)
        given = left if nano is None else nano
        if not 0 < given <= left or (sale["unit"] and given != sale["paid"]):
            return False
        sale["draws"] = self._unwind(sale["who"], sale["draws"], given, at)
        self._add(sale["who"], refunds=-given)
        sale["back"] = sale.get("back", 0) + given
        if sale["back"] == sale["paid"]:
            sale["state"] = "reversed"
        return True

    def costs(self, task: str, work: int, checks: int) -> bool:
        sale = self.sales.get(task)
        if sale is None:
            return False
        former = sale.get("costs", (0, 0))
        grown = (work - former[0], checks - former[1])
        self._add(sale["who"], model_cost=-grown[0], verification_cost=-grown[1], payable=sum(grown))
        sale["costs"] = (work, checks)
        return True

    def expire(self, at: int) -> bool:
        for lot in self.lots:
            if lot["until"] is not None and lot["until"] <= at and lot["left"]:
                self._add(lot["who"], **{"promotion" if lot["gift"] else "breakage": lot["left"]})
                lot["left"] = 0
        return True

    def issue(self, who: str) -> bool:
        nano = self.stands[who]["accrued"]
        self._add(who, accrued=-nano, receivable=nano)
        return nano < 0

    def standing(self, who: str) -> dict[str, int]:
        found = {kind: nano for kind, nano in self.stands[who].items() if nano}
        lots = sum(lot["left"] for lot in self.lots if lot["who"] == who)
        held = sum(
            nano
            for sale in self.sales.values()
            if sale["who"] == who and sale["state"] == "held"
            for _, nano in sale["draws"]
        )
        return found | ({"grant": lots} if lots else {}) | ({"hold": held} if held else {})

    def _owed(self, who: str) -> str:
        return "team" if BUYERS[who] == "team" else "accrued"

    def _add(self, who: str, **amounts: int) -> None:
        for kind, nano in amounts.items():
            self.stands[who][kind] += nano

    def _pick(self, who: str, action: str, most: int, at: int) -> list | None:
        usable = [
            lot
            for lot in self.lots
            if lot["who"] == who
            and lot["left"] > 0
            and lot["since"] <= at
            and (lot["until"] is None or at < lot["until"])
            and (not lot["only"] or lot["only"] == action)
        ]
        usable.sort(
            key=lambda lot: (
                lot["priority"],
                lot["until"] or 10**20,
                not lot["gift"],
                lot["since"],
                lot["name"],
            )
        )
        for lot in usable:
            if lot["unit"]:
                return [(lot, lot["unit"])]
        draws = []
        for lot in usable:
            if most:
                draws.append((lot, min(most, lot["left"])))
                most -= draws[-1][1]
        credit = 0
        if BUYERS[who] == "invoice":
            stands = self.stands[who]
            credit = LIMIT_NANO + stands["pending"] + stands["receivable"] + stands["accrued"]
        elif BUYERS[who] == "team":
            credit = 10**18
        for source, there in (("wallet", self.stands[who]["wallet"]), ("pending", credit)):
            nano = min(most, max(0, there))
            if nano:
                draws.append((source, nano))
                most -= nano
        return None if most else draws

    def _take(self, who: str, source: object, nano: int) -> None:
        if isinstance(source, dict):
            source["left"] -= nano
        else:
            self.stands[who][str(source)] -= nano

    def _unwind(self, who: str, draws: list, nano: int, at: int) -> list:
        kept = list(draws)
        while nano:
            source, drawn = kept.pop()
            back = min(nano, drawn)
            nano -= back
            if back < drawn:
                kept.append((source, drawn - back))
            if isinstance(source, dict) and source["until"] is not None and source["until"] <= at:
                self._add(who, **{"promotion" if source["gift"] else "breakage": back})
                self._add(who, promotion=-back)
                fresh = {"left": back, "since": at, "until": at + 30 * DAY_US, "gift": True}
                self.lots.append(source | fresh | {"name": "", "seq": len(self.lots)})
            else:
                self._take(who, source, -back)
        return kept


class Driver:
    """Tells the book and the oracle the same thing, and compares what they say."""

    def __init__(self, folder: Path | None = None) -> None:
        self.book: Book = open_book(":memory:" if folder is None else str(folder / "flatfare.db"))
        self.oracle = Oracle()
        self.now_us = START_US
        self.done: list[tuple] = []  # what can be asked again
        self.tasks = 0
        for name, terms in BUYERS.items():
            limit = LIMIT_NANO if terms == "invoice" else None
            selling.customers.create(
                self.book, name=name, terms=terms, credit_limit_nano=limit, at_us=START_US, by_whom="test"
            )

    def close(self) -> None:
        self.book.close()

    def pay_in(self, who: str, nano: int) -> None:
        one, nano = self._id(), in_cents(nano)
        self._both(
            who,
            lambda: selling.top_up_wallet(
                self.book,
                entry_id=one,
                customer=who,
                amount_nano=nano,
                currency="USD",
                at_us=self.now_us,
                by_whom="test",
            ),
            self.oracle.pay_in(who, nano),
        )

    def grant(
        self, who: str, nano: int, paid: str, priority: int, days: int | None, only: str | None
    ) -> None:
        one, at = self._id(), self.now_us
        nano = nano if paid == "promotion" else in_cents(nano)
        until = None if days is None else at + days * DAY_US
        lot = {"left": nano, "unit": None, "only": only, "priority": priority, "since": at, "until": until}
        self._both(
            who,
            lambda: selling.grant_credit(
                self.book,
                grant_id=one,
                customer=who,
                amount_nano=nano,
                at_us=at,
                paid=paid,
                expires_at_us=until,
                priority=priority,
                actions=(only,) if only else (),
                by_whom="test",
            ),
            self.oracle.grant(who, lot | {"name": str(one)}, nano, paid),
        )

    def buy(self, who: str, price: int, units: int, only: str, paid: str, days: int | None) -> None:
        one, at, price = self._id(), self.now_us, in_cents(price)
        name = f"pack-{price}-{units}-{only}-{days}"
        if name not in [pack.name for pack in selling.packs.listed(self.book)]:
            selling.packs.create(
                self.book,
                name=name,
                price_nano=price,
                units=units,
                actions=(only,),
                expires_days=days,
                at_us=at,
                by_whom="test",
            )
        unit = price // units
        until = None if days is None else at + days * DAY_US
        lot = {"left": unit * units, "unit": unit, "only": only, "priority": 100, "since": at, "until": until}
        self._both(
            who,
            lambda: selling.grant_pack(
                self.book, grant_id=one, customer=who, pack=name, at_us=at, paid=paid, by_whom="test"
            ),
            self.oracle.grant(who, lot | {"name": str(one)}, price, paid),
        )

    def hold(self, who: str, action: str, work: int, each: int, attempts_max: int) -> None:
        self.tasks += 1
        name, at = f"task {self.tasks}", self.now_us
        task_id, quote_id = open_task(self.book, name), self._id()
        dollars = {"per_verified": _text(work), "per_attempt": _text(each)}
        selling.quote(
            self.book,
            quote_id=quote_id,
            customer=who,
            action=action,
            action_version="1",
            price=parse_price(dollars),
            attempts_max=attempts_max,
            at_us=at,
        )
        price = {"work": work, "each": each, "attempts_max": attempts_max}
        self._both(
            who,
            lambda: selling.hold(self.book, task_id=task_id, quote_id=quote_id, at_us=at),
            self.oracle.hold(who, name, action, price, at),
        )

    def judge(self, task: str, outcome: str) -> None:
        if task in self.oracle.sales:
            judge(self.book, task, outcome)
            self.oracle.outcomes[task] = outcome

    def settle(self, task: str, attempts: int, skew_us: int = 0) -> None:
        at = self.now_us + skew_us
        self._both(
            self._buyer(task),
            lambda: selling.settle(self.book, task_id=id_of(task), at_us=at, attempts=attempts),
            self.oracle.settle(task, attempts, at),
            is_again=self._stood(task, "settled", attempts),
        )

    def void(self, task: str, skew_us: int = 0) -> None:
        at = self.now_us + skew_us
        self._both(
            self._buyer(task),
            lambda: selling.void(self.book, task_id=id_of(task), at_us=at, reason="void"),
            self.oracle.void(task, at),
            is_again=self._stood(task, "voided", None),
        )

    def reverse(self, task: str, nano: int | None, skew_us: int = 0) -> None:
        at, one = self.now_us + skew_us, self._id()
        self._both(
            self._buyer(task),
            lambda: selling.reverse(
                self.book, task_id=id_of(task), entry_id=one, at_us=at, reason="back", amount_nano=nano
            ),
            self.oracle.reverse(task, nano, at),
        )

    def costs(self, task: str, work: int, checks: int) -> None:
        at = self.now_us
        self._both(
            self._buyer(task),
            lambda: selling.book_costs(self.book, task_id=id_of(task), costs=Costs(work, checks), at_us=at),
            self.oracle.costs(task, work, checks),
        )

    def expire(self) -> None:
        at = self.now_us
        self._both(None, lambda: selling.expire_lots(self.book, now_us=at), self.oracle.expire(at))

    def issue(self, who: str) -> None:
        """An invoice: what has accrued becomes receivable."""
        nano = selling.balance(self.book, who, at_us=self.now_us).of(selling.Kind.ACCRUED)
        if nano < 0:
            one, at = self._id(), self.now_us
            postings = [("accrued", who, -nano, "USD"), ("receivable", who, nano, "USD")]
            self._both(
                who,
                lambda: selling.post(
                    self.book,
                    entry_id=one,
                    verb="issue",
                    customer=who,
                    postings=postings,
                    at_us=at,
                    by_whom="test",
                ),
                self.oracle.issue(who),
            )

    def again(self, number: int) -> None:
        """What was done before is asked again, and must change nothing."""
        if self.done:
            verb, who = self.done[number % len(self.done)]
            verb()
            self.compare(who)

    def wait(self, span_us: int) -> None:
        self.now_us += span_us

    def compare(self, who: str | None = None) -> None:
        """Every account of these customers stands as the oracle says."""
        for name in BUYERS if who is None else (who,):
            found: dict[str, int] = defaultdict(int)
            for account, nano in selling.balance(self.book, name, at_us=self.now_us).accounts.items():
                found[str(account.kind)] += nano
            expected = self.oracle.standing(name)
            assert {k: v for k, v in found.items() if v} == expected, (name, dict(found), expected)
        for task, sale in self.oracle.sales.items():
            if who is None or sale["who"] == who:
                assert str(selling.sale_of(self.book, id_of(task)).settlement) == sale["state"]

    def check_all(self) -> None:
        """The whole ledger holds, and can be told anew from its log to the last byte."""
        self.compare()
        problems = selling.verify(self.book)
        assert not problems, problems
        with open_book(":memory:") as fresh:
            selling.rebuilt(self.book, fresh)
            assert dump(self.book) == dump(fresh)

    def _both(self, who: str | None, verb, is_done: bool, *, is_again: bool = False) -> None:
        try:
            verb()
            is_accepted = True
        except FlatfareError:
            is_accepted = False
        assert is_accepted == (is_done or is_again), (who, "accepted" if is_accepted else "refused")
        if is_accepted:
            self.done.append((verb, who))
        self.compare(who)
        self.now_us += 1  # no two things happen in the same moment

    def _stood(self, task: str, state: str, with_what: object) -> bool:
        """The same was asked before, and became so: then it is a retry, not a new wish."""
        key = (task, state)
        self._asked = getattr(self, "_asked", {})
        sale = self.oracle.sales.get(task, {})
        if key in self._asked:
            return self._asked[key] == with_what
        if sale.get("state") == state:
            self._asked[key] = with_what
        return False

    def _buyer(self, task: str) -> str | None:
        return self.oracle.sales.get(task, {}).get("who")

    def _id(self) -> uuid.UUID:
        self._ids = getattr(self, "_ids", 0) + 1
        return uuid.UUID(id_of(f"id {self._ids}"))


def dump(book: Book) -> list:
    """Every row that the ledger keeps, as it is stored."""
    tables = {
        "accounts": "id",
        "entries": "customer, number",
        "postings": "account_id, position",
        "grants": "id",
        "sales": "task_id",
    }
    return [book.rows(f"SELECT * FROM {table} ORDER BY {order}") for table, order in tables.items()]


def in_cents(nano: int) -> int:
    """What can be paid, and is no less."""
    return -(-nano // 10**7) * 10**7


def _text(nano: int) -> str:
    return f"{nano // 10**9}.{nano % 10**9:09d}"
