"""Customers: who buys, in which currency, and how they pay."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from flatfare.core.errors import BadInput
from flatfare.core.ledger import Account, Kind

NAME_LENGTH_MAX = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+\-]*")


class Terms(StrEnum):
    """How a customer pays."""

    PREPAID = "prepaid"  # from wallet, credit and packs
    INVOICE = "invoice"  # what these do not cover falls into the next invoice
    TEAM = "team"  # a team of our own: what it uses is charged back to it


@dataclass(frozen=True, slots=True)
class Customer:
    """Who buys."""

    name: str
    currency: str
    terms: Terms = Terms.PREPAID
    credit_limit_nano: int | None = None  # of terms other than prepaid; None: no limit
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # what an invoice says
    created_at_us: int = 0
    closed_at_us: int | None = None

    def account(self, kind: Kind) -> Account:
        """One of the customer's own accounts."""
        return Account(kind, self.name, self.currency)

    @property
    def owed(self) -> Account:
        """Where stands what the customer has used and is to pay later."""
        return self.account(Kind.TEAM if self.terms is Terms.TEAM else Kind.ACCRUED)


def check_name(name: str) -> str:
    """The name itself; ``BadInput`` where it cannot be one."""
    if not _NAME.fullmatch(name) or len(name) > NAME_LENGTH_MAX:
        raise BadInput(
            f"Found the customer's name {name[:40]!r}: it has letters, digits and . _ - @ +, begins with a "
            f"letter or digit, and has at most {NAME_LENGTH_MAX} of them."
        )
    return name
