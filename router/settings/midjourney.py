"""What only providers of type midjourney are told: which bridge they are, and that the operator knows it is one."""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from providers.options import MidjourneyOptions
from router.errors import Problem
from router.settings.document import Document, Loc
from router.settings.fields import Bool, Shape
from router.settings.values import ProviderSettings

LEGNEXT_URL = "https://api.legnext.ai/api/v1"


class MidjourneyShape(Shape):
    """A bridge to Midjourney, which has no API of its own."""

    dialect: Literal["midjourney-proxy", "legnext"] | None = Field(
        default=None, description="What the bridge speaks. Default midjourney-proxy."
    )
    unofficial: Bool = Field(
        default=False,
        description="Has to be true: bridges break Midjourney's terms, and accounts behind them are banned.",
    )


def build_midjourney(shape: MidjourneyShape) -> MidjourneyOptions:
    usual = MidjourneyOptions()
    return MidjourneyOptions(dialect=shape.dialect or usual.dialect, unofficial=shape.unofficial)


def midjourney_problems(providers: Mapping[str, ProviderSettings], document: Document) -> Iterator[Problem]:
    """A bridge that nobody has vouched for, or whose address is not known."""
    for name, provider in providers.items():
        loc: Loc = ("providers", name)
        if provider.type != "midjourney":
            if (*loc, "midjourney") in document.lines:
                yield document.problem((*loc, "midjourney"), "only providers of type midjourney have 'midjourney'")
            continue
        if not provider.options.midjourney.unofficial:
            yield document.problem(
                document.nearest((*loc, "midjourney", "unofficial")),
                "Midjourney has no API: bridges break its terms and accounts behind them are banned; "
                "to use one all the same say 'midjourney: {unofficial: true}'",
            )
        if not provider.base_url:
            yield document.problem(loc, "needs the bridge's 'base_url'")
