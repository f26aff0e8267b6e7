"""Routing judged in virtual time: nobody waits, everybody meets the same luck, the same seed tells the same story."""

import asyncio
import io
import json
import math
import random
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from msgspec.structs import replace
from recorded import DATA
from rich.console import Console
from typer.testing import CliRunner

from providers.errors import RateLimitedError, UnavailableError
from router.cli import app
from router.errors import SettingsError
from router.simulate.campaign import planned, simulate
from router.simulate.figures import quantile
from router.simulate.measure import estimate
from router.simulate.played import FAILED_WAIT_S
from router.simulate.players import NAMES, ORACLE, OURS, TOLD
from router.simulate.plots import draw_plots
from router.simulate.report import print_report
from router.simulate.run import play, play_one
from router.simulate.scenarios import FLASH, SCENARIOS, THIRD
from router.simulate.sweep import front, on_front
from router.simulate.upstreams import Phase, Upstreams
from router.simulate.virtual import VirtualLoop, run_virtual
from router.simulate.workload import Load, Traced, draw, read_trace

SHORT = Load(steps=((0.0, 5.0),), seconds=60.0)
CALM = replace(SCENARIOS["s1"], load=SHORT, warm_s=0.0)
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def test_an_hour_of_virtual_time_passes_at_once_and_in_order() -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(asyncio.get_running_loop().time())

    async def main() -> None:
        await asyncio.gather(*(sleeper(seconds) for seconds in (3600.0, 0.5, 60.0)))

    started = time.monotonic()
    run_virtual(main(), VirtualLoop())
    assert woken == pytest.approx([0.5, 60.0, 3600.0])
    assert time.monotonic() - started < 5.0


