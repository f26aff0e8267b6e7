"""`encrypted_content` of a reasoning item: what a tool call must bring back so that the model can go on from it.

A client that keeps no state at the server sends reasoning items back as they were, whatever it does to the calls. So
what stands beside a call (`extra_content`: Gemini's thought signature) travels there too, under the id of its call.
"""

import base64
import binascii

import orjson

from providers.types import JsonObject

_MARK = "turnout-1."


def sealed(call_id: str, extra_content: JsonObject) -> str:
    """The text that carries `extra_content` of one call."""
    return _MARK + base64.urlsafe_b64encode(orjson.dumps([call_id, extra_content])).decode()


def opened(text: str) -> tuple[str, JsonObject] | None:
    """The call's id and its `extra_content`; None for what somebody else has encrypted, which nobody here can read."""
    if not text.startswith(_MARK):
        return None
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text.removeprefix(_MARK)))
    except (binascii.Error, ValueError):
        return None
    match found:
        case [str() as call_id, dict() as extra_content]:
            return call_id, extra_content
        case _:
            return None
