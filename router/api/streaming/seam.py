"""Where one model's text ends and another's goes on: exactly one seam, nothing twice, nothing lost. Pure.

The last word is held back until the next has begun, so that what was sent always ends with a whole word and the white
space behind it is known: whatever white space a continuation begins with, or lacks, can then be put right. What it
repeats of the words that were sent is taken off; where that is not certain the seam is refused.
"""

import re
from collections.abc import Sequence
from itertools import islice

from providers.errors import ContinuationError

# Scripts written without blanks, and their signs: each character is a word. What follows the bracket modifies it.
_UNSPACED = (
    "\u3001-\u3098\u309b-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffef\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}][\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef]*|[^\s{_UNSPACED}]+")
_LONGEST_WORD = 1024  # characters; beyond that it is data, and a client waits for it
_LONGEST_REPETITION = 32 * 1024  # characters
_DISTINCT = 16  # characters of words that no text repeats by chance (see `_is_told_once`)
_ANCHOR = 24  # characters of words that an instructed model must begin with


class LastWord:
    """Lets a text through but for its last word and the white space before it.

    `gap` is that white space, once it is known: None where the text cannot be gone on with, because what was let
    through ends inside a word (one longer than any language has).
    """

    __slots__ = ("_cut", "_held")

    def __init__(self) -> None:
        self._held = ""
        self._cut = False

    @property
    def gap(self) -> str | None:
        found = _WORD.search(self._held)
        return None if self._cut or found is None else self._held[: found.start()]

    def feed(self, text: str) -> str:
        """What may be sent now."""
        held = self._held + text
        words = [match.span() for match in _WORD.finditer(held)]
        end = words[-2][1] if len(words) > 1 else 0
        if end:
            self._cut = False
        elif len(held) > _LONGEST_WORD:
            end, self._cut = len(held), True
        self._held = held[end:]
        return held[:end]

    def release(self) -> str:
        """All that is left."""
        held, self._held = self._held, ""
        return held


def anchor_of(sent: str) -> str:
    """The last words of `sent` that a model is told to begin with: enough of them to be sure it has understood."""
    words = [match.span() for match in _WORD.finditer(sent)]
    return sent[words[-_anchor_words([sent[a:b] for a, b in words])][0] :] if words else ""


class Seam:
    """Joins a continuation to what was `sent`, which ends with a whole word; `gap` is the white space that follows it.

    `anchored`: the model was told to begin with `anchor_of(sent)`, and one that does not has not understood. Otherwise
    it was to go on at once; then a beginning that repeats what was sent is taken off only if it is long and was said
    once before, because a text may well say a word twice.
    """

    def __init__(self, sent: str, gap: str, *, anchored: bool) -> None:
        self._said = _WORD.findall(sent)
        self._gap = gap
        self._needed = _anchor_words(self._said) if anchored else 0
        self._fitting = list(range(max(1, self._needed), len(self._said) + 1))  # how many words may be said again
        self._begun = ""
        self._words: list[str] = []
        self._read = 0  # characters of `_begun` that are in `_words`
        self.closed = not self._said

    @property
    def untouched(self) -> bool:
        """Whether nothing but white space has come so far."""
        return not self._begun.strip() and not self.closed

    def feed(self, text: str) -> str:
        """What may be sent now. Raises ContinuationError when this does not go on where the text ended."""
        return text if self.closed else self._try(text, final=False)

    def finish(self) -> str:
        """The rest, once the continuation is over. Raises as `feed` does, also when it brought nothing new."""
        return "" if self.closed else self._try("", final=True)

    def _try(self, text: str, *, final: bool) -> str:
        self._begun += text
        spans = [match.span() for match in _WORD.finditer(self._begun, self._read)]
        for start, end in spans if final else spans[:-1]:  # the last word may still grow
            self._take(self._begun[start:end])
            self._read = end
        if not self._words and not final:
            return ""
        repeated = self._repeated(final=final)
        if repeated is None:
            if len(self._begun) > _LONGEST_REPETITION:
                raise ContinuationError("the continuation repeats too much of what was sent")
            return ""
        new = next(islice(_WORD.finditer(self._begun), repeated, None), None)
        if new is None:
            raise ContinuationError("the continuation brought nothing new")
        self.closed = True
        begun, self._begun = self._begun, ""
        return self._gap + begun[new.start() :]

    def _take(self, word: str) -> None:
        """One more word of the continuation: which repetitions are still possible."""
        said, place, needed = self._said, len(self._words), self._needed
        self._words.append(word)
        self._fitting = [
            count
            for count in self._fitting
            if place >= count
            or said[place - count] == word
            or (place == 0 and count > max(1, needed) and said[-count].endswith(word))  # begun inside a word
        ]

    def _repeated(self, *, final: bool) -> int | None:
        """How many words of the continuation were sent before; None: more of it is needed to tell."""
        words, fitting = self._words, self._fitting
        if any(count > len(words) for count in fitting):
            if not final:
                return None
            if sum(map(len, words)) >= _DISTINCT:
                raise ContinuationError("the continuation brought nothing new")
            fitting = [count for count in fitting if count <= len(words)]
        if not fitting and not self._needed:
            return 0
        if len(fitting) == 1 and (self._needed or _is_told_once(self._said, words[: fitting[0]])):
            return fitting[0]
        raise ContinuationError("it is not certain where the continuation goes on")


def _is_told_once(said: Sequence[str], repeated: Sequence[str]) -> bool:
    """Whether the words that end the text are long and stand nowhere else: then to read them again is a repetition.

    That a text says the same sixteen characters twice in a row, for the first time, just where it broke, is the one
    thing assumed not to happen.
    """
    if sum(map(len, repeated)) < _DISTINCT:
        return False
    count, rest = len(repeated), list(repeated[1:])
    return not any(
        said[at + 1 : at + count] == rest and said[at].endswith(repeated[0]) for at in range(len(said) - count)
    )


def _anchor_words(said: Sequence[str]) -> int:
    """How many of the last words make an anchor: all of them in a short text."""
    length = 0
    for count, word in enumerate(reversed(said), 1):
        length += len(word)
        if length >= _ANCHOR and count >= 2:
            return count
    return len(said)
