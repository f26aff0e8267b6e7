"""What `turnout eval` finds: the curve of quality against cost, and APGR overall, by pair, source and category."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from router.evaluate.data import Sample
from router.evaluate.gain import Interval, Ranking, intervals, oracle
from router.routing.tiers import tier_for

KNOBS = tuple(step / 10 for step in range(11))
_CURVE_POINTS = 40


class Point(Struct, frozen=True):
    """A share of calls to the stronger model, with the quality and the cost (always weak: 1) that it buys."""

    share: float
    quality: float
    cost: float


class Setting(Struct, frozen=True):
    """What a `cost_quality` does: the share of prompts above the first tier, and what giving the last tier's to the
    stronger model buys."""

    cost_quality: float
    raised: float
    point: Point


class Group(Struct, frozen=True):
    """Samples that belong together. `apgr` by way of choosing; None: the gap between the models may be none."""

    kind: str
    name: str
    samples: int
    weak: float
    strong: float
    gap: Interval
    apgr: dict[str, Interval | None]


class Report(Struct, frozen=True):
    """`curves` are those of the whole file, by way of choosing."""

    file: str
    tiers: int
    price_ratio: float
    resamples: int
    settings: list[Setting]
    curves: dict[str, list[Point]]
    groups: list[Group]
    caveats: list[str]


class Plan(Struct, frozen=True):
    """How to evaluate: tiers of the ladder, price of the stronger model's characters, resamples, least of a group."""

    tiers: int = 3
    price_ratio: float = 3.2
    resamples: int = 100
    least: int = 300
    seed: int = 0


def groups_of(samples: Sequence[Sample], least: int) -> list[tuple[str, str, list[Sample]]]:
    """The whole, then each pair of models at its source, each source, and each category with enough samples."""
    found: list[tuple[str, str, list[Sample]]] = [("all", "all", list(samples))]
    for kind, key in (("pair", _pair), ("source", _source), ("category", _category)):
        members: dict[str, list[Sample]] = {}
        for sample in samples:
            members.setdefault(key(sample), []).append(sample)
        if len(members) > 1:
            found += [(kind, name, group) for name, group in sorted(members.items()) if len(group) >= least]
    return found


def evaluate(samples: Sequence[Sample], file: str, plan: Plan, done: Callable[[], None] = lambda: None) -> Report:
    """Everything about `samples`; `done` is called after each group of `groups_of`."""
    groups = []
    for kind, name, members in groups_of(samples, plan.least):
        apgr, gap = intervals(members, rankings(members, plan.seed), plan.resamples, plan.seed)
        weak, strong = (
            sum(values) / len(members) for values in zip(*((s.weak, s.strong) for s in members), strict=True)
        )
        groups.append(Group(kind, name, len(members), weak, strong, gap, apgr))
        done()
    ways = {name: ranking.order for name, ranking in rankings(samples, plan.seed).items()}
    return Report(
        file=file,
        tiers=plan.tiers,
        price_ratio=plan.price_ratio,
        resamples=plan.resamples,
        settings=[_setting(samples, knob, plan) for knob in KNOBS],
        curves={name: _curve(samples, order, plan) for name, order in ways.items()},
        groups=groups,
        caveats=_caveats(samples, groups),
    )


def rankings(samples: Sequence[Sample], seed: int) -> dict[str, Ranking]:
    """The ways of choosing that are compared; choosing at random recovers half of any gap and needs no ranking."""
    return {
        "score": Ranking(samples, [sample.score for sample in samples], seed),
        "length": Ranking(samples, [sample.length for sample in samples], seed),
        "oracle": Ranking(samples, oracle(samples), seed),
    }


def _setting(samples: Sequence[Sample], knob: float, plan: Plan) -> Setting:
    tiers = [tier_for(sample.score, knob, plan.tiers) for sample in samples]
    raised = sum(tier > 0 for tier in tiers) / len(samples)
    return Setting(knob, raised, _point(samples, [tier == plan.tiers - 1 for tier in tiers], plan))


def _curve(samples: Sequence[Sample], order: Sequence[int], plan: Plan) -> list[Point]:
    points = []
    for step in range(_CURVE_POINTS + 1):
        strong = [False] * len(samples)
        for place in order[: round(step / _CURVE_POINTS * len(samples))]:
            strong[place] = True
        points.append(_point(samples, strong, plan))
    return points


def _point(samples: Sequence[Sample], strong: Sequence[bool], plan: Plan) -> Point:
    quality = cost = base = 0.0
    for sample, upgraded in zip(samples, strong, strict=True):
        weak_cost, strong_cost = _costs(sample, plan.price_ratio)
        quality += sample.strong if upgraded else sample.weak
        cost += strong_cost if upgraded else weak_cost
        base += weak_cost
    return Point(sum(strong) / len(samples), quality / len(samples), cost / base if base else 1.0)


def _costs(sample: Sample, ratio: float) -> tuple[float, float]:
    """Both models' costs of one answer, in characters of the weak one's output; unknown lengths count as equal."""
    if sample.weak_out is None or sample.strong_out is None:
        return 1.0, ratio
    return max(sample.weak_out, 1.0), max(sample.strong_out, 1.0) * ratio


def _caveats(samples: Sequence[Sample], groups: Sequence[Group]) -> list[str]:
    told = [
        "The models are those of the file, not those of your configuration: take no saving from it that you have not"
        " measured on your own traffic.",
        "Every prompt is a request of one turn, so that the score sees its length alone; conversation, tools, effort"
        " and requested output are not judged here.",
        "Flash with a higher effort is in no file of two models: a prompt counts as upgraded only in the last tier.",
    ]
    if any(sample.weak_out is None or sample.strong_out is None for sample in samples):
        told.append(
            "Where the length of an answer is unknown, both count as equally long; the cost is a proxy by length."
        )
    if any(group.apgr["score"] is None for group in groups):
        told.append("No APGR is given where the gap between the models may be none.")
    return told


def _pair(sample: Sample) -> str:
    return f"{sample.source} {sample.pair}"


def _source(sample: Sample) -> str:
    return sample.source


def _category(sample: Sample) -> str:
    return sample.category
