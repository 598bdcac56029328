"""What a subject did elsewhere, or before a restart, does not count."""

from flatfare.gateway.guarding import tallies

CAUGHT_BY = ("../gateway/guarding/test_tallies.py::test_what_other_nodes_and_former_lives_counted_counts",)

_learn = tallies.Tallies.learn
tallies.Tallies.learn = lambda self, pairs, found, node: _learn(self, pairs, {}, node)
tallies.Tallies.hear = lambda self, others: None
