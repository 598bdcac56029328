"""The fields of a form, read as strictly as can be: where two readers might differ, it is not read."""

import re
from collections.abc import Mapping

_BOUNDARY = re.compile(
    rb'multipart/form-data\s*;\s*boundary=("?)([0-9A-Za-z\'()+_,./:=? -]{1,70})\1', re.IGNORECASE
)
_NAMED = re.compile(
    rb'content-disposition: *form-data; *name="([A-Za-z0-9_\[\]]{1,64})"(?:; *filename="[^"\r\n]{0,512}")?'
    rb"(?:\r\ncontent-type: *[^\r\n]{0,200})?",
    re.IGNORECASE,
)
_TYPE_FIRST = re.compile(rb"(content-type:[^\r\n]*)\r\n(content-disposition:[^\r\n]*)", re.IGNORECASE)
_PARTS_MAX = 64


def fields_of(content_type: bytes, body: bytes) -> Mapping[str, bytes] | None:
    """The fields of a form by their names; None for anything else, and where one but a list stands twice."""
    said = _BOUNDARY.fullmatch(content_type.strip())
    if said is None:
        return None
    line = b"--" + said[2]
    pieces = body.split(b"\r\n" + line, _PARTS_MAX + 1)
    if not pieces[0].startswith(line) or len(pieces) > _PARTS_MAX or pieces[-1] not in (b"--", b"--\r\n"):
        return None
    pieces[0] = pieces[0][len(line) :]
    fields: dict[str, bytes] = {}
    for piece in pieces[:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        named = _NAMED.fullmatch(_TYPE_FIRST.sub(rb"\2\r\n\1", head[2:]))
        name = "" if named is None else named[1].decode()
        if not blank or not head.startswith(b"\r\n") or not name:
            return None
        if name in fields and not name.endswith("[]"):
            return None
        fields[name] = content
    return fields
