"""What a key begins with, kept so that people tell keys apart, is all of it."""

from flatfare.service.access import keys

CAUGHT_BY = (
    "test_p11_private_by_default.py::test_the_hash_of_a_key_is_kept_and_not_the_key",
    "test_p11_private_by_default.py::test_nothing_is_kept_but_counts_and_names",
)

keys._PREFIX_LENGTH = 999
