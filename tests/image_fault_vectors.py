"""What each fault of an image upstream comes to, by dialect: what the client sees, who was asked, what was booked."""

from collections.abc import Mapping
from typing import Any

from image_backends import BACKENDS
from msgspec import Struct

from providers.sandbox.config import FaultRule


class Upstream(Struct, frozen=True, kw_only=True):
    """One dialect of the sandbox: its path, a model, the names of its operations (see `image_backends.Backend`).

    `together`: one call makes several pictures.
    """

    type: str
    path: str
    model: str
    submit: str
    poll: str = ""
    cancels: bool = False
    fetches: bool = False
    together: bool = False


_OWN = (
    Upstream(type="gemini", path="gemini/v1beta", model="gemini-nano-banana-2.1", submit="generate"),
    Upstream(type="openai", path="openai/v1", model="gpt-image-2", submit="images", together=True),
    Upstream(
        type="eachlabs", path="eachlabs/v1", model="flux-1-1-pro", submit="submit", poll="poll", cancels=True,
        fetches=True,
    ),
)  # fmt: skip
_APART = {"comfyui", "midjourney", "legnext"}  # set up in ways of their own, and tested so
_TOGETHER = {"fal", "replicate", "together", "xai", "ideogram"}  # others have no row that says how many
UPSTREAMS: Mapping[str, Upstream] = {each.type: each for each in _OWN} | {
    each.type: Upstream(
        type=each.type,
        path=each.path,
        model=each.model,
        submit=each.submit,
        poll=each.poll,
        cancels=each.cancels,
        fetches=each.fetches,
        together=each.type in _TOGETHER,
    )
    for each in BACKENDS.values()
    if each.type not in _APART
}


class Cell(Struct, frozen=True, kw_only=True):
    """What becomes of a request. `attempts` 2: the second candidate answered. `outcome` is the first attempt's.

    `booked`: the first attempt stands in the books with a cost (or an unknown one), once; `final`: the client is told
    not to try again.
    """

    status: int
    outcome: str
    code: str | None = None
    attempts: int = 1
    booked: bool = False
    final: bool = False


class Fault(Struct, frozen=True, kw_only=True):
    """A fault, the rule that makes the sandbox show it, and what it comes to: `usual`, but for `other` by dialect.

    A dialect that cannot have it has a sentence instead that says why.
    """

    rule: FaultRule
    usual: Cell
    other: Mapping[str, Cell | str] = {}
    asked: Mapping[str, Any] = {}


def _where(holds: str, why: str) -> dict[str, str]:
    return {name: why for name, each in UPSTREAMS.items() if not getattr(each, holds)}


_SYNC = "answers in one call: there is no job to watch"
_INLINE = "pictures come in the answer: there is no address"
_PAID = {"booked": True, "final": True}
_PICTURE = Cell(status=200, outcome="ok")
_BAD = {"status": 502, "code": "upstream_bad_response"}
_SECOND = {"status": 200, "attempts": 2}

FAULTS: Mapping[str, Fault] = {
    "expired result": Fault(
        rule=FaultRule(fault="status-403", on="file"),
        usual=Cell(outcome="bad_image", **_BAD, **_PAID),
        other=_where("fetches", _INLINE),
    ),
    "redirect into the link-local network": Fault(
        rule=FaultRule(fault="redirect", on="file", args={"location": "http://169.254.169.254/latest/meta-data/"}),
        usual=Cell(outcome="ssrf_block", **_BAD, **_PAID),
        other=_where("fetches", _INLINE),
    ),
    "a job that never ends": Fault(
        rule=FaultRule(fault="job-never-ends"),
        usual=Cell(status=504, code="upstream_timeout", outcome="timeout", **_PAID),
        other=_where("poll", _SYNC),
        asked={"router": {"deadline_ms": 700}},
    ),
    "an answer that never comes": Fault(
        rule=FaultRule(fault="stall"),
        usual=Cell(status=504, code="upstream_timeout", outcome="timeout", **_PAID),
        asked={"router": {"deadline_ms": 400}},
    ),
    "a job that fails": Fault(
        rule=FaultRule(fault="job-fails"),
        usual=Cell(outcome="job_failed", **_SECOND),
        # charged at once, by the second: booked although somebody else answered
        other={
            **_where("poll", _SYNC),
            "bfl": Cell(outcome="job_failed", booked=True, **_SECOND),
            "replicate": Cell(outcome="job_failed", booked=True, **_SECOND),
        },
    ),
    "a lost poll": Fault(rule=FaultRule(fault="poll-500", times=1), usual=_PICTURE, other=_where("poll", _SYNC)),
    "an error in 200": Fault(
        rule=FaultRule(fault="error-in-200"),
        usual=Cell(outcome="parse", **_BAD, **_PAID),
        other={
            **dict.fromkeys(  # those with an object for errors say in it what it is
                ("openai", "together", "xai", "seedream", "openrouter"),
                Cell(status=503, code="upstream_unavailable", outcome="server_error", **_PAID),
            ),
            "gemini": Cell(outcome="server_error", **_SECOND),  # and Google charges nothing for its errors
            **dict.fromkeys(("ideogram", "stable-diffusion", "stability"), Cell(outcome="empty", **_BAD, **_PAID)),
        },
    ),
    "a black picture": Fault(
        rule=FaultRule(fault="black-image"),
        usual=_PICTURE,
        other=dict.fromkeys(  # their filters say it so; elsewhere it may be what was asked for
            ("fal", "stable-diffusion"),
            Cell(status=400, code="moderation_blocked", outcome="filtered", **_PAID),
        ),
    ),
    "a front end's page": Fault(
        rule=FaultRule(fault="html-error"),
        usual=Cell(status=504, code="upstream_timeout", outcome="timeout", **_PAID),
        other={"gemini": Cell(status=502, code="upstream_unavailable", outcome="server_error", **_PAID)},
    ),
    "down": Fault(rule=FaultRule(fault="status-503"), usual=Cell(outcome="server_error", **_SECOND)),
    "our key refused": Fault(rule=FaultRule(fault="bad-key"), usual=Cell(outcome="auth", **_SECOND)),
    "no credit": Fault(
        rule=FaultRule(fault="status-402"),
        usual=Cell(outcome="quota", **_SECOND),
        other={"gemini": "has no such status: what is used up is a quota there, and a 429"},
    ),
}
