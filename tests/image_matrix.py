"""Every image backend as an operator configures it and as a client names it: a row for each, and a case for each claim.

A backend of `image_backends.BACKENDS` is a row by being there; those that tests drive otherwise are listed here.
"""

from dataclasses import asdict, dataclass

from image_backends import BACKENDS, Backend


@dataclass(frozen=True)
class Row:
    """`provider` is the name in the configuration, of type `kind`; `settings` is what it is told besides, as YAML.

    `model`, `edits` and `masked` are upstream models that make pictures, change one, and change it under a mask; "": it
    has none. `previews`: a stream shows pictures on the way. `moderates`: its wire says that a filter refused.
    `operation` is the sandbox's name of what makes a picture; `fetches`: results lie behind addresses.
    """

    name: str
    provider: str
    kind: str
    path: str
    model: str
    edits: str = ""
    masked: str = ""
    previews: bool = False
    moderates: bool = True
    operation: str = "images"
    fetches: bool = False
    settings: str = ""

    def as_json(self) -> dict[str, object]:
        """The row as client processes read it: models by the names that clients ask for."""
        models = {"model": self.model, "edits": self.edits, "masked": self.masked}
        return {**asdict(self), **{key: value and f"{self.provider}/{value}" for key, value in models.items()}}


def of_backend(each: Backend) -> Row:
    return Row(
        each.type,
        each.type,
        each.protocol or each.type,
        each.path,
        each.model,
        each.edits,
        each.masked,
        operation=each.submit,
        fetches=each.fetches,
        settings=each.settings,
    )


def gemini(name: str, model: str) -> Row:
    return Row(name, "google", "gemini", "gemini/v1beta", model, model, operation="generate")


ROWS = [
    gemini("gemini-flash", "gemini-3.1-flash-image"),
    gemini("gemini-flash-lite", "gemini-3.1-flash-lite-image"),
    gemini("gemini-pro", "gemini-3-pro-image"),
    gemini("nano-banana", "gemini-nano-banana-2.1"),
    *(
        Row(model, "openai", "openai", "openai/v1", model, model, model, previews=True)
        for model in ("gpt-image-2", "gpt-image-2.6-sunburst")
    ),
    Row(
        "eachlabs", "eachlabs", "eachlabs", "eachlabs/v1", "flux-1-1-pro", "an-editor",
        moderates=False, operation="submit", fetches=True,
    ),
    *(of_backend(each) for each in BACKENDS.values()),
    Row("seedream-volcengine", "seedream", "seedream", "seedream/api/v3", *("doubao-seedream-4-5-251128",) * 2),
    *(
        Row(
            name, name, "azure", f"azure{path}", *("gpt-image-2",) * 3,
            previews=True, settings=f"azure: {{api_version: {version}}}" if version else "",
        )
        for name, path, version in (("azure", "/openai/v1", ""), ("azure-dated", "", "2025-04-01-preview"))
    ),
    # the same type of provider in front of stable-diffusion.cpp
    Row(
        "sd-server", "stable-diffusion-cpp", "stable-diffusion", "stable-diffusion/sd-server",
        "default", "default", "default", operation="submit",
    ),
    Row("litellm", "any", "litellm", "openai/v1", "gpt-image-2", settings="model_prefix: openai/"),
]  # fmt: skip
CASES = ("b64_json", "url", "three", "edit", "mask", "moderation", "stream")


def configuration(**more: object) -> str:
    """A configuration with every provider of the rows, in front of the sandbox; `more` stands at each of them."""
    each = "".join(f", {name}: {value}" for name, value in more.items())
    lines = {}
    for row in ROWS:
        told = f"type: {row.kind}, api_key: k{each}{row.settings and ', '}{row.settings}"
        lines[row.provider] = f'  {row.provider}: {{base_url: "{{sandbox}}/p/{row.provider}/{row.path}", {told}}}'
    return "\n".join(["providers:", *lines.values(), 'fetch: {allow_origins: ["{sandbox}"]}', ""])
