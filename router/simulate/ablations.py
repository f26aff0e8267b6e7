"""The production router without one of its parts: what each of them is worth."""

from collections.abc import Callable, Iterator, Mapping

from router.routing.health import Health
from router.routing.latency import LatencyModel
from router.routing.load import Load
from router.routing.plan import Attempt
from router.routing.slowdown import Slowdown
from router.routing.state import TargetState


class _Unaged(Load):
    """What is overdue is not looked at."""

    __slots__ = ()

    def late(self, now: float) -> Iterator[tuple[float, float]]:
        return iter(())


class _Unloaded(Load):
    """What is under way is not looked at, but for what is overdue."""

    __slots__ = ()

    def strain(self) -> float:
        return 0.0

    def eased(self) -> float:
        return 0.0


class _Selfish(Load):
    """A request's own wait is all that counts."""

    __slots__ = ()

    def crowd(self, strain: float) -> float:
        return 0.0


class _Calm(Slowdown):
    """Nothing is ever slower than usual."""

    __slots__ = ()

    def observe(self, log_ratio: float, sigma: float, started: float, now: float) -> None:
        return None

    def factor(self, late: object, now: float) -> float:
        return 1.0


class _Incurious(Health):
    """Nobody is asked to learn of it."""

    def may_probe(self, route: str, now: float) -> bool:
        return False


class _Unlimited(Health):
    """As much may be under way as there is to do."""

    def __init__(
        self,
        clock: Callable[[], float],
        uniform: Callable[[float, float], float],
        hedge_share: float = 0.0,
        gates: object = None,
    ) -> None:
        super().__init__(clock, uniform, hedge_share=hedge_share)

    def take_as_too_much(self, state: TargetState, attempt: Attempt, now: float, *, told: bool) -> None:
        return None


def _no_age(model: LatencyModel) -> None:
    model.load = _Unaged(own=model.load.own)


def _no_load(model: LatencyModel) -> None:
    model.load = _Unloaded(own=model.load.own)


def _no_crowd(model: LatencyModel) -> None:
    model.load = _Selfish(own=model.load.own)


def _no_ratio(model: LatencyModel) -> None:
    model.first_slow, model.rate_slow = _Calm(), _Calm()


def _whole(model: LatencyModel) -> None:
    return None


Ablation = tuple[type[Health], Callable[[LatencyModel], None]]

WHOLE: Ablation = (Health, _whole)
ABLATIONS: Mapping[str, Ablation] = {
    "turnout-no-age": (Health, _no_age),
    "turnout-no-ratio": (Health, _no_ratio),
    "turnout-no-load": (Health, _no_load),
    "turnout-no-crowd": (Health, _no_crowd),
    "turnout-no-probes": (_Incurious, _whole),
    "turnout-no-limit": (_Unlimited, _whole),
}
