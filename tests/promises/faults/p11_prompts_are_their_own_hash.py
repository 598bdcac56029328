"""What tells a system prompt again is the prompt itself."""

from types import SimpleNamespace

from flatfare.gateway import traits

CAUGHT_BY = ("test_p11_private_by_default.py::test_nothing_is_kept_but_counts_and_names",)


def _as_it_is(data, digest_size):
    return SimpleNamespace(hexdigest=lambda: data.decode().strip('"'))


traits.hashlib = SimpleNamespace(blake2b=_as_it_is)
