"""The access log's lines on standard error: the shape of all other log lines, and never in the way of an answer."""

import io
import logging
import re

from router.serve import AccessLines


def test_a_line_looks_like_every_other_log_line() -> None:
    stream = io.StringIO()
    lines = AccessLines(stream)
    lines.write([(1_795_190_000.25, "req_1 /v1/chat/completions 200"), (1_795_190_000.75, "req_2")])
    lines.write([(1_795_190_001.75, "req_3")])
    record = logging.LogRecord("turnout.access", logging.INFO, "", 0, "req_1 /v1/chat/completions 200", (), None)
    record.created, record.msecs = 1_795_190_000.25, 250.0
    usual = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s").format(record)
    first, second, third = stream.getvalue().splitlines()
    assert first == usual
    assert re.search(r":20,750 INFO turnout\.access: req_2$", second)
    assert re.search(r":21,750 INFO turnout\.access: req_3$", third)


def test_a_stream_that_is_gone_costs_a_line_and_no_answer() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    AccessLines(Gone()).write([(0.0, "req_1")])
    closed = io.StringIO()
    closed.close()
    AccessLines(closed).write([(0.0, "req_1")])
