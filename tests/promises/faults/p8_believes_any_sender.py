"""A message is believed whoever signed it."""

from flatfare.core import webhook

CAUGHT_BY = ("../service/judging/test_signalling.py::test_nobody_is_believed_without_the_secret[sqlite]",)

webhook.check = lambda headers, body, secrets, *, now_s: headers.get(webhook.ID, "msg")
