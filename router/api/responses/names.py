"""Where each part of the chat request stands in the caller's own body: refusals and warnings name it there."""

import re
from collections.abc import Iterable, Mapping

from providers.errors import ProviderError
from router.errors import RouterError
from router.routing.dispatch import AllAttemptsFailedError

_QUOTED = re.compile(r"'([a-z_]+(?:[.\[][A-Za-z0-9_.\[\]]*)?)'")
_FIELDS: Mapping[str, str] = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "top_logprobs",
}


class Names:
    """Chat paths -> the caller's. `known` holds those of this request; the longest beginning of a path decides."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known

    def of(self, path: str) -> str:
        """The caller's name for `path`; itself when both shapes have the same."""
        head = path
        while head:
            found = self._known.get(head) or _FIELDS.get(head)
            if found is not None:
                return found if found == "input" else found + path[len(head) :]
            head = head[: max(head.rfind("."), head.rfind("["), 0)]
        return path

    def in_text(self, text: str) -> str:
        """A message with the quoted paths renamed."""
        return _QUOTED.sub(lambda match: f"'{self.of(match[1])}'", text)

    def in_warnings(self, warnings: Iterable[str]) -> tuple[str, ...]:
        """`field=what happened`, with the field renamed."""
        split = (warning.partition("=") for warning in warnings)
        return tuple(f"{self.of(field)}{equals}{what}" for field, equals, what in split)

    def rename(self, error: RouterError | ProviderError) -> None:
        """Say in the caller's words what `error` is about, and what the attempts behind it were about."""
        about: list[RouterError | ProviderError] = [error]
        if isinstance(error, AllAttemptsFailedError):
            about.append(error.last)
        for each in about:
            each.message = self.in_text(each.message)
            if each.param is not None:
                each.param = self.of(each.param)
