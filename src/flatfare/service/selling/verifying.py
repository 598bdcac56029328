"""Whether the ledger can be believed: every sum, balance, chain and projection told anew and compared.

What was edited, dropped, swapped or put in shows; a cut tail shows against ``heads`` that
were kept elsewhere.
"""

from collections.abc import Iterator, Mapping

from flatfare.core.chain import GENESIS
from flatfare.store import ledger_check
from flatfare.store.book import Book


def verify(book: Book, kept_heads: Mapping[str, tuple[int, str]] | None = None) -> list[str]:
    """Every problem of the ledger, in sentences; none where all holds.

    ``kept_heads`` are what ``heads`` said before: each must still stand where it stood.
    """
    with book.reading():
        return list(_problems(book, kept_heads or {}))


def heads(book: Book) -> dict[str, tuple[int, str]]:
    """The last record of every chain, by the chain's name: its position and hash, to be kept elsewhere."""
    with book.reading():
        return ledger_check.heads(book)


def _problems(book: Book, kept_heads: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    yield from ledger_check.broken_entries(book)
    yield from ledger_check.broken_accounts(book)
    yield from ledger_check.broken_sums(book)
    yield from ledger_check.broken_sales(book)
    yield from ledger_check.broken_grants(book)
    for chain, (position, own_hash) in kept_heads.items():
        found = ledger_check.hash_at(book, chain, position)
        if found != own_hash and not (position == 0 and own_hash == GENESIS):
            said = "is gone" if found is None else "differs from what it was"
            yield f"Record {position} of the chain {chain} {said}: its tail was cut, or it was hashed anew."
