"""Finding again a batch of which nobody heard whether it was made, so that it is not sent twice.

What the book knows is asked first, then the provider. Where neither can tell, that is said.
"""

import asyncio
from urllib.parse import quote

from flatfare.runner.batching import shelving
from flatfare.runner.batching.log import Sent
from flatfare.runner.batching.under_way import Means
from flatfare.runner.batching.wires import wire_of
from flatfare.service import clock

UNHEARD = "Whether its batch was sent nobody heard"
_PAGES_MAX = 10


class Finder:
    """Finds what was sent, or tells that nothing was."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def search(self, sent: Sent) -> bool:
        """Find a batch of which nobody heard whether it was made, by what the book and the provider know.

        Whether it is certain by now what became of it.
        """
        if sent.request_hash is None:
            return True
        means = self._means
        await means.book_calls()
        made = await means.books.do(shelving.made_by, sent.request_hash)
        if made is not None:
            means.log.step(sent.id, batch_id=made.batch_id, call_id=made.call_id)
            return True
        found, is_certain = await self._listed(sent)
        if not found and is_certain:  # what was on its way when it broke off may be there a little later
            await asyncio.sleep(means.pace.late_s)
            found, is_certain = await self._listed(sent)
        for batch_id in found:
            provider, key_id = self._provider(sent), means.log.key_id
            call_id = await means.books.do(shelving.adopt, provider, sent, batch_id, key_id)
            if call_id is not None:
                means.log.step(sent.id, batch_id=batch_id, call_id=call_id)
                return True
        if is_certain:
            await means.books.do(shelving.not_made, sent, clock.now_us())
        return is_certain

    async def restore(self, sent: Sent) -> None:
        """See what became of a batch that was about to be made when its process ended."""
        is_certain = await self.search(sent)
        if sent.batch_id is None:
            self._means.log.step(sent.id, is_dropped=True)
        if not is_certain:
            self.warn(sent)

    def warn(self, sent: Sent) -> None:
        """Say that a batch is sent again that may have been sent before."""
        self._means.say(
            f"{UNHEARD}, and its provider cannot be asked: its {len(sent.lines):,} requests are sent again. "
            f"Look for a batch with the label batch={sent.id} there."
        )

    async def _listed(self, sent: Sent) -> tuple[list[str], bool]:
        """Those of the provider's batches that may be it, and whether all of its could be seen."""
        wire = wire_of(sent.kind)
        assert wire is not None
        found: list[str] = []
        after = ""
        for _ in range(_PAGES_MAX):
            path = f"{sent.base}{wire.makes_at}?limit=100{after}"
            status, document = await self._means.talk.get(path, wire)
            listed = [] if document is None else document.get("data") or []
            found += wire.found(listed, sent.id, len(sent.lines), sent.at_us)
            if document is None or not document.get("has_more") or not listed:
                return found, status == 200
            name = "after" if wire.kind == "openai" else "after_id"
            after = f"&{name}={quote(str(listed[-1]['id']))}"
        return found, bool(found)

    def _provider(self, sent: Sent) -> str:
        """The name of the provider that stands below a base."""
        first, _, rest = sent.base.lstrip("/").partition("/")
        named = rest.partition("/")[0] if first == "p" else {"v1": "openai"}.get(first, first)
        providers = self._means.gate.settings.providers
        speakers = (name for name, one in providers.items() if one.dialect == sent.kind)
        return named if named in providers else next(speakers, named)
