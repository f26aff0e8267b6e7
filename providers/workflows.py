"""Workflows as ComfyUI runs them: a graph of nodes, and where in it the parts of a request go. Values only."""

from msgspec import Struct

from providers.catalogue import ImageCapabilities, PixelLimits
from providers.types import JsonObject

_PIXELS = PixelLimits(multiple=8, min_side=64, max_side=4096)


class Place(Struct, frozen=True):
    """An input of a node in a workflow's graph."""

    node: str
    input: str


class Workflow(Struct, frozen=True, kw_only=True):
    """A ComfyUI graph as its API takes it, and where in it the parts of a request go.

    `images` are the places of one picture each, in the caller's order; every other part goes to all of its places.
    `output` is the node whose pictures count; "": any.
    """

    graph: JsonObject
    prompt: tuple[Place, ...]
    seed: tuple[Place, ...]
    negative_prompt: tuple[Place, ...] = ()
    width: tuple[Place, ...] = ()
    height: tuple[Place, ...] = ()
    images: tuple[Place, ...] = ()
    mask: tuple[Place, ...] = ()
    output: str = ""


def abilities_of(workflow: Workflow, known: ImageCapabilities | None) -> ImageCapabilities:
    """What a workflow can do by its places; its pixels as far as they are `known`."""
    limits = (known.pixels if known is not None else None) or _PIXELS
    return ImageCapabilities(
        pixels=limits if workflow.width else None, references=len(workflow.images), mask=bool(workflow.mask)
    )
