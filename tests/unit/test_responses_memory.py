"""What is remembered of answers: whose it is, for how long, and how much of it."""

from builders import Clock

from router.api.responses.memory import ItemMemory


def item(item_id: str, text: str = "x") -> dict[str, object]:
    return {"id": item_id, "type": "message", "content": [{"type": "output_text", "text": text}]}


def test_an_item_is_found_by_its_own_caller_alone() -> None:
    memory = ItemMemory()
    memory.keep("a", [item("msg_1"), item("msg_2", "y")])
    assert memory.find("a", "msg_2") == item("msg_2", "y")
    assert memory.find("b", "msg_2") is None
    assert memory.find("a", "msg_3") is None


def test_an_item_is_forgotten_an_hour_after_its_last_use() -> None:
    clock = Clock()
    memory = ItemMemory(clock=clock)
    memory.keep("a", [item("msg_1"), item("msg_2")])
    clock.advance(3000)
    assert memory.find("a", "msg_1")
    clock.advance(3000)
    assert memory.find("a", "msg_1")
    assert memory.find("a", "msg_2") is None
    clock.advance(4000)
    memory.keep("a", [item("msg_3")])
    held = memory.bytes_held
    assert memory.find("a", "msg_1") is None
    assert memory.bytes_held == held, "it was let go of when the next one came"


def test_what_was_used_longest_ago_makes_room() -> None:
    memory = ItemMemory(max_bytes=10_000)
    for number in range(50):
        memory.keep("a", [item(f"msg_{number}", "x" * 500)])
        assert memory.find("a", "msg_0"), "it is in use"
        assert memory.bytes_held <= 10_000
    assert memory.find("a", "msg_49")
    assert memory.find("a", "msg_1") is None


def test_an_item_that_comes_again_is_counted_once() -> None:
    memory = ItemMemory()
    memory.keep("a", [item("msg_1")])
    held = memory.bytes_held
    memory.keep("a", [item("msg_1")])
    assert memory.bytes_held == held


def test_one_item_does_not_drive_out_all_others() -> None:
    memory = ItemMemory(max_bytes=10_000)
    memory.keep("a", [item("msg_1"), item("msg_2", "x" * 2000), {"type": "odd"}])
    assert memory.find("a", "msg_1")
    assert memory.find("a", "msg_2") is None
