"""Where one model goes on for another: every character exactly once, or a refusal."""

import re

import pytest
from builders import hypothesis
from hypothesis import assume, given
from hypothesis import strategies as st

from providers.errors import ContinuationError
from router.api.streaming.seam import _WORD, LastWord, Seam, anchor_of

WORDS = " ".join(f"word{number}" for number in range(1, 61))
BLANKS = ("", " ", "\n", "  ", "\n\n", "\t")


def sent_of(text: str, cut: int, step: int = 7) -> tuple[str, str | None]:
    """What a client has of `text[:cut]`, which came in pieces of `step` characters, and the gap behind it."""
    last = LastWord()
    sent = "".join(last.feed(text[at : min(at + step, cut)]) for at in range(0, cut, step))
    return sent, last.gap


def joined(sent: str, gap: str, continuation: str, *, anchored: bool = False, step: int = 5) -> str:
    seam = Seam(sent, gap, anchored=anchored)
    pieces = [seam.feed(continuation[at : at + step]) for at in range(0, len(continuation), step)]
    return sent + "".join(pieces) + seam.finish()


# --- what is held back

HELD = [
    ("", "", None),
    ("word", "", ""),
    ("two wor", "two", " "),
    ("two words ", "two", " "),
    ("two words\n\n\tand", "two words", "\n\n\t"),
    (" \n", "", None),
    (" lead", "", " "),
    ("你好世界", "你好世", ""),
    ("你好 wor", "你好", " "),
    ("abc你", "abc", ""),
    ("か\u3099", "", ""),  # two code points, one character
    ("あか\u3099", "あ", ""),
    ("x" * 1024, "", ""),
    ("x" * 1025, "x" * 1025, None),
    ("x" * 1025 + "yy", "x" * 1025, None),
    ("x" * 1025 + "yy z", "x" * 1025 + "yy", " "),
]


@pytest.mark.parametrize(("text", "sent", "gap"), HELD)
def test_the_last_word_waits_for_the_next_one(text: str, sent: str, gap: str | None) -> None:
    last = LastWord()
    whole = last.feed(text[:1025]) + last.feed(text[1025:])
    assert (whole, last.gap) == (sent, gap)
    assert whole + last.release() == text


@given(st.text(), st.integers(1, 9))
def test_nothing_that_waits_is_lost(text: str, step: int) -> None:
    last = LastWord()
    pieces = [last.feed(text[at : at + step]) for at in range(0, len(text), step)]
    assert "".join(pieces) + last.release() == text


# --- going on

EXACT = [  # anchored or not
    ("at once", "word40 word41", False),
    ("with the blank", " word40 word41", False),
    ("with more than the blank", "\n\n word40 word41", False),
    ("with four words again", "word36 word37 word38 word39 word40 word41", False),
    ("with all again", WORDS[: WORDS.index(" word42")], False),
    ("in one word", "word40", False),
    ("from inside a word", "rd36 word37 word38 word39 word40 word41", False),
    ("from the anchor", "word36 word37 word38 word39 word40 word41", True),
    ("from before the anchor", "word30 word31 word32 word33 word34 word35 word36 word37 word38 word39 word40", True),
    ("from the anchor in other white space", "\nword36  word37\nword38 word39\n\nword40 word41", True),
]


@pytest.mark.parametrize(("how", "continuation", "anchored"), EXACT, ids=[row[0] for row in EXACT])
def test_a_continuation_goes_on_once(how: str, continuation: str, anchored: bool) -> None:
    sent = WORDS[: WORDS.index(" word40")]
    whole = joined(sent, " ", continuation, anchored=anchored)
    assert whole == WORDS[: len(whole)]
    assert whole.endswith(("word40", "word41"))


REFUSED = [
    ("a word twice may be meant", "the cat", "cat sat", False),
    ("so may three", "a b c", "a b c d", False),
    ("laughter has no end", "ha ha ha ha ha ha ha ha ha ha ha ha", "ha ha ha ha ha ha ha ha ha", False),
    ("nothing comes", "one two", "", False),
    ("blanks come", "one two", " \n", False),
    ("only what was there comes", WORDS, "word57 word58 word59 word60", False),
    ("only part of what was there comes", WORDS, WORDS[-30:], False),
    ("part of what was there comes", WORDS, "word20 word21 word22 word23", False),
    ("the anchor is missing", WORDS, "word61 word62", True),
    ("there is talk before it", WORDS, f"Sure, here is the rest: {anchor_of(WORDS)} word61", True),
    ("the anchor is spelt otherwise", WORDS, f"{anchor_of(WORDS).title()} word61", True),
    ("the anchor is cut", WORDS, anchor_of(WORDS)[:-9], True),
    ("nothing follows the anchor", WORDS, anchor_of(WORDS), True),
    ("the anchor may be two", "na na na na na na na na na na na na na na na na", "na " * 16 + "batman", True),
]


