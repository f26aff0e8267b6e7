"""Every image backend as an operator configures it and as a client names it: a row for each, and a case for each claim.

A backend of `image_backends.BACKENDS` is a row by being there; those that tests drive otherwise are listed here.
"""

from dataclasses import asdict, dataclass

from image_backends import BACKENDS, Backend


@dataclass(frozen=True)
class Row:
    """`provider` is the name in the configuration and `settings` what stands there besides an address below `path`.

    `model`, `edits` and `masked` are upstream models that make pictures, change one, and change it under a mask; "": it
    has none. `previews`: a stream shows pictures on the way. `moderates`: its wire says that a filter refused.
    `operation` is the sandbox's name of what makes a picture; `fetches`: results lie behind addresses.
    """

    name: str
    provider: str
    settings: str
    path: str
    model: str
    edits: str = ""
    masked: str = ""
    previews: bool = False
    moderates: bool = True
    operation: str = "images"
    fetches: bool = False

    def as_json(self) -> dict[str, object]:
        """The row as client processes read it: models by the names that clients ask for."""
        models = {key: f"{self.provider}/{value}" if value else "" for key, value in self._models().items()}
        return {**asdict(self), **models}

    def _models(self) -> dict[str, str]:
        return {"model": self.model, "edits": self.edits, "masked": self.masked}


def of_backend(each: Backend) -> Row:
    return Row(
        each.type,
        each.type,
        f"type: {each.type}, api_key: k",
        each.path,
        each.model,
        each.edits,
        each.masked,
        operation=each.submit,
        fetches=each.fetches,
    )


def gemini(name: str, model: str) -> Row:
    return Row(name, "google", "type: gemini, api_key: k", "gemini/v1beta", model, model, operation="generate")


ROWS = [
    gemini("gemini-flash", "gemini-3.1-flash-image"),
    gemini("gemini-flash-lite", "gemini-3.1-flash-lite-image"),
    gemini("gemini-pro", "gemini-3-pro-image"),
    gemini("nano-banana", "gemini-nano-banana-2.1"),
    *(
        Row(model, "openai", "type: openai, api_key: k", "openai/v1", model, model, model, previews=True)
        for model in ("gpt-image-2", "gpt-image-2.6-sunburst")
    ),
    Row(
        "eachlabs", "eachlabs", "type: eachlabs, api_key: k", "eachlabs/v1", "flux-1-1-pro", "an-editor",
        moderates=False, operation="submit", fetches=True,
    ),
    *(of_backend(each) for each in BACKENDS.values()),
    *(
        Row(model, "seedream", "type: seedream, api_key: k", "seedream/api/v3", model, model)
        for model in ("seedream-4-5-251128", "doubao-seedream-4-0-250828", "doubao-seedream-5-0-lite-260128")
    ),
    Row("litellm", "any", 'type: litellm, model_prefix: "openai/", api_key: k', "openai/v1", "gpt-image-2"),
]  # fmt: skip
CASES = ("b64_json", "url", "three", "edit", "mask", "moderation", "stream")


def configuration(**more: object) -> str:
    """A configuration with every provider of the rows, in front of the sandbox; `more` stands at each of them."""
    each = "".join(f", {name}: {value}" for name, value in more.items())
    lines = {
        row.provider: f'  {row.provider}: {{{row.settings}, base_url: "{{sandbox}}/p/{row.provider}/{row.path}"{each}}}'
        for row in ROWS
    }
    return "\n".join(["providers:", *lines.values(), 'fetch: {allow_origins: ["{sandbox}"]}', ""])
