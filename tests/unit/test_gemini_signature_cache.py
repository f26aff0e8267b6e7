"""The signature cache: bounded, forgetful in time, and closed between callers."""

from builders import Clock

from providers.gemini.signature_cache import (
    Recall,
    SignatureCache,
    beside,
    call_key,
    origin_of,
    picture_key,
)

HERE = origin_of(3.8, "developer", "google")
HOUR = 3600.0


def test_what_was_kept_for_a_caller_is_found_for_that_caller_only() -> None:
    cache = SignatureCache()
    cache.keep("ann", call_key("x9k2"), "AAAA", HERE)
    found = cache.find("ann", call_key("x9k2"))
    assert found is not None
    assert (found.signature, found.origin) == ("AAAA", HERE)
    assert cache.find("bob", call_key("x9k2")) is None
    assert cache.find("ann", call_key("other")) is None


def test_an_entry_lives_an_hour_after_its_last_use_and_a_day_at_most() -> None:
    clock = Clock()
    cache = SignatureCache(clock=clock)
    cache.keep("ann", "call:a", "AAAA", HERE)
    cache.keep("ann", "call:b", "BBBB", HERE)
    for _ in range(24):
        clock.now += 0.99 * HOUR
        assert cache.find("ann", "call:a") is not None
    assert cache.find("ann", "call:b") is None, "nobody asked for it within the hour"
    clock.now += 0.5 * HOUR
    assert cache.find("ann", "call:a") is None, "used all the time, but a day old"
    assert (len(cache), cache.bytes_held) == (0, 0)


def test_idle_entries_make_room_without_being_asked_for() -> None:
    clock = Clock()
    cache = SignatureCache(clock=clock)
    for number in range(10):
        cache.keep("ann", f"call:{number}", "AAAA", HERE)
    clock.now += 2 * HOUR
    cache.keep("ann", "call:new", "AAAA", HERE)
    assert len(cache) == 1


def test_what_was_used_longest_ago_goes_first_when_there_are_too_many() -> None:
    cache = SignatureCache(max_entries=3)
    for number in range(3):
        cache.keep("ann", f"call:{number}", "AAAA", HERE)
    cache.find("ann", "call:0")
    cache.keep("ann", "call:3", "AAAA", HERE)
    assert [cache.find("ann", f"call:{number}") is not None for number in range(4)] == [True, False, True, True]


def test_bytes_are_bounded_whatever_is_kept() -> None:
    cache = SignatureCache(max_bytes=100_000)
    for number in range(1000):
        cache.keep("ann", f"call:{number}", "S" * (number % 5000), HERE)
        assert cache.bytes_held <= 100_000
    assert 10 < len(cache) < 1000
    for _ in range(1000):
        cache.keep("ann", "call:same", "S" * 100, HERE)
    assert cache.find("ann", "call:same") is not None


def test_one_that_is_too_large_is_not_kept_and_takes_the_old_one_with_it() -> None:
    cache = SignatureCache(max_bytes=100_000)
    cache.keep("ann", "call:a", "AAAA", HERE)
    cache.keep("ann", "call:b", "BBBB", HERE)
    cache.keep("ann", "call:b", "B" * 10_000, HERE)
    assert cache.find("ann", "call:a") is not None, "nothing else had to go"
    assert cache.find("ann", "call:b") is None, "an outdated signature would be refused"


def test_the_clients_own_signature_comes_first_and_the_kept_one_fills_the_gap() -> None:
    recall = Recall(SignatureCache(), "ann", HERE)
    recall.keep("call:a", "KEPT")
    assert recall.settled("SENT", "call:a") == "SENT"
    assert recall.settled(None, "call:a") == "KEPT"
    assert recall.settled(None, "call:z") is None
    assert recall.settled("SENT", "call:z") == "SENT"


def test_a_signature_of_another_family_transport_or_project_is_left_out_even_if_the_client_sent_it() -> None:
    cache = SignatureCache()
    Recall(cache, "ann", HERE).keep("call:a", "KEPT")
    for elsewhere in (
        origin_of(4.0, "developer", "google"),
        origin_of(3.8, "vertex", "google"),
        origin_of(3.8, "developer", "other"),
    ):
        recall = Recall(cache, "ann", elsewhere)
        assert recall.settled(None, "call:a") is None
        assert recall.settled("KEPT", "call:a") is None
        assert recall.settled("ANOTHER", "call:a") == "ANOTHER", "of that one nothing is known"
    assert Recall(cache, "ann", origin_of(3.1, "developer", "google")).settled(None, "call:a") == "KEPT"


def test_after_a_refusal_no_signature_is_sent_and_without_a_cache_the_clients_stand() -> None:
    cache = SignatureCache()
    Recall(cache, "ann", HERE).keep("call:a", "KEPT")
    assert Recall(cache, "ann", HERE, unsigned=True).settled("SENT", "call:a") is None
    assert Recall().settled("SENT", "call:a") == "SENT"
    assert Recall().settled(None, "call:a") is None


def test_pictures_are_told_apart_by_content_and_long_ones_by_samples() -> None:
    picture = "A" * 3_000_000
    assert picture_key(picture) == picture_key("A" * 3_000_000)
    for place in (0, 1_500_000, 2_999_999):
        other = f"{picture[:place]}B{picture[place + 1 :]}"
        assert picture_key(other) != picture_key(picture)
    assert picture_key(picture + "A") != picture_key(picture)
    assert beside(picture_key("QUJD")) != picture_key("QUJD")
    assert call_key("") == beside("") == "", "nothing without a name is kept or looked for"