@pytest.mark.parametrize(("why", "sent", "continuation", "anchored"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_certain_is_refused(why: str, sent: str, continuation: str, anchored: bool) -> None:
    with pytest.raises(ContinuationError):
        joined(sent, " ", continuation, anchored=anchored)


def test_the_seam_is_closed_as_soon_as_it_is_certain() -> None:
    seam = Seam("one two", " ", anchored=False)
    assert seam.feed("thr") == "", "the first word may become one that was sent"
    assert seam.feed("ee fo") == " three fo"
    assert seam.feed("ur") == "ur"
    assert seam.closed


def test_an_answer_that_was_not_seen_yet_has_no_seam() -> None:
    seam = Seam("", "", anchored=True)
    assert (seam.feed(" anything"), seam.feed(" goes"), seam.finish()) == (" anything", " goes", "")


def test_an_anchor_is_long_enough_or_all_there_is() -> None:
    assert anchor_of(WORDS) == "word57 word58 word59 word60"
    assert anchor_of("one\n two") == "one\n two"
    assert anchor_of("x" * 100 + " y") == "x" * 100 + " y"
    assert anchor_of("") == ""


# --- any text, cut anywhere, continued in any of these ways

words = st.sampled_from(
    ["a", "ha", "the", "cat", "don't", "naïve", "x=1;", "- item", "你好", "世", "か\u3099", "🙂", "end."]
)
texts = st.lists(st.tuples(words, st.sampled_from(BLANKS[1:])), min_size=3, max_size=40).map(
    lambda pairs: "".join(word + blank for word, blank in pairs).rstrip()
)


def respaced(text: str, chance: st.DataObject) -> str:
    """`text` with other white space in front and within the words that the seam takes off."""
    return chance.draw(st.sampled_from(BLANKS)) + text.lstrip()


def repeats_itself(text: str, at: int) -> bool:
    """Whether the words before `at` that make up sixteen characters or more are said again right behind it."""
    before, behind = re.sub(r"\s", "", text[:at]), re.sub(r"\s", "", text[at:])
    return any(behind.startswith(before[-length:]) for length in range(16, len(before) + 1))


@hypothesis.settings(max_examples=600, deadline=None)
@given(st.data())
def test_every_character_comes_exactly_once_or_the_seam_is_refused(chance: st.DataObject) -> None:
    text = chance.draw(texts)
    cut = chance.draw(st.integers(1, len(text)))
    sent, gap = sent_of(text, cut, chance.draw(st.integers(1, 9)))
    assert text.startswith(sent)
    assume(sent and gap is not None)
    assert gap is not None
    # from anywhere in what was sent but its last word, or from its end
    again = chance.draw(st.integers(0, len(sent) - len(_WORD.findall(sent)[-1])) | st.just(len(sent) + len(gap)))
    assume(not repeats_itself(text, len(sent)))
    continuation = respaced(text[again:], chance)
    step = chance.draw(st.integers(1, 9))
    try:
        whole = joined(sent, gap, continuation, step=step)
    except ContinuationError:
        return
    assert whole == text


@hypothesis.settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_told_model_is_joined_exactly_or_refused_wherever_it_begins(chance: st.DataObject) -> None:
    text = chance.draw(texts)
    cut = chance.draw(st.integers(1, len(text)))
    sent, gap = sent_of(text, cut)
    assume(sent and gap is not None)
    assert gap is not None
    anchor = anchor_of(sent)
    said, first = _WORD.findall(text), _WORD.findall(anchor)
    assume(sum(said[at : at + len(first)] == first for at in range(len(said))) == 1)  # no model could tell them apart
    starts = [0, *(match.start() for match in re.finditer(r"(?<=\s)\S", text[: len(sent)])), len(sent) + len(gap)]
    again = chance.draw(st.sampled_from([*starts, len(sent) - len(anchor)]))
    try:
        whole = joined(sent, gap, respaced(text[again:], chance), anchored=True)
    except ContinuationError:
        return
    assert whole == text


@given(st.integers(1, len(WORDS)), st.integers(1, 9), st.sampled_from(BLANKS), st.integers(0, 59), st.booleans())
def test_distinct_words_are_never_refused(cut: int, step: int, blank: str, back: int, anchored: bool) -> None:
    sent, gap = sent_of(WORDS, cut, step)
    assume(sent and gap is not None)
    assert gap is not None
    said = sent.split(" ")
    rest = WORDS[len(sent) + len(gap) :].split(" ")
    least = len(anchor_of(sent).split(" ")) if anchored else 0
    again = max(least, min(back, len(said)))
    if not anchored and again and sum(map(len, said[-again:])) < 16:
        again = 0
    repeated = said[-again:] if again else []
    continuation = blank + " ".join([*repeated, *rest])
    assert joined(sent, gap, continuation, anchored=anchored, step=step) == WORDS
