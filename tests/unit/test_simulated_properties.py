"""What holds for planner, health and attempt loop together, in virtual time, whatever arrives and whatever fails."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import builders  # noqa: F401  it tells hypothesis that a busy machine is no failure
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from providers.errors import ProviderError, RateLimitedError, UnavailableError, UpstreamTimeoutError
from router.simulate.played import Played
from router.simulate.production import Turnout
from router.simulate.run import play_one
from router.simulate.scenarios import FLASH, SCENARIOS, THIRD, Scenario
from router.simulate.upstreams import Answer, Phase, Upstreams
from router.simulate.virtual import VirtualLoop, run_virtual
from router.simulate.workload import Arrival, Load, draw

SECONDS = 120.0
SAVED = 10.0  # further attempts that ten quiet seconds bring
WORLD = replace(SCENARIOS["s1"], targets=(FLASH, replace(FLASH, name="other"), THIRD), warm_s=0.0)


@dataclass(frozen=True)
class Trouble:
    """From `since` for `seconds` a target answers every request in this way."""

    place: int
    since: float
    seconds: float
    kind: str


@dataclass
class Asked:
    """One call that an upstream saw."""

    number: int
    place: int
    at: float
    ended: float = math.inf
    error: ProviderError | None = None


class Troubled(Upstreams):
    """Upstreams that fail as they are told, and note who asks them and when."""

    def __init__(self, world: Scenario, troubles: Sequence[Trouble], loop: VirtualLoop) -> None:
        super().__init__(world.targets, SECONDS, 1, loop.time)
        self.asked: list[Asked] = []
        self._troubles = troubles
        self._time = loop.time

    async def ask(self, place: int, arrival: Arrival, earlier: int) -> Answer:
        entry = Asked(arrival.number, place, self._time())
        self.asked.append(entry)
        try:
            for each in self._troubles:
                if each.place == place and each.since <= entry.at < each.since + each.seconds:
                    await asyncio.sleep(6.0 if each.kind == "slow" else 0.05)
                    raise _error(each)
            return await super().ask(place, arrival, earlier)
        except ProviderError as error:
            entry.error = error
            raise
        finally:
            entry.ended = self._time()


def _error(trouble: Trouble) -> ProviderError:
    match trouble.kind:
        case "429":
            return RateLimitedError("quota", retry_after_s=min(30.0, trouble.seconds))
        case "slow":
            return UpstreamTimeoutError("no answer")
        case _:
            return UnavailableError("down")


def served(bursts: Sequence[tuple[float, int]], troubles: Sequence[Trouble]) -> tuple[list[Asked], list[Played]]:
    """What the upstreams saw, and how each request ended; `bursts` are (seconds since the last one, requests)."""
    loop = VirtualLoop()
    upstreams = Troubled(WORLD, troubles, loop)
    router = Turnout(WORLD, upstreams, loop.time, 1)
    arrivals = iter(draw(Load(steps=((0.0, 20.0),), seconds=SECONDS), len(WORLD.targets), 1))

    async def main() -> list[Played]:
        tasks = []
        for gap_s, count in bursts:
            await asyncio.sleep(gap_s)
            now = loop.time()
            tasks += [asyncio.ensure_future(router.play(replace(next(arrivals), at=now))) for _ in range(count)]
        return list(await asyncio.gather(*tasks))

    played = run_virtual(main(), loop)
    return upstreams.asked, played


bursts = st.lists(st.tuples(st.floats(0.0, 8.0), st.integers(1, 25)), min_size=1, max_size=8)
troubles = st.lists(
    st.builds(
        Trouble,
        st.integers(0, 2),
        st.floats(0.0, 20.0),
        st.floats(1.0, 60.0),
        st.sampled_from(["down", "slow", "429"]),
    ),
    max_size=6,
)


@hypothesis_settings(max_examples=20)
@given(bursts, troubles)
def test_further_attempts_stay_within_a_tenth_of_the_requests_and_one_a_second_in_every_stretch_of_time(
    arrivals: list[tuple[float, int]], trouble: list[Trouble]
) -> None:
    asked, played = served(arrivals, trouble)
    first: set[int] = set()
    further = []
    for each in asked:
        if each.number in first:
            further.append(each.at)
        first.add(each.number)
    for since in {0.0, *further}:
        # of what requests before it earned, a part is still there
        saved = SAVED + sum(0.1 * math.exp((each.at - since) / 10) for each in played if each.at < since)
        for until in further:
            if until >= since:
                made = sum(since <= at <= until for at in further)
                requests = sum(since <= each.at <= until for each in played)
                assert made <= saved + 0.1 * requests + (until - since) + 1e-6


@hypothesis_settings(max_examples=20)
@given(bursts, troubles)
@example([(0.0, 1), (1.0, 20)], [Trouble(0, 0.0, 60.0, "slow"), Trouble(1, 0.0, 60.0, "429")])  # told while others wait
def test_a_target_that_said_when_to_come_back_is_not_asked_before(
    arrivals: list[tuple[float, int]], trouble: list[Trouble]
) -> None:
    asked, _ = served(arrivals, trouble)
    for refused in asked:
        if isinstance(refused.error, RateLimitedError):
            wait_s = refused.error.retry_after_s or 0.0
            assert not any(
                each.place == refused.place and refused.ended < each.at < refused.ended + wait_s - 1e-6
                for each in asked
            )


@hypothesis_settings(max_examples=20)
@given(bursts, troubles)
def test_every_request_asks_somebody_unless_all_have_said_when_to_come_back(
    arrivals: list[tuple[float, int]], trouble: list[Trouble]
) -> None:
    asked, played = served(arrivals, trouble)
    heard = {each.number for each in asked}
    for number, each in enumerate(played):
        if number not in heard:
            blocked = {
                refused.place
                for refused in asked
                if isinstance(refused.error, RateLimitedError)
                and refused.ended <= each.at <= refused.ended + (refused.error.retry_after_s or 0.0)
            }
            assert blocked == {0, 1, 2}


@hypothesis_settings(max_examples=6)
@given(st.integers(0, 10_000), st.integers(0, 2), st.sampled_from([2.0, 4.0, 8.0]))
def test_a_target_that_is_slower_never_has_a_larger_share(seed: int, place: int, slower: float) -> None:
    base = replace(SCENARIOS["s1"], load=Load(steps=((0.0, 5.0),), seconds=SECONDS))
    targets = list(base.targets)
    targets[place] = replace(targets[place], phases=(Phase(since=0.0, until=SECONDS, slowdown=slower),))
    shares = []
    for world in (base, replace(base, targets=tuple(targets))):
        played = play_one(world, "turnout", seed, draw(world.load, len(world.targets), seed))
        shares.append(sum(each.asked == place for each in played) / len(played))
    assert shares[1] <= shares[0] + 0.02, "a probe more or less is all the difference there may be"
