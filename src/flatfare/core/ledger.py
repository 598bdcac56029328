"""The ledger: accounts, and entries whose postings sum to zero in each currency.

Credits are positive: what is owed to somebody, or earned. Debits are negative: what is
owed to us, or spent. An entry is of one customer's books and never changes; what was
wrong is set right by another entry.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flatfare.core.currency import check_currency
from flatfare.core.errors import Contradiction, LimitExceeded


class NotEnoughCredit(LimitExceeded):
    """What a customer has does not cover this."""

    http_status = 402


class Kind(StrEnum):
    """What an account is for."""

    WALLET = "wallet"
    GRANT = "grant"
    HOLD = "hold"
    PENDING = "pending"
    ACCRUED = "accrued"
    TEAM = "team"
    RECEIVABLE = "receivable"
    CASH = "cash"
    DEFERRED = "deferred"
    REVENUE = "revenue"
    REFUNDS = "refunds"
    PROMOTION = "promotion"
    BREAKAGE = "breakage"
    MODEL_COST = "model_cost"
    VERIFICATION_COST = "verification_cost"
    REWORK_COST = "rework_cost"
    PAYABLE = "payable"
    TAX = "tax"
    ROUNDING = "rounding"


NEVER_NEGATIVE = frozenset({Kind.WALLET, Kind.GRANT, Kind.HOLD})
"""Nobody can spend from these what is not there."""

NEVER_POSITIVE = frozenset({Kind.PENDING})
"""No more is released than was held."""


class Verb(StrEnum):
    """What an entry does. Other parts of the product add verbs of their own; these are the ledger's."""

    TOP_UP = "top_up"
    GRANT = "grant"
    HOLD = "hold"
    SETTLE = "settle"
    VOID = "void"
    REVERSE = "reverse"
    COST = "cost"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """Where amounts of one currency stand.

    >>> Account(Kind.WALLET, "acme", "USD").id
    'wallet:acme:USD'
    """

    kind: Kind
    owner: str  # the customer; of a grant or a hold, the lot's or the task's id
    currency: str

    @property
    def id(self) -> str:
        """Its name in the book."""
        return f"{self.kind}:{self.owner}:{self.currency}"

    @classmethod
    def of(cls, account_id: str) -> "Account":
        """The account of that id."""
        kind, _, rest = account_id.partition(":")
        owner, _, currency = rest.rpartition(":")
        return cls(Kind(kind), owner, currency)


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount that an entry adds to an account; negative where it takes from it."""

    account: Account
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of money, whole or not at all.

    ``asked`` is what was asked for and ``decided`` what that came to, both as canonical
    JSON: the same id with the same ``asked`` is the same entry. ``number`` counts the
    customer's entries from 1.
    """

    id: str
    verb: str
    customer: str
    at_us: int
    postings: tuple[Posting, ...]
    asked: str = "{}"
    decided: str = "{}"
    task_id: str | None = None
    reverses: str | None = None
    reason: str | None = None
    by_whom: str | None = None
    number: int = 0

    def __post_init__(self) -> None:
        check_balanced(self.postings)

    @property
    def says(self) -> tuple[str, ...]:
        """The fields that its hash covers, in order."""
        return entry_says(
            (
                self.customer,
                self.number,
                self.id,
                self.verb,
                self.at_us,
                self.task_id,
                self.reverses,
                self.reason,
                self.by_whom,
                self.asked,
                self.decided,
            ),
            ((posting.account.id, posting.amount_nano) for posting in self.postings),
        )

    def is_same_as(self, other: "Entry") -> bool:
        """Both were asked for in the same words; the moment, and who asked, may differ."""
        return self._request == other._request

    @property
    def _request(self) -> tuple[str | None, ...]:
        return self.verb, self.customer, self.task_id, self.reverses, self.reason, self.asked


def entry_says(fields: Iterable[object], amounts: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """What an entry's hash covers: its fields, what is missing as empty text, and its postings by account."""
    said = ("" if field is None else str(field) for field in fields)
    return (*said, *sorted(f"{account}={nano}" for account, nano in amounts))


def posting_says(account: str, position: int, nano: int, balance: int, entry_hash: str) -> tuple[str, ...]:
    """What a posting's hash covers."""
    return account, str(position), str(nano), str(balance), entry_hash


def check_balanced(postings: Iterable[Posting]) -> None:
    """``Contradiction`` where the postings of an entry do not sum to zero in each currency."""
    sums: dict[str, int] = {}
    seen: set[str] = set()
    for posting in postings:
        account = posting.account
        if account.id in seen:
            raise Contradiction(
                f"Found the account {account.id} twice in one entry: add its amounts up first."
            )
        if not posting.amount_nano:
            raise Contradiction(f"Found a posting of zero to {account.id}: leave it out.")
        seen.add(account.id)
        sums[account.currency] = sums.get(account.currency, 0) + posting.amount_nano
    for currency, sum_nano in sums.items():
        check_currency(currency)
        if sum_nano:
            raise Contradiction(
                f"Found an entry whose postings in {currency} sum to {sum_nano} nano units: they sum to zero."
            )


def merged(moves: Iterable[tuple[Account, int]]) -> tuple[Posting, ...]:
    """Postings of these movements: one per account, in the order in which they first stand; no zeros.

    >>> wallet, hold = Account(Kind.WALLET, "a", "USD"), Account(Kind.HOLD, "t", "USD")
    >>> [posting.amount_nano for posting in merged([(wallet, -3), (wallet, -2), (hold, 5)])]
    [-5, 5]
    """
    sums: dict[Account, int] = {}
    for account, amount_nano in moves:
        sums[account] = sums.get(account, 0) + amount_nano
    return tuple(Posting(account, nano) for account, nano in sums.items() if nano)


def check_standing(account: Account, balance_nano: int) -> None:
    """``NotEnoughCredit`` where an account would hold what it cannot."""
    if (account.kind in NEVER_NEGATIVE and balance_nano < 0) or (
        account.kind in NEVER_POSITIVE and balance_nano > 0
    ):
        raise NotEnoughCredit(
            f"The account {account.id} would stand at {balance_nano} nano units: more is taken than is there."
        )


def canonical(content: Mapping[str, object]) -> str:
    """One writing per content: JSON with sorted keys and no spaces; what is None is left out.

    >>> canonical({"b": 1, "a": None})
    '{"b":1}'
    """
    given = {key: value for key, value in content.items() if value is not None}
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
