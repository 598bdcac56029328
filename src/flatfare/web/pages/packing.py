"""Answers packed for the way: our own files and pictures.

Never a page: what is packed together with a secret and with what somebody wrote can give the secret away.
"""

import gzip
from collections.abc import Mapping
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

BYTES_MIN = 1400
"""What fits into one packet is not packed."""


def packed(request: Request, body: bytes, headers: Mapping[str, str], media: str) -> Response:
    """The answer, packed where whoever asks can unpack it and it becomes smaller."""
    is_text = media.startswith("text/") or media.endswith(("json", "xml"))
    if not is_text or len(body) < BYTES_MIN:
        return Response(body, 200, dict(headers), media)
    varies = {**headers, "vary": "accept-encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(body, 200, varies, media)
    return Response(_small(body), 200, {**varies, "content-encoding": "gzip"}, media)


@lru_cache(maxsize=64)
def _small(body: bytes) -> bytes:
    return gzip.compress(body, 6, mtime=0)
