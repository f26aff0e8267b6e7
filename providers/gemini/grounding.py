"""Sources of an answer -> OpenAI's `annotations`. Google counts bytes of UTF-8, OpenAI characters.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata (read 2026-11-20).
"""

from providers.gemini.lenient import as_count, as_list, as_object, as_text
from providers.types import JsonObject, JsonValue

_KINDS = ("web", "retrievedContext", "maps", "image")


def annotations(content: str, grounding: JsonObject, citations: JsonObject) -> list[JsonValue]:
    """One `url_citation` per supported passage and source, and one per citation; [] when there is none.

    A passage without a segment has no place in the text and is left out; an absent start is 0.
    """
    if not grounding and not citations:
        return []
    encoded = content.encode()
    chunks = as_list(grounding.get("groundingChunks"))
    found: list[JsonValue] = []
    for support in as_list(grounding.get("groundingSupports")):
        segment = as_object(as_object(support).get("segment"))
        if not segment:
            continue
        start, end = _place(segment, content, encoded)
        for index in as_list(as_object(support).get("groundingChunkIndices")):
            if isinstance(index, int) and 0 <= index < len(chunks):
                _add(found, _source(as_object(chunks[index])), start, end)
    for item in as_list(citations.get("citationSources")) or as_list(citations.get("citations")):
        citation = as_object(item)
        start, end = _place(citation, content, encoded)
        _add(found, citation, start, end)
    return found


def searches(grounding: JsonObject, *, by_query: bool) -> int:
    """Billable searches of one answer: its queries (of the web and of pictures), or one if it was grounded at all."""
    queries = len(as_list(grounding.get("webSearchQueries"))) + len(as_list(grounding.get("imageSearchQueries")))
    if by_query:
        return queries
    return int(queries > 0 or any("web" in as_object(chunk) for chunk in as_list(grounding.get("groundingChunks"))))


def _place(segment: JsonObject, content: str, encoded: bytes) -> tuple[int, int]:
    """Start and end in characters. Offsets count from the segment's own part, so its text is looked for as well."""
    start, end = as_count(segment.get("startIndex")), as_count(segment.get("endIndex"))
    first, last = _characters(encoded, start), _characters(encoded, max(end, start))
    text = as_text(segment.get("text"))
    if text and content[first:last] != text:
        position = content.find(text, first)
        position = position if position >= 0 else content.find(text)
        if position >= 0:
            return position, position + len(text)
    return first, last


def _characters(encoded: bytes, offset: int) -> int:
    return len(encoded[:offset].decode("utf-8", "ignore"))


def _source(chunk: JsonObject) -> JsonObject:
    return next((as_object(chunk[kind]) for kind in _KINDS if as_object(chunk.get(kind))), {})


def _add(found: list[JsonValue], source: JsonObject, start: int, end: int) -> None:
    url = as_text(source.get("uri"))
    if not url:
        return
    title = as_text(source.get("title")) or as_text(source.get("domain")) or url
    citation: JsonObject = {"url": url, "title": title, "start_index": start, "end_index": end}
    found.append({"type": "url_citation", "url_citation": citation})
