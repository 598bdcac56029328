"""A gateway that stores what every key says, whether it asks for that or not."""

from flatfare.gateway.keyring import KeyRing
from flatfare.store.text_terms import TextTerms


class _Always(dict):
    def get(self, key, default=None):
        return TextTerms(86_400_000_000)

    def __bool__(self):
        return True


KeyRing.texts = property(lambda ring: _Always())
