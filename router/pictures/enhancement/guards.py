"""What a rewritten prompt must not have lost: quoted texts, numbers, names, its subject. Doubts favour the original."""

import re
from collections.abc import Collection

_QUOTES = re.compile(
    r'"([^"\n]{1,300})"|“([^”\n]{1,300})”|„([^“”\n]{1,300})[“”]|«([^»\n]{1,300})»|»([^«\n]{1,300})«|‹([^›\n]{1,300})›'
    r"|‘([^’\n]{1,300})’|「([^」\n]{1,300})」|『([^』\n]{1,300})』|(?<!\w)'([^'\n]{1,300})'(?!\w)"
)
_NUMBER = re.compile(r"\d+(?:[.,:/x×]\d+)*")
_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 2
    )
}
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_OPENS_SENTENCE = frozenset('.!?:;\n"“„«»‹‘「『([{-–—*•')
_SHORTEST_NAME = 3  # letters: "I", "A" and "On" are no names
_TELLING = 4  # letters of a word that says what a prompt is about
_FEW = 3  # such words; fewer may all be put in other words


def lost(original: str, rewritten: str) -> str:
    """What kind of thing of `original` is missing in `rewritten`, in words without any of its text; "" for nothing."""
    if any(text not in rewritten for text in quoted(original)):
        return "quoted text"
    if numbers(original) - numbers(rewritten):
        return "a number"
    words = {_bare(word).casefold() for word in _WORD.findall(rewritten)}
    if any(name.casefold() not in words for name in names(original)):
        return "a name"
    return "" if _is_about(words, original) else "the subject"


def quoted(text: str) -> list[str]:
    """What stands in quotation marks, without them."""
    found = (next(group for group in match.groups() if group) for match in _QUOTES.finditer(text))
    return [content for content in found if content.strip()]


def numbers(text: str) -> set[str]:
    """The numbers in a text: what is in digits, and in English words from two to twelve as digits."""
    words = {_NUMBER_WORDS[word] for word in map(str.casefold, _WORD.findall(text)) if word in _NUMBER_WORDS}
    return words | set(_NUMBER.findall(text))


def names(text: str) -> set[str]:
    """Words that are capitalised although no sentence begins with them, and those just before one of these."""
    found: set[str] = set()
    held = ""  # a capitalised word that begins a sentence: a name only if the next word says so
    end = -1
    for match in _WORD.finditer(text):
        word = _bare(match[0])
        capital = word[:1].isupper() and len(word) >= _SHORTEST_NAME
        if _begins_sentence(text, match.start()):
            held = word if capital else ""
        elif capital:
            found.add(word)
            if held and text[end : match.start()] == " ":
                found.add(held)
            held = ""
        else:
            held = ""
        end = match.end()
    return found


def _is_about(words: Collection[str], original: str) -> bool:
    """Whether a third of the longer words of the original are there: an answer to the prompt is no prompt.

    Counted only where words are told apart by blanks, which scripts with capital letters do.
    """
    telling = {
        word.casefold()
        for word in map(_bare, _WORD.findall(original))
        if len(word) >= _TELLING and word.upper() != word.lower()
    }
    return len(telling) < _FEW or 3 * len(telling.intersection(words)) >= len(telling)


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t")
    return not before or before[-1] in _OPENS_SENTENCE


def _bare(word: str) -> str:
    """Without the possessive."""
    return re.sub(r"['’]s?$", "", word)
