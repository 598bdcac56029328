"""A gateway that stores what every key says, whether it asks for that or not."""

from flatfare.gateway.keyring import KeyRing
from flatfare.store.text_terms import TextTerms

_refresh = KeyRing.refresh


class _Always(dict):
    def get(self, key, default=None):
        return TextTerms(86_400_000_000)

    def __bool__(self):
        return True


def _refreshed(ring, **given):
    changed = _refresh(ring, **given)
    ring.texts = _Always()
    return changed


KeyRing.refresh = _refreshed
