"""How many tokens a model counts where the router guesses by length: learned from what its upstream reports.

No tokenizer is run: the guess is good for ordering models, the ratio makes it good for prices and windows.
"""

from router.routing.plan import Features

IMAGE_TOKENS = 1120  # of a picture, a sound or a file in a prompt, whatever the model: none of them is looked into
AUDIO_TOKENS = 1000
FILE_TOKENS = 2000
_MEMORY = 0.99  # of a sample by the next one: about the last hundred count
_PRIOR_TOKENS = 1000.0  # the guess counts as one prompt of that length
_LEAST_TOKENS = 100  # of shorter prompts the frame around them is measured, not the text
_MOST_TOKENS = 10_000  # one long prompt is one kind of text, however long
MOST = 4  # times the guess, or a quarter of it: beyond that something else is counted than what was sent


class TokenRatio:
    """Of one model: what was counted for text over what was guessed, a decayed mean weighted by length."""

    __slots__ = ("_counted", "_guessed", "factor")

    def __init__(self) -> None:
        self._counted = self._guessed = _PRIOR_TOKENS
        self.factor = 1.0

    def observe(self, features: Features, counted: int) -> None:
        """An upstream counted so many tokens for a prompt; one with media says nothing of text."""
        guessed = features.prompt_tokens
        if features.media_tokens or guessed < _LEAST_TOKENS or not guessed <= MOST * counted <= MOST * MOST * guessed:
            return
        share = min(1.0, _MOST_TOKENS / guessed)
        self._counted = self._counted * _MEMORY + counted * share
        self._guessed = self._guessed * _MEMORY + guessed * share
        self.factor = self._counted / self._guessed

    def prompt_tokens(self, features: Features) -> int:
        """How many tokens this model will count for a request's prompt."""
        media = features.media_tokens
        return int((features.prompt_tokens - media) * self.factor) + media
