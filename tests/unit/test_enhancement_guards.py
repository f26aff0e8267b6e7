"""What a rewrite may not lose, and that whatever a model says, it is kept or the original is used."""

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.pictures.enhancement.guards import lost, names, numbers, quoted
from router.pictures.enhancement.rewriting import NoRewriteError, rewrite_from

QUOTED = [
    ('a sign "Open 24h" and a "Café"', ["Open 24h", "Café"]),
    ("ein Schild „Zimmer frei“, une enseigne «Fermé»", ["Zimmer frei", "Fermé"]),
    ("the words ‘hello there’ and “good-bye”", ["hello there", "good-bye"]),
    ("a mug that says 'mum' on Anna's table, the dogs' bowl", ["mum"]),
    ("写着「营业中」的招牌", ["营业中"]),
    ("it's a dog's life, isn't it", []),
    ('an empty "" and " " and one "left open', [" and ", " and one "]),  # in doubt too much
    ("no quotes", []),
]


@pytest.mark.parametrize(("text", "found"), QUOTED)
def test_what_stands_in_quotation_marks(text: str, found: list[str]) -> None:
    assert quoted(text) == found


NUMBERS = [
    ("three cats and 12 dogs", {"3", "12"}),
    ("a 16:9 frame of 1920x1080, f/2.8, 1,000 stars", {"16:9", "1920x1080", "2.8", "1,000"}),
    ("one cat, nobody else", set()),
    ("Seven swans", {"7"}),
]


@pytest.mark.parametrize(("text", "found"), NUMBERS)
def test_numbers_in_digits_and_words(text: str, found: set[str]) -> None:
    assert numbers(text) == found


NAMES = [
    ("a view of the Eiffel Tower in Paris", {"Eiffel", "Tower", "Paris"}),
    ("Ada Lovelace at a loom. Charles watches", {"Ada", "Lovelace"}),
    ("A barn. The barn is red", set()),
    ("Barn in Tuscany's hills", {"Tuscany"}),
    ("a cat, I think", set()),
    ("ein Hund vor dem Kölner Dom", {"Hund", "Kölner", "Dom"}),
    ("埃菲尔铁塔", set()),
]


@pytest.mark.parametrize(("text", "found"), NAMES)
def test_names_are_capitalised_within_a_sentence(text: str, found: set[str]) -> None:
    assert names(text) == found


LOST = [
    ('a sign "Open"', 'a wooden sign that reads "Open", dusk', ""),
    ('a sign "Open"', "a wooden sign that reads open, dusk", "quoted text"),
    ('a sign "Open"', 'a wooden sign that reads "OPEN"', "quoted text"),
    ("three cats", "three tabby cats on a sofa", ""),
    ("three cats", "3 tabby cats on a sofa", ""),
    ("three cats", "some tabby cats on a sofa", "a number"),
    ("12 eggs", "120 eggs", "a number"),
    ("a street in Lisbon", "a steep street in Lisbon at noon", ""),
    ("a street in Lisbon", "a steep street in lisbon at noon", ""),
    ("a street in Lisbon", "a steep street in Portugal at noon", "a name"),
    ("a street in Rome's centre", "the centre of Rome, a street", ""),
    ("a lighthouse above stormy waves", "PWNED", "the subject"),
    ("a lighthouse above stormy waves", "I'm sorry, I cannot help with that request.", "the subject"),
    ("a lighthouse above stormy waves", "a tall white lighthouse, high waves, dusk", ""),
    ("a cat", "a tabby kitten on a sofa", ""),
    ("一只猫坐在窗台上，阳光明媚，油画风格", "窗台上的一只虎斑猫，清晨柔光，油画", ""),
]


@pytest.mark.parametrize(("original", "rewritten", "what"), LOST)
def test_what_a_rewrite_lost_is_named_by_its_kind(original: str, rewritten: str, what: str) -> None:
    assert lost(original, rewritten) == what


words = st.text(st.characters(codec="utf-8", exclude_characters='"\n', exclude_categories=("Cc", "Cs")), max_size=12)
prompts = st.lists(st.one_of(words, words.map(lambda text: f'"{text}"'), st.integers(0, 9999).map(str)), max_size=8)


@given(prompts, prompts, st.randoms(use_true_random=False))
def test_no_quoted_text_and_no_number_is_lost_or_the_original_is_used(
    said: list[str], more: list[str], chance: object
) -> None:
    """The rewrite is what may come of a careless model: some parts of the original dropped, others put in."""
    original = " ".join(said)
    parts = [part for part in said if chance.random() < 0.8] + more  # type: ignore[attr-defined]
    chance.shuffle(parts)  # type: ignore[attr-defined]
    answer = orjson.dumps({"prompt": " ".join(parts), "refused": False, "must_have": [], "text_strings": []})
    try:
        used = rewrite_from(answer.decode(), original).prompt
    except NoRewriteError:
        used = original
    for text in re.findall('"([^"\n]{1,300})"', original):
        assert not text.strip() or text in used
    for number in re.findall("[0-9]+", original):
        assert number in used
