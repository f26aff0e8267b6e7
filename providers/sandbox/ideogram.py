"""Ideogram's wires: the v2 API (JSON or a form), and v3 (always a form). Pictures come behind addresses."""

import re
from collections.abc import Mapping
from typing import Any

from providers.sandbox import pictures
from providers.sandbox.config import SandboxConfig
from providers.sandbox.exchange import Answer, Incoming, Route
from providers.sandbox.faults import Fault
from providers.sandbox.files import Files
from providers.sandbox.forms import form_fields
from providers.sandbox.jobs import INTERNAL_URL, ratio_size, recipes
from providers.sandbox.refusals import RefusedError, error_answer, json_answer, json_payload

_NEW = re.compile(r"/v2/image/generate/([a-z0-9.-]+)\Z")
_OLD = re.compile(r"/v1/ideogram-v3/(generate|remix|edit)\Z")
_COMMON = {
    *("prompt", "num_images", "seed", "aspect_ratio", "rendering_speed", "magic_prompt", "style_type", "style_codes"),
    *("style_preset", "color_palette"),
}
_FIELDS: Mapping[str, set[str]] = {
    "new": _COMMON | {"images", "size", "async", "webhook_url"},
    "generate": _COMMON | {"negative_prompt", "resolution"},
    "remix": _COMMON | {"negative_prompt", "resolution", "image", "image_weight"},
    "edit": (_COMMON - {"aspect_ratio"}) | {"negative_prompt", "image", "mask"},
}
_MODERATED = frozenset({"safety", "image-safety", "blocked-prompt"})
_EMPTY = frozenset({"no-image", "empty-candidate", "no-candidates"})


class Ideogram:
    """The dialect for one sandbox."""

    def __init__(self, config: SandboxConfig, files: Files) -> None:
        self._config = config
        self._files = files

    def route(self, incoming: Incoming) -> Route:
        """Raises RefusedError for an unknown URL or a body that cannot be read."""
        new, old = _NEW.match(incoming.path), _OLD.match(incoming.path)
        if incoming.method != "POST" or not (new or old):
            raise RefusedError(error_answer("ideogram", 404, "not found"))
        kind = incoming.header(b"content-type")
        if kind.startswith("multipart/form-data"):
            fields = form_fields(incoming.body, kind)
        elif new:
            fields = json_payload("ideogram", incoming.body, 400)
        else:
            raise _refuse("Content-Type must be multipart/form-data")
        wire = old[1] if old else "new"
        return Route(operation="submit", model=new[1] if new else "ideogram-v3", payload=(wire, fields), slow=True)

    def answer(self, incoming: Incoming, route: Route, fault: Fault | None) -> Answer:
        """The answer to a routed request; `fault` is a content or job fault or None. Raises RefusedError."""
        if not self._config.takes(incoming.header(b"api-key")):
            raise RefusedError(error_answer("ideogram", 401, "Invalid API key"))
        wire, fields = route.payload
        _check(wire, fields)
        name = fault.name if fault else ""
        width, height = _size(wire, fields)
        count = 0 if name in _EMPTY else int(fields.get("num_images") or 1)
        drawn = recipes(fields["prompt"], name, count, width=width, height=height)
        data: list[dict[str, Any]] = []
        for recipe in drawn:
            url = INTERNAL_URL if name == "job-internal-url" else self._files.add(recipe, incoming.base_url)
            safe = name not in _MODERATED
            data.append(
                {
                    "url": url if safe else "",
                    "prompt": f"{recipe.prompt}, in a quiet light",
                    "resolution": f"{width}x{height}",
                    "seed": int(fields.get("seed") or 42),
                    "is_image_safe": safe,
                }
            )
        return json_answer({"generation_id": incoming.key, "created": "2026-11-20T00:00:00Z", "data": data})


def _check(wire: str, fields: Mapping[str, Any]) -> None:
    for name in fields:
        if name not in _FIELDS[wire]:
            raise _refuse(f"Unknown field: {name}")
    if not isinstance(fields.get("prompt"), str) or len(fields["prompt"]) > 10_000:
        raise _refuse("prompt is required")
    if not 1 <= int(fields.get("num_images") or 1) <= 8:
        raise _refuse("num_images must be from 1 to 8")
    if (fields.get("rendering_speed") or "DEFAULT") not in ("TURBO", "DEFAULT", "QUALITY"):
        raise _refuse("rendering_speed must be TURBO, DEFAULT or QUALITY")
    ratio = fields.get("aspect_ratio")
    if ratio is not None and (":" in ratio) != (wire == "new"):
        raise _refuse(f"aspect_ratio {ratio} is not valid")
    if wire == "edit":
        mask = fields["mask"][0].data
        if pictures.size_of(mask) != pictures.size_of(fields["image"][0].data) or pictures.has_alpha(mask):
            raise _refuse("mask must be black and white, of the size of the image")


def _size(wire: str, fields: Mapping[str, Any]) -> tuple[int, int]:
    if wire == "edit":
        return pictures.size_of(fields["image"][0].data) or (1024, 1024)
    try:
        return ratio_size((fields.get("aspect_ratio") or "1:1").replace("x", ":"))
    except ValueError as exc:
        raise _refuse(str(exc)) from exc


def _refuse(message: str) -> RefusedError:
    return RefusedError(error_answer("ideogram", 400, message))
