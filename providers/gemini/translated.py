"""What a translated request is: the body to send, what was lost, and what its answer must be read with."""

from collections.abc import Mapping

from msgspec import Struct

from providers.types import JsonObject


class Reading(Struct, frozen=True, kw_only=True):
    """What the answer's reader must know of the request.

    `names`: tool name on the wire -> the caller's, for renamed tools only. `schemas`: the caller's parameter schema by
    wire name. `custom`: wire names of OpenAI "custom" tools, whose single argument is `input`. `legacy_function`: the
    caller used `functions`, so the call goes back as `function_call`. `single_call`: `parallel_tool_calls` was false,
    only the first call is passed on. `json_text`: JSON was asked for, so a code fence around all of it is taken off.
    `searches_by_query`: searches are charged per query (generation 3) and not per grounded prompt. `wav`: audio goes
    back as a WAV file and not as bare samples.
    """

    names: Mapping[str, str] = {}
    schemas: Mapping[str, JsonObject] = {}
    custom: frozenset[str] = frozenset()
    legacy_function: bool = False
    single_call: bool = False
    json_text: bool = False
    searches_by_query: bool = True
    wav: bool = False


class Translated(Struct, frozen=True, kw_only=True):
    """A request in Google's terms. `warnings` holds each lossy mapping as `field=what happened`, `headers` what this
    request says beside its body."""

    body: JsonObject
    headers: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    reading: Reading = Reading()
