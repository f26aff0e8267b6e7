"""Every recorded Gemini answer, translated, and checked against its raw JSON, which the test reads itself."""

from random import Random
from typing import Any

import pytest
from recorded import ABSENT, Exchange, load, names, present
from recorded_gemini import NOT_SERVED, check_message, expected, is_stream, joined_deltas, raw_objects

from providers.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    ModelNotFoundError,
    ProviderError,
)
from providers.gemini.failures import error_from
from providers.gemini.response import from_generate_content
from providers.gemini.stream import ChunkTranslator
from providers.gemini.translated import Reading
from providers.sse import EventDecoder
from providers.types import ChatChunk, Usage

pytestmark = pytest.mark.skipif(not present(), reason=ABSENT)

ERRORS = {
    "error-400-api-key-on-stream": AuthenticationError,
    "error-400-invalid-role-vertex": BadRequestError,
    "error-404-embed": ModelNotFoundError,
    "error-404-model-retired": ModelNotFoundError,
    "error-404-model-vertex": ModelNotFoundError,
}
ALL = [name for name in names("gemini") if name != "embed-batch"]  # see test_embedding_replay.py
_EVERY = 4096


def exchange_or_skip(name: str) -> Exchange:
    if name in NOT_SERVED:
        pytest.skip(NOT_SERVED[name])
    return load("gemini", name)


def cuts_of(name: str, body: bytes) -> list[int]:
    """Every offset of the first 4 KB, and two hundred of the rest that are the same in each run."""
    rest = range(_EVERY, len(body))
    return [*range(1, min(_EVERY, len(body))), *sorted(Random(name).sample(rest, min(200, len(rest))))]


def minter() -> Any:
    count = iter(range(1000))
    return lambda: f"call_{next(count)}"


def seen_usage(usage: Usage) -> tuple[int, int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens, usage.cached_tokens


def translate(body: bytes, cuts: list[int]) -> tuple[list[ChatChunk], str | None]:
    decoder, translator = EventDecoder(), ChunkTranslator(Reading(), minter())
    chunks: list[ChatChunk] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        for event in decoder.feed(body[start:end]):
            chunks.extend(translator.feed(event))
    for event in decoder.finish():
        chunks.extend(translator.feed(event))
    chunks.extend(translator.finish())
    return chunks, translator.model


def test_there_is_recorded_traffic_of_every_kind() -> None:
    found = [load("gemini", name) for name in ALL]
    assert sum(is_stream(item) for item in found) >= 15
    assert sum(item.status >= 400 for item in found) == len(ERRORS)
    assert len(found) >= 60


@pytest.mark.parametrize("name", [name for name in ALL if name in ERRORS])
def test_a_recorded_error_is_classified_and_shows_nothing_of_the_account(name: str) -> None:
    exchange = load("gemini", name)
    error = error_from(exchange.status, exchange.headers, exchange.body)
    assert type(error) is ERRORS[name]
    assert error.status == exchange.status
    for secret in ("projects/", "googleapis", "fake-project", "http"):
        assert secret not in error.message


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_answer_says_what_its_raw_json_says(name: str) -> None:
    exchange = exchange_or_skip(name)
    want = expected(exchange)
    if is_stream(exchange):
        chunks, model = translate(exchange.body, [])
        finishes = [chunk for chunk in chunks if chunk.finish_reason is not None]
        assert [chunk.finish_reason for chunk in finishes] == [want["finish"]]
        assert finishes[0] is chunks[-1]
        assert finishes[0].native_finish_reason == want["native"]
        check_message(joined_deltas(dict(chunk.delta) for chunk in chunks), want)
        assert chunks[-1].usage is not None
        assert seen_usage(chunks[-1].usage) == want["usage"]
        assert model == raw_objects(exchange)[0]["modelVersion"]
        return
    response = from_generate_content(exchange.body, model="asked", mint=minter())
    raw = raw_objects(exchange)[0]
    assert response.model == raw["modelVersion"]
    if "responseId" in raw:
        assert response.id == f"chatcmpl-{raw['responseId']}"
    choice: dict[str, Any] = dict(response.choices[0])
    assert len(response.choices) == 1
    assert choice["finish_reason"] == want["finish"]
    assert choice["native_finish_reason"] == want["native"]
    check_message(choice["message"], want)
    assert seen_usage(response.usage) == want["usage"]


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_stream_reads_the_same_however_the_network_cuts_it(name: str) -> None:
    exchange = exchange_or_skip(name)
    if not is_stream(exchange):
        return
    body = exchange.body
    whole = translate(body, [])
    assert translate(body, list(range(1, len(body)))) == whole, "byte by byte"
    for cut in cuts_of(name, body):
        assert translate(body, [cut]) == whole, f"cut at {cut}"
    assert translate(body.replace(b"\r\n", b"\n"), []) == whole, "line feeds only"
    assert translate(body.rstrip(), []) == whole, "without the last blank line"


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_stream_that_ends_anywhere_early_is_never_taken_for_whole(name: str) -> None:
    exchange = exchange_or_skip(name)
    if not is_stream(exchange):
        return
    body = exchange.body
    message = joined_deltas(dict(chunk.delta) for chunk in translate(body, [])[0])
    last = body.rindex(b'"finishReason"')
    for end in (*cuts_of(name, body), last):
        try:
            chunks, _ = translate(body[:end], [])
        except ProviderError as error:
            assert error.outcome == "stream_truncated"  # noqa: PT017  the other end of the same question
        else:
            assert end > last, f"ended at {end}, before the reason to stop"
            assert joined_deltas(dict(chunk.delta) for chunk in chunks) == message


@pytest.mark.parametrize("name", [name for name in ALL if name not in ERRORS])
def test_a_recorded_whole_answer_that_ends_anywhere_early_is_never_taken_for_whole(name: str) -> None:
    exchange = exchange_or_skip(name)
    if is_stream(exchange):
        return
    body = exchange.body.rstrip()
    for end in (0, *cuts_of(name, body)):
        with pytest.raises(BadResponseError):
            from_generate_content(body[:end], model="asked", mint=minter())


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_recorded_error_that_ends_anywhere_early_is_still_an_error_that_shows_nothing(name: str) -> None:
    exchange = load("gemini", name)
    for end in (0, *cuts_of(name, exchange.body)):
        error = error_from(exchange.status, exchange.headers, exchange.body[:end])
        assert isinstance(error, ProviderError)
        assert error.status == exchange.status
        assert "projects/" not in error.message
