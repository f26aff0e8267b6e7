"""Closed records are entered in batches: each once, none lost, and nobody reads books with one missing."""

import asyncio
import logging

import pytest
from builders import candidate, health

from router.accounting.books import AccessLine, Books
from router.accounting.metrics import Metrics
from router.accounting.record import RequestRecord
from router.routing.plan import Attempt


def opened() -> tuple[Books, Metrics]:
    metrics = Metrics({"chat", "a/m"}, health(), {})
    return Books(metrics), metrics


def ended(books: Books, request_id: str = "req_1", status: int = 200) -> None:
    record = RequestRecord(request_id, "chat", "/v1/chat/completions", 1_795_200_000.0, 100.0, books.close)
    record.model, record.key_name = "chat", "me"
    record.attempts.append(Attempt(candidate=candidate("a/m"), duration_s=0.5))
    record.close(status, 101.5)


def counted(metrics: Metrics, status: str = "200") -> float | None:
    return metrics.registry.get_sample_value("router_requests_total", {"model": "chat", "status": status})


async def test_what_was_closed_is_counted_soon_without_being_asked_for() -> None:
    books, metrics = opened()
    ended(books)
    ended(books, "req_2")
    assert counted(metrics) is None
    await asyncio.sleep(0.1)
    assert counted(metrics) == 2
    await asyncio.sleep(0.1)
    assert counted(metrics) == 2
    ended(books, "req_3")
    await asyncio.sleep(0.1)
    assert counted(metrics) == 3


async def test_whoever_asks_for_a_record_finds_it_at_once_and_it_counts_once() -> None:
    books, metrics = opened()
    ended(books)
    found = books.recent("req_1", "me")
    assert found is not None
    assert found.status == 200
    assert books.recent("req_1", "somebody else") is None
    await asyncio.sleep(0.1)
    assert counted(metrics) == 1


async def test_one_that_cannot_be_counted_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    books, metrics = opened()
    broken = RequestRecord("req_bad", "chat", "/", 0.0, 100.0, books.close)
    broken.attempts.append(None)  # type: ignore[arg-type]
    broken.close(200, 101.0)
    ended(books)
    books.enter()
    assert counted(metrics) == 1
    assert "req_bad" in caplog.text


async def test_a_line_tells_when_the_request_ended_and_how(caplog: pytest.LogCaptureFixture) -> None:
    books, _ = opened()
    lines: list[AccessLine] = []
    books.write_access = lines.extend
    with caplog.at_level(logging.INFO, "turnout.access"):
        ended(books)
        books.enter()
    words = "req_1 /v1/chat/completions 200 model='chat' served=a/m attempts=1 ms=1500.0 cost=-"
    assert lines == [(1_795_200_001.5, words)]
    with caplog.at_level(logging.WARNING, "turnout.access"):
        ended(books, "req_2")
        books.enter()
    assert len(lines) == 1
