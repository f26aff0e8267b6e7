"""What the production router must reach in each scenario, and whether a report says it does."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from router.simulate.measure import Report, Row
from router.simulate.players import OURS
from router.simulate.sweep import ON_FRONT, SWEPT, on_front


class Goal(Struct, frozen=True):
    """One figure of one scenario and the bound it must keep."""

    scenario: str
    words: str
    figure: Callable[[Row], float]
    bound: float
    at_least: bool = False


class Verdict(Struct, frozen=True):
    """A goal and what was found."""

    scenario: str
    words: str
    found: float
    bound: float
    kept: bool


_GOALS = (
    Goal("s1", "regret at p50", lambda row: row.regret_p50.mean, 0.03),
    Goal("s1", "regret at p95", lambda row: row.regret_p95.mean, 0.03),
    Goal("s1", "regret at p99", lambda row: row.regret_p99.mean, 0.05),
    Goal("s1", "share of probes", lambda row: row.probes.mean, 0.02),
    Goal("s2", "share of the slow target after 60 s", lambda row: row.focus_share.mean, 0.02),
    Goal("s2", "regret at p95 in the first 60 s", lambda row: row.early_regret_p95.mean, 0.05),
    Goal("s3", "seconds until 90 % left, or 10 requests", lambda row: _left(row), 5.0),
    Goal("s3", "seconds until 90 % are back", lambda row: row.swing.returned_s.mean if row.swing else 0.0, 60.0),
    Goal("s3", "flaps", lambda row: row.swing.flaps.mean if row.swing else 0.0, 2.0),
    Goal("s3", "regret at p99", lambda row: row.regret_p99.mean, 0.25),
    Goal("s4", "share of requests that fail", lambda row: row.failed.mean, 0.0),
    Goal("s4", "attempts a request", lambda row: row.attempts.mean, 1.05),
    Goal("s5", "cost regret", lambda row: row.cost_regret.mean, 0.03),
    Goal("s5", "share of answers within the SLO", lambda row: row.attainment.mean, 0.95, at_least=True),
    Goal("s6", "regret at p99", lambda row: row.regret_p99.mean, 0.15),
    Goal("s6x8", "regret at p99", lambda row: row.regret_p99.mean, 0.25),
)


def verdicts(report: Report) -> Iterator[Verdict]:
    """Each goal whose scenario was played."""
    rows: Mapping[str, Row] = {row.scenario: row for row in report.rows if row.player == OURS}
    for goal in _GOALS:
        row = rows.get(goal.scenario)
        if row is not None:
            found = goal.figure(row)
            kept = found >= goal.bound if goal.at_least else found <= goal.bound
            yield Verdict(goal.scenario, goal.words, found, goal.bound, kept)
    swept = [point for point in report.front if point.slo_s is not None]
    if swept and len(swept) < len(report.front):  # else there is nobody to be beaten by
        found = on_front(report.front)
        words = f"of {len(swept)} SLOs, those where nobody is cheaper and quicker"
        yield Verdict(SWEPT, words, found, ON_FRONT, found >= ON_FRONT)
    ours = report.overall.get(OURS)
    if ours is not None and report.best_litellm is not None:
        third = report.best_litellm / 3
        yield Verdict("all", "overall excess, a third of LiteLLM's best", ours, third, ours <= third)
    if ours is not None and report.best_published is not None:
        best = report.best_published
        yield Verdict("all", "overall excess, the best of all others", ours, best, ours < best)


def _left(row: Row) -> float:
    """Seconds; what takes longer but no more than ten requests counts as in time."""
    if row.swing is None or row.swing.left_requests.mean <= 10:
        return 0.0
    return row.swing.left_s.mean