def test_a_task_that_nothing_can_wake_is_an_error_and_no_endless_wait() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="cannot go on"):
        run_virtual(main(), VirtualLoop())


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    one, same, other = (play(CALM, [OURS], seed)[OURS] for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_a_report_does_not_depend_on_the_number_of_processes() -> None:
    alone, shared = (simulate([CALM], [OURS], 2, jobs=jobs) for jobs in (1, 2))
    assert alone == shared


def test_who_asks_the_same_target_meets_the_same_luck() -> None:
    only = replace(CALM, targets=(FLASH,))
    arrivals = draw(only.load, 1, 5)
    runs = [play_one(only, name, 5, arrivals) for name in (ORACLE, "round-robin", "litellm-latency")]
    lucky = [place for place, arrival in enumerate(arrivals) if not arrival.luck[0].broken]
    assert len(lucky) > 250
    for place in lucky:
        assert len({round(run[place].wait_s, 9) for run in runs}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_routing_serves_calm_traffic(name: str) -> None:
    found = play(CALM, [name], 1)[name]
    assert found.requests > 200
    assert found.failed <= 0.01
    assert 0.2 < found.p50 < FAILED_WAIT_S


def test_nobody_beats_the_oracle_by_much_where_nothing_depends_on_load() -> None:
    found = play(CALM, NAMES, 2)
    assert min(run.p50 for run in found.values()) > 0.9 * found[ORACLE].p50


def test_a_load_has_the_rate_and_the_burstiness_it_says() -> None:
    for cv in (1.0, 3.0):
        arrivals = draw(Load(steps=((0.0, 5.0),), seconds=20_000.0, cv=cv), 1, 7)
        gaps = [late.at - early.at for early, late in pairwise(arrivals)]
        mean = sum(gaps) / len(gaps)
        spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
        assert mean == pytest.approx(0.2, rel=0.05)
        assert spread / mean == pytest.approx(cv, rel=0.1)


def test_a_quota_answers_so_many_a_minute_and_then_says_how_long_to_wait() -> None:
    loop = VirtualLoop()
    strict = replace(FLASH, phases=(Phase(since=0.0, until=600.0, rpm=10, retry_after_s=20.0),))
    upstreams = Upstreams((strict,), 600.0, 1, loop.time)
    arrivals = [each for each in draw(SHORT, 1, 1) if not each.luck[0].broken][:13]

    async def main() -> list[object]:
        found = await asyncio.gather(*(upstreams.ask(0, each, 0) for each in arrivals[:12]), return_exceptions=True)
        await asyncio.sleep(61.0)
        return [*found, await upstreams.ask(0, arrivals[12], 0)]

    found = run_virtual(main(), loop)
    refused = [each for each in found if isinstance(each, RateLimitedError)]
    assert [each.retry_after_s for each in refused] == [20.0, 20.0]


def test_congestion_slows_and_ends_with_the_load() -> None:
    loop = VirtualLoop()
    crowded = replace(FLASH, capacity=10.0)
    upstreams = Upstreams((crowded,), 60.0, 1, loop.time)
    calm = upstreams.slowdown(0)
    upstreams.in_flight[0] = 10
    assert upstreams.slowdown(0) == pytest.approx(2 * calm)
    upstreams.in_flight[0] = 10_000
    assert upstreams.slowdown(0) == pytest.approx(20 * calm)
    loop.close()


# --- traces


def test_a_trace_keeps_its_instants_and_lengths(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(
        HEADER
        + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n2023-11-16 19:15:50.9951690,1,1\n"
    )
    trace = read_trace(file, 600.0)
    assert [(round(each.at, 3), each.prompt_tokens, each.output_tokens) for each in trace] == [
        (0.0, 374, 44),
        (4.315, 396, 109),
    ]
    arrivals = draw(SHORT, 2, 1, trace)
    assert [(each.features.prompt_tokens, each.output_tokens) for each in arrivals] == [(374, 44), (396, 109)]


@pytest.mark.parametrize(
    ("text", "said"), [("a,b\n1,2\n", "columns"), (HEADER + "2023-11-16 18:15:46,x,44\n", "trace.csv:2")]
)
def test_a_trace_that_cannot_be_read_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_trace(file, 600.0)
    assert said in " ".join(str(problem) for problem in refused.value.problems)


def test_a_trace_can_be_played() -> None:
    trace = tuple(Traced(0.2 * number, 500, 50) for number in range(200))
    assert play(CALM, [OURS], 1, trace)[OURS].requests == 200


# --- published rules


def rule(name: str, targets: int = 3):  # type: ignore[no-untyped-def]  # the rules are a private matter of players.py
    from router.simulate.players import PUBLISHED

    return PUBLISHED[name]((FLASH, THIRD, THIRD)[:targets], random.Random(1))


@pytest.mark.parametrize("name", ["code", "conv"])
def test_in_recorded_traffic_a_target_that_is_slow_from_the_start_keeps_a_fiftieth_at_most(name: str) -> None:
    trace = read_trace(_recorded(name), SCENARIOS["s2"].load.seconds)
    shares = [play(SCENARIOS["s2"], [OURS], seed, trace)[OURS].focus_share for seed in range(2, 6)]
    assert fmean(shares) <= 0.02


@pytest.mark.parametrize("name", ["code", "conv"])
def test_in_recorded_bursts_eight_routers_keep_near_one_that_sees_all(name: str) -> None:
    trace = read_trace(_recorded(name), SCENARIOS["s6x8"].load.seconds)
    runs = [play(SCENARIOS["s6x8"], [ORACLE, OURS], seed, trace) for seed in range(6)]
    assert fmean(run[OURS].p95 / run[ORACLE].p95 - 1 for run in runs) <= 0.25


def _recorded(name: str) -> Path:
    file = DATA / "data" / "traces" / f"AzureLLMInferenceTrace_{name}.csv"
    if not file.exists():
        pytest.skip("no recorded arrivals here: set TURNOUT_DATA to the folder that holds data/traces/")
    return file


def test_litellms_latency_rule_tries_the_unseen_and_then_keeps_to_the_lowest_mean_of_ten() -> None:
    found = rule("litellm-latency", 2)
    for _ in range(10):
        found.began(0)
        found.finished(0, True, 0.5, 2.0, 100, 1.0)
    assert found.choose(True, [], 1.0) == 1
    for first_s in [9.0] * 5 + [0.4] * 10:
        found.began(1)
        found.finished(1, True, first_s, 2.0, 100, 1.0)
    assert {found.choose(True, [], 1.0) for _ in range(20)} == {1}


def test_litellm_leaves_a_target_alone_for_five_seconds_after_a_429() -> None:
    found = rule("litellm-least-busy")
    found.began(0)
    found.failed(0, RateLimitedError("slow"), 100.0)
    assert found.choose(False, [0], 104.9) == 1
    assert found.choose(False, [0], 105.0) == 0


def test_litellm_cools_a_target_down_when_most_of_five_requests_of_a_minute_failed() -> None:
    found = rule("litellm-cost")
    for number in range(5):
        assert found.choose(False, [], 60.0 + number) == 1
        found.began(1)
        found.failed(1, UnavailableError("down"), 60.0 + number)
    assert found.choose(False, [], 65.0) != 1


def test_peak_ewma_takes_a_slow_sample_at_once_and_forgives_it_slowly() -> None:
    found = rule("p2c-peak-ewma", 2)
    for place in (0, 1):
        found.began(place)
        found.answered(place, 0.5, 10.0)
    found.began(0)
    found.answered(0, 5.0, 10.0)
    assert {found.choose(True, [], 10.0) for _ in range(20)} == {1}
    for _ in range(6):  # its average is still 0.68 s, because it began with 1 s
        found.began(1)
    assert {found.choose(True, [], 10.0) for _ in range(20)} == {1}
    found.began(1)
    assert {found.choose(True, [], 10.0) for _ in range(20)} == {0}


def test_openrouters_price_rule_prefers_the_cheap_by_the_square_and_avoids_fresh_failures() -> None:
    found = rule("openrouter-price", 2)
    asked = [found.choose(False, [], 100.0) for _ in range(2000)]
    assert asked.count(1) / 2000 == pytest.approx(1.5**2 / (1 + 1.5**2), abs=0.04)
    found.failed(1, UnavailableError("down"), 100.0)
    assert {found.choose(False, [], 129.0) for _ in range(50)} == {0}
    assert 1 in {found.choose(False, [], 131.0) for _ in range(50)}


def test_portkey_asks_the_same_target_again_after_the_wait_it_was_told() -> None:
    found = rule("portkey-weighted")
    assert found.choose(False, [2], 0.0) == 2
    assert found.pause_s(RateLimitedError("slow", retry_after_s=20.0), [2], 0.0) == 20.0
    assert found.pause_s(UnavailableError("down"), [2, 2], 0.0) == 2.0


# --- figures and the command line


def test_an_interval_is_students() -> None:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3.0
    assert found.half == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=0.01)
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5


def test_the_command_writes_its_report_as_json() -> None:
    arguments = ["simulate", "s2", "--seeds", "1", "--jobs", "1", "--players", "turnout", "--json", "-"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert {row["player"] for row in report["rows"]} == {ORACLE, OURS}


@pytest.mark.parametrize("arguments", [["s9"], ["--players", "turnou"], ["--trace", "/no/such/file"]])
def test_an_unknown_name_or_file_is_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 2
    assert arguments[-1] in result.stderr


def test_a_report_can_be_read_where_lines_are_short() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_report(simulate([CALM], [OURS, "litellm-least-busy"], 1), console)
    lines = console.export_text().splitlines()
    assert any(line.startswith("litellm-least-busy") for line in lines)
    assert not any("…" in line for line in lines)
    assert any(line.rstrip().endswith(("PASS", "FAIL")) and "regret at p99" in line for line in lines)


def test_a_setting_is_beaten_by_whoever_costs_no_more_and_takes_no_longer() -> None:
    run = play(CALM, [OURS], 1)[OURS]
    ours = {1.0: [replace(run, cost_usd=5.0, p95=2.0)], 2.0: [replace(run, cost_usd=3.0, p95=4.0)]}
    others = {
        "as cheap but quicker": [replace(run, cost_usd=3.0, p95=3.9)],
        "dearer": [replace(run, cost_usd=5.1, p95=2.0)],
        "the same": [replace(run, cost_usd=5.0, p95=2.0)],
    }
    points = front(OURS, ours, others)
    assert [point.beaten_by for point in points[:2]] == [(), ("as cheap but quicker",)]
    assert on_front(points) == 1


def test_ten_slos_are_swept_with_the_scenario_that_has_one() -> None:
    assert [len(planned([SCENARIOS[name]], [OURS], 8)) for name in ("s1", "s5")] == [8, 8 + 10 * 2]
    assert len(planned([SCENARIOS["s5"]], ["round-robin"], 8)) == 8


def test_a_report_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    files = draw_plots(simulate([CALM], [OURS], 2), tmp_path)
    assert [file.name for file in files] == ["s1-regret.svg", "s1-share.svg"]
    assert all("<svg" in file.read_text() for file in files)


def test_eight_routers_serve_bursts_nearly_as_one_that_sees_all() -> None:
    runs = [play(SCENARIOS["s6x8"], [ORACLE, OURS, TOLD], seed) for seed in range(4)]
    regret = {name: sum(run[name].p95 / run[ORACLE].p95 - 1 for run in runs) / len(runs) for name in (OURS, TOLD)}
    assert regret[OURS] < 0.1
    assert regret[TOLD] < 0.1


def test_a_burst_in_which_every_target_once_collapsed_is_lived_through() -> None:
    found = play(SCENARIOS["s6"], [OURS], 138)
    assert found[OURS].failed == 0.0
    assert found[OURS].p99 < 30.0
