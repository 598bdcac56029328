"""What of a request is kept besides its counts: hashes and sizes, never a word of its text.

They let later questions be answered (has the system prompt drifted, do conversations
grow, what do tools cost) without anything being stored that somebody wrote.
"""

import hashlib
import logging

import msgspec

BYTES_PER_TOKEN = 4
"""About as many bytes of English or JSON make a token: an estimate for shares, never for costs."""


_log = logging.getLogger("flatfare.gateway")


class _Message(msgspec.Struct):
    role: msgspec.Raw = msgspec.Raw()
    content: msgspec.Raw = msgspec.Raw()


class _Sent(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    contents: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()  # noqa: N815 - Google's name
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    toolConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815 - AWS's name


_decode_sent = msgspec.json.Decoder(_Sent).decode
_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_SYSTEM_ROLES = (b'"system"', b'"developer"')


def traits_of(body: bytes) -> str | None:
    """A JSON object of a request's traits; None where the body is no JSON of a model call."""
    if body[:1] != b"{":
        return None
    try:
        sent = _decode_sent(body)
        system, messages = _conversation(sent)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    except Exception:  # noqa: BLE001 - a request that breaks this reader is forwarded all the same
        _log.exception("The traits of a request could not be read.")
        return None
    tools = len(sent.tools or sent.functions or sent.toolConfig)
    parts = [f'"messages":{messages}']
    if system:
        # blake2b: twice as fast as SHA-256, and as hard to turn around
        parts.append(f'"system_hash":"{hashlib.blake2b(system, digest_size=16).hexdigest()}"')
        parts.append(f'"system_tokens":{len(system) // BYTES_PER_TOKEN}')
    if tools:
        parts.append(f'"tools_permille":{1000 * tools // len(body)}')
    return "{" + ",".join(parts) + "}"


def _conversation(sent: _Sent) -> tuple[bytes, int]:
    """The system prompt as it was written, and how many messages there are."""
    system = bytes(sent.system or sent.instructions or sent.system_instruction or sent.systemInstruction)
    if sent.messages:
        messages = _decode_messages(sent.messages)
        while messages and bytes(messages[0].role) in _SYSTEM_ROLES:
            system += bytes(messages.pop(0).content)
        return system, len(messages)
    listed = sent.contents or sent.input
    if listed and bytes(listed)[:1] == b"[":
        return system, len(_decode_list(listed))
    return system, 1 if listed else 0
