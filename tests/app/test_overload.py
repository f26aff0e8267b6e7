"""More than the upstreams take, over real sockets: what settles, who waits, who is turned away and how soon."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import httpx
import pytest
from harness import Turnout, chat, counter, eventually
from msgspec import Struct

from providers.sandbox.config import FaultRule, Latency, SandboxConfig

MODELS = """
models:
  m: {kind: chat, context_tokens: 100000, max_output_tokens: 1000, ttft_ms: 300, tpot_ms: 1, prices: []}
"""
PUBLIC = """
providers: {up: {type: openai, api_key: "k"}}
models: {chat: {targets: [up/m]}}
"""


class Answered(Struct, frozen=True):
    """How one request ended, and how many seconds after it was sent."""

    status: int
    seconds: float
    code: str | None
    headers: Any


Ask = Callable[[], Awaitable[Answered]]


async def with_client(router: Turnout, work: Callable[[Ask], Awaitable[list[Answered]]]) -> list[Answered]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> Answered:
            started = time.monotonic()
            body = chat("say: hello", "chat")
            async with session.post(f"{router.base_url}/chat/completions", json=body) as response:
                found = await response.json()
                code = found.get("error", {}).get("code")
                return Answered(response.status, time.monotonic() - started, code, response.headers)

        return await work(ask)


async def burst(ask: Ask, count: int) -> list[Answered]:
    return list(await asyncio.gather(*(ask() for _ in range(count))))


async def steady(ask: Ask, per_s: float, seconds: float) -> list[Answered]:
    """Requests at a rate that does not wait for answers."""
    tasks = []
    for number in range(int(per_s * seconds)):
        tasks.append(asyncio.create_task(ask()))
        await asyncio.sleep(1 / per_s if number else 0)
    return [await task for task in tasks]


def most(values: list[float]) -> float:
    """What three quarters stay below: one stall of a busy machine makes all that is under way late."""
    return sorted(values)[int(0.75 * (len(values) - 1))]


def test_after_a_burst_the_router_keeps_to_what_the_upstream_takes_at_a_time(turnout: Callable[..., Turnout]) -> None:
    slow = {"*": Latency(ttft_ms=200)}
    router = turnout(PUBLIC, catalogue=MODELS, sandbox=SandboxConfig(latency=slow, parallel={"*": 8}))

    async def work(ask: Ask) -> list[Answered]:
        await burst(ask, 40)  # nothing is known yet: the upstream refuses most of it
        router.clear()
        return [answer for _ in range(4) for answer in await burst(ask, 30)]

    found = asyncio.run(with_client(router, work))
    assert {each.status for each in found} == {200}
    assert len([each for each in router.requests() if each["status"] == 429]) <= 4
    assert 5 <= counter(router, "router_concurrency_limit", provider="up", model="m") <= 9
    assert counter(router, "router_queue_wait_seconds_count", model="chat") >= 4 * 21


OWN = """
providers: {up: {type: openai, api_key: "k", max_concurrency: 4}}
models: {chat: {targets: [up/m]}}
routing: {queue: {size: 4, max_wait_ms: 300}}
"""


def test_five_times_too_much_is_turned_away_at_once_and_the_rest_is_served_as_ever(
    turnout: Callable[..., Turnout],
) -> None:
    router = turnout(OWN, catalogue=MODELS, sandbox=SandboxConfig(latency={"*": Latency(ttft_ms=300)}))
    unloaded: list[Answered] = []

    async def work(ask: Ask) -> list[Answered]:
        unloaded.extend([await ask() for _ in range(5)])
        return await steady(ask, 5 * 4 / 0.3, 3.0)

    found = asyncio.run(with_client(router, work))
    served = [each.seconds for each in found if each.status == 200]
    shed = [each for each in found if each.status != 200]
    assert len(found) == 200
    assert 30 <= len(served) <= 52
    assert {(each.status, each.code) for each in shed} == {(429, "router_overloaded")}
    assert all(int(each.headers["retry-after"]) >= 1 for each in shed)
    assert {each.headers["x-router-attempts"] for each in shed} == {"0"}
    at_once = [each.seconds for each in shed if each.seconds < 0.25]  # the others had a place in the queue
    assert len(at_once) > 0.8 * len(shed)
    assert most(at_once) < 0.15
    assert most(served) < 2 * most([each.seconds for each in unloaded]) + 0.2
    assert sum(counter(router, "router_shed_total", model="chat", reason=why) for why in SHED) == len(shed)
    assert counter(router, "router_attempts_total", provider="up") == len(served) + 5

    after = asyncio.run(with_client(router, lambda ask: burst(ask, 4)))
    assert [each.status for each in after] == [200] * 4
    assert max(each.seconds for each in after) < 1.0
    health = router.gateway.health
    assert (len(health.queue), dict(health.queue.lengths)) == (0, {})
    assert router.gateway.in_flight == 0


SHED = ("queue_full", "too_long", "timed_out")


@pytest.fixture
def single(turnout: Callable[..., Turnout]) -> Turnout:
    """An upstream that takes one request at a time and writes for some seconds."""
    config = OWN.replace("max_concurrency: 4", "max_concurrency: 1").replace("300", "5000")
    slow = {"*": Latency(ttft_ms=50, tokens_per_s=40)}
    return turnout(config, catalogue=MODELS, sandbox=SandboxConfig(latency=slow))


@pytest.mark.parametrize("mode", ["live", "repair", "buffered"])
def test_a_stream_holds_its_place_to_its_end_and_a_client_that_leaves_gives_it_back(single: Turnout, mode: str) -> None:
    body = chat("words: 400", "chat", stream=True, router={"stream_mode": mode})
    client = threading.Thread(target=leave_soon, args=(single, body))
    client.start()
    eventually(lambda: shown(single) == (1, 1, "at its concurrency limit"))
    client.join()
    eventually(lambda: shown(single) == (0, 1, "kept"))
    started = time.monotonic()
    assert single.http.post("/v1/chat/completions", json=chat("say: hi", "chat")).status_code == 200
    assert time.monotonic() - started < 2.0
    assert shown(single) == (0, 1, "kept")


def leave_soon(router: Turnout, body: dict[str, Any]) -> None:
    with (
        contextlib.suppress(httpx.ReadTimeout),
        httpx.Client(timeout=1.0) as client,
        client.stream("POST", f"{router.base_url}/chat/completions", json=body) as response,
    ):
        next(response.iter_raw())
        time.sleep(1.0)


def shown(router: Turnout) -> tuple[int, int, str]:
    """What is under way, what may be, and why the target is not asked first."""
    first = router.http.post("/v1/route", json=chat("hi", "chat")).json()["candidates"][0]
    return first["in_flight"], first["concurrency_limit"], first["reason"]


def test_a_stream_that_ends_lets_the_next_one_in(single: Turnout) -> None:
    body = chat("words: 20", "chat", stream=True)

    async def work(ask: Ask) -> list[Answered]:
        async with aiohttp.ClientSession() as session:

            async def read() -> bytes:
                async with session.post(f"{single.base_url}/chat/completions", json=body) as response:
                    return await response.read()

            reading = [asyncio.create_task(read()) for _ in range(3)]
            for task in reading:
                assert b"[DONE]" in await task
        return []

    asyncio.run(with_client(single, work))
    entries = sorted(single.requests(operation="chat"), key=lambda entry: entry["time"])
    assert len(entries) == 3
    assert all(later["time"] > one["time"] + one["duration_s"] - 0.05 for one, later in pairwise(entries))


def test_a_stream_that_broke_and_was_mended_holds_no_place_anywhere(turnout: Callable[..., Turnout]) -> None:
    config = """
providers:
  first: {type: openai, api_key: "k", max_concurrency: 1}
  second: {type: openai, api_key: "k", max_concurrency: 1}
models: {chat: {targets: [first/m, second/m], sort: order, stream_mode: repair}}
"""
    router = turnout(config, catalogue=MODELS)
    router.faults(FaultRule(fault="truncate", label="first", args={"after": 8}))
    for _ in range(2):
        answer = router.http.post("/v1/chat/completions", json=chat("words: 30", "chat", stream=True))
        assert "word30" in answer.text
        assert "[DONE]" in answer.text
    assert len(router.requests(label="first")) == 2
    targets = router.on_loop(lambda: {key: each.under_way for key, each in router.gateway.health.targets().items()})
    assert targets == {("first", "m"): 0, ("second", "m"): 0}
