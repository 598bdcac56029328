"""Sales: quote, hold, settle, void, reverse; wallets, packs and grants; and what the ledger says of them.

Each verb moves money once, whatever is tried again: an id that is given, or made of the
task and the verb, names the entry, and the same id with the same words is a no-op.
"""

from flatfare.core.customer import Customer, Terms
from flatfare.core.grant import Category, Draw, Grant
from flatfare.core.ledger import Account, Entry, Kind, NotEnoughCredit, Posting, Verb
from flatfare.core.sale import Costs, NotBillable, Quote, Sale
from flatfare.service.selling import customers, packs
from flatfare.service.selling.following import Followed, follow
from flatfare.service.selling.granting import Paid, expire_lots, grant_credit, grant_pack, top_up_wallet
from flatfare.service.selling.holding import check_credit, hold, quote, quote_of
from flatfare.service.selling.posting import lock_of, post
from flatfare.service.selling.reading import (
    Balance,
    account_postings,
    balance,
    entries,
    sale_of,
    sales_of,
    totals,
)
from flatfare.service.selling.replaying import differences, rebuilt
from flatfare.service.selling.reversing import reverse
from flatfare.service.selling.settling import book_costs, due_of, settle, void
from flatfare.service.selling.verifying import heads, verify
from flatfare.store.sales import Pack

__all__ = [
    "Account",
    "Balance",
    "Category",
    "Costs",
    "Customer",
    "Draw",
    "Entry",
    "Followed",
    "Grant",
    "Kind",
    "NotBillable",
    "NotEnoughCredit",
    "Pack",
    "Paid",
    "Posting",
    "Quote",
    "Sale",
    "Terms",
    "Verb",
    "account_postings",
    "balance",
    "book_costs",
    "check_credit",
    "customers",
    "differences",
    "due_of",
    "entries",
    "expire_lots",
    "follow",
    "grant_credit",
    "grant_pack",
    "heads",
    "hold",
    "lock_of",
    "packs",
    "post",
    "quote",
    "quote_of",
    "rebuilt",
    "reverse",
    "sale_of",
    "sales_of",
    "settle",
    "top_up_wallet",
    "totals",
    "verify",
    "void",
]
