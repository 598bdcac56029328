"""Sending a batch: planned on record, its file uploaded, and made once, whatever is heard of it."""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256

from flatfare.core.action import Ending
from flatfare.runner.batching.asking import Question, Reply, unanswered
from flatfare.runner.batching.finding import UNHEARD, Finder
from flatfare.runner.batching.log import Line
from flatfare.runner.batching.talking import TRIES, headers_of_batch
from flatfare.runner.batching.under_way import Means, Under
from flatfare.service import clock


async def send(means: Means, finder: Finder, under: Under, questions: Mapping[str, Question]) -> Reply | None:
    """Send a batch of questions; the reply to all of them where that cannot be."""
    wire, base = under.wire, under.sent.base
    lines = [Line(name, one.digest, one.task_id, one.attempt_id) for name, one in questions.items()]
    sent = means.log.plan(under.sent.id, base, wire.kind, lines, clock.now_us())
    under.sent = sent
    requests = [(name, one.body) for name, one in questions.items()]
    first = next(iter(questions.values()))
    headers = headers_of_batch(first, sent.id)
    file_id: str | None = None
    if wire.uploads_at is not None:
        uploaded = await means.talk.upload(base + wire.uploads_at, wire.upload(requests), headers)
        if uploaded.status >= 400:
            return uploaded
        file_id = str(json.loads(uploaded.body)["id"])
    body = wire.making(sent.id, file_id, requests)
    means.log.step(sent.id, request_hash=sha256(body).hexdigest())
    refused = await _made(means, finder, under, body, {**headers, "content-type": "application/json"})
    if refused is None:
        means.say(f"batch {under.number}: {len(requests):,} sent")
    return refused


async def _made(
    means: Means, finder: Finder, under: Under, body: bytes, headers: Mapping[str, str]
) -> Reply | None:
    """Have the batch made, once; what stands in the way, where it cannot be."""
    sent = under.sent
    reply: Reply | None = None
    for number in range(TRIES):
        reply = await means.talk.post(sent.base + under.wire.makes_at, body, headers)
        if reply is not None and reply.status < 400:
            means.log.step(sent.id, batch_id=str(json.loads(reply.body)["id"]), call_id=reply.call_id)
            return None
        is_busy = reply is not None and reply.status == 429 and reply.refused is None
        if reply is not None and reply.status < 500 and not is_busy:
            return reply
        if not is_busy and not await finder.search(sent):
            finder.warn(sent)
            break
        if sent.batch_id is not None:
            return None
        await asyncio.sleep(means.pace.retry_s * 2**number)
    return reply or unanswered(Ending.ERROR, f"{UNHEARD}.")
