"""The fault catalogue, its rules and the request log."""

import pytest

from providers.sandbox.config import FaultRule, Latency, SandboxConfig, config_from
from providers.sandbox.faults import FAULTS, FaultBook, fault_in_prompt, fault_named, parse_fault
from providers.sandbox.requestlog import Entry, RequestLog


def test_every_fault_has_a_kind_and_a_meaning() -> None:
    assert {kind for kind, _ in FAULTS.values()} == {"refusal", "line", "content", "delivery", "job"}
    assert all(meaning for _, meaning in FAULTS.values())


def test_a_fault_is_written_as_name_and_arguments() -> None:
    fault = parse_fault("stall; seconds=0.5")
    assert (fault.name, fault.kind, fault.number("seconds", 1)) == ("stall", "line", 0.5)
    assert fault.number("missing", 7) == 7
    assert parse_fault("status-503").args == {"status": 503}
    for wrong in ("no-such-fault", "status-99", "status-600"):
        with pytest.raises(ValueError, match="unknown fault"):
            fault_named(wrong)


def test_a_rule_strikes_its_label_model_and_number_of_times() -> None:
    book = FaultBook([FaultRule(fault="status-500", label="google", model="m", times=2)])
    assert book.strike("other", "m", "chat") is None
    assert book.strike("google", "x", "chat") is None
    struck = [book.strike("google", "m", "chat") for _ in range(3)]
    assert [fault and fault.name for fault in struck] == ["status-500", "status-500", None]
    assert book.as_list()[0]["left"] == 0


def test_quiet_operations_are_struck_only_by_name() -> None:
    book = FaultBook([FaultRule(fault="status-500")])
    assert book.strike("", "", "models") is None
    assert book.strike("", "", "poll") is not None
    book.set([FaultRule(fault="status-500", on="models")])
    assert book.strike("", "", "models") is not None
    assert book.strike("", "", "chat") is None


def test_a_rate_strikes_a_share_and_repeats_with_the_seed() -> None:
    runs = []
    for _ in range(2):
        book = FaultBook([FaultRule(fault="reset", rate=0.3)], seed=5)
        runs.append([book.strike("", "", "chat") is not None for _ in range(500)])
    assert runs[0] == runs[1]
    assert 0.2 < sum(runs[0]) / 500 < 0.4


def test_rules_are_set_whole_or_not_at_all() -> None:
    book = FaultBook([FaultRule(fault="reset")])
    for wrong in (b'[{"fault": "nonsense"}]', b'[{"fault": "reset", "lable": "x"}]', b"{", b'[{"times": 1}]'):
        with pytest.raises(ValueError, match=r"."):
            book.set_json(wrong)
    assert [rule["fault"] for rule in book.as_list()] == ["reset"]
    book.set_json(b'[{"label": null, "model": null, "fault": "stall", "times": null, "args": {"seconds": 1}}]')
    assert book.as_list()[0]["args"] == {"seconds": 1}


def test_a_prompt_can_ask_for_a_fault() -> None:
    body = b'{"text": "please sandbox-fault: stall;seconds=2 now"}'
    fault = fault_in_prompt(body, "google")
    assert fault is not None
    assert fault.number("seconds", 0) == 2
    confined = b'"sandbox-fault: reset;label=a"'
    assert fault_in_prompt(confined, "a") is not None
    assert fault_in_prompt(confined, "b") is None
    assert fault_in_prompt(b"nothing", "a") is None


def test_the_configuration_names_what_is_wrong_in_it() -> None:
    config = config_from({"latency": {"a/m": {"ttft_ms": 9}, "*": {"ttft_ms": 1}}, "quota_rpm": {"m": 3}})
    assert config.latency_of("a", "m").ttft_ms == 9
    assert config.latency_of("b", "m").ttft_ms == 1
    assert SandboxConfig().latency_of("b", "m") == Latency()
    assert (config.quota_of("b", "m"), config.quota_of("b", "x")) == (3, None)
    with pytest.raises(ValueError, match=r"latency"):
        config_from({"latency": {"*": {"ttft_ms": "slow"}}})


def test_the_log_is_bounded_and_summarises_what_is_not_json() -> None:
    log = RequestLog(2)
    for body in (b"1", b'{"a": 1}', b"--boundary", b"x" * 300_000):
        entry = Entry("POST", "/x", b"", [(b"x-a", b"1")], 1)
        entry.body = body
        log.add(entry)
    assert log.total == 4
    bodies = [one["body"] for one in log.entries()]
    assert [body["bytes"] for body in bodies] == [10, 300_000]
    log.clear()
    assert log.entries() == []
