"""A target whose breaker closed comes back by degrees: within 20 s to all of its traffic."""

from builders import Desk, info, model, settings

from providers.errors import UnavailableError
from router.routing.plan import Attempt, Features

DOWN = UnavailableError("down")


def recovered() -> Desk:
    """`a/m` is cheaper than `b/n` and has just passed its third probe."""
    catalogue = {"m": info("m", cost="1"), "n": info("n", cost="2")}
    found = Desk(settings(model("chat", "a/m", "b/n"), catalogue=catalogue))
    first = found.plan().candidates[0]
    for error in (*[DOWN] * 5, None, None, None):
        found.clock.advance(10.0 if error is None else 0.1)
        assert found.health.admit(first)
        found.health.record(Attempt(candidate=first, duration_s=0.05, error=error))
    assert found.health.target("a", "m", info("m")).breaker(found.clock.now) == "closed"
    return found


def share(found: Desk) -> float:
    firsts = [found.names(Features(model="chat", affinity=place / 100))[0] for place in range(100)]
    return firsts.count("a/m") / 100


def test_its_share_grows_from_nothing_to_all_in_twenty_seconds() -> None:
    found = recovered()
    shares = []
    for _ in range(5):
        shares.append(share(found))
        found.clock.advance(5.0)
    assert shares[0] <= 0.01
    assert abs(shares[2] - 0.5) < 0.03
    assert shares[4] == 1.0
    assert shares == sorted(shares)


def test_meanwhile_it_is_still_the_one_to_fail_over_to() -> None:
    assert recovered().names(Features(model="chat", affinity=0.99)) == ["b/n", "a/m"]


def test_alone_it_has_all_of_the_traffic() -> None:
    found = recovered()
    assert found.names(Features(model="chat", affinity=0.99), only=("a",)) == ["a/m"]
