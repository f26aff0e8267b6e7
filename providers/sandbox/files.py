"""Pictures that the sandbox answered as a URL: drawn when somebody fetches them, kept only as a recipe."""

import itertools
import re
from collections import OrderedDict
from typing import Any

from msgspec import Struct

from providers.sandbox import pictures
from providers.sandbox.brain import identifier
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.refusals import JSON

_KEPT = 1000
_NAME = re.compile(r"/([0-9a-z]+)\.(png|jpeg|webp)\Z")


class Recipe(Struct, frozen=True, kw_only=True):
    """What a picture is drawn from; see `pictures.draw`."""

    prompt: str
    width: int
    height: int
    output_format: str = "png"
    quality: int = 90
    transparent: bool = False
    black: bool = False
    broken: bool = False
    number: int = 0
    grid: bool = False

    def draw(self) -> bytes:
        """The encoded picture, or bytes that are none when `broken`. Blocking."""
        if self.broken:
            return b"not a picture"
        return pictures.draw(
            self.prompt,
            self.width,
            self.height,
            output_format=self.output_format,
            quality=self.quality,
            transparent=self.transparent,
            black=self.black,
            number=self.number,
            grid=self.grid,
        )


class Files:
    """The newest 1,000 recipes by id."""

    def __init__(self) -> None:
        self._recipes: OrderedDict[str, Recipe] = OrderedDict()
        self._numbers = itertools.count()

    def add(self, recipe: Recipe, base_url: str) -> str:
        """The URL at which the picture can be fetched."""
        name = identifier("", f"file/{next(self._numbers)}/{recipe.prompt}", 16)
        self._recipes[name] = recipe
        while len(self._recipes) > _KEPT:
            self._recipes.popitem(last=False)
        return f"{base_url}/files/{name}.{recipe.output_format}"

    def route(self, incoming: Incoming) -> Route:
        return Route(operation="file", slow=True)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The picture at a path below `/files`, or 404."""
        match = _NAME.match(incoming.path)
        recipe: Any = self._recipes.get(match[1]) if match else None
        if recipe is None:
            return Answer(status=404, headers=(JSON,), body=b'{"error":"not found"}')
        if fault is not None and fault.name == "bad-image":
            return Answer(headers=((b"content-type", b"image/png"),), body=b"not a picture")
        kind = pictures.media_type(recipe.output_format).encode()
        return Answer(headers=((b"content-type", kind),), body=recipe.draw())
