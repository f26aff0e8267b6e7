"""What one request went through in a run, and who can play one: the production router, the oracle, published rules."""

from typing import Protocol

from msgspec import Struct

from router.simulate.workload import Arrival

FAILED_WAIT_S = 120.0  # what a request that fails counts as: failing quickly must not look quick


class Played(Struct, frozen=True, gc=False):
    """`asked` is who was asked first, -1 nobody. `wait_s`: until a stream's first content, or the whole answer."""

    at: float
    asked: int
    wait_s: float
    attempts: int
    cost_usd: float
    failed: bool = False
    probe: bool = False


class Player(Protocol):
    """Serves requests in virtual time."""

    async def play(self, arrival: Arrival) -> Played: ...


def lost(arrival: Arrival, asked: int, attempts: int) -> Played:
    """A request that the client saw fail."""
    return Played(arrival.at, asked, FAILED_WAIT_S, attempts, 0.0, failed=True)
