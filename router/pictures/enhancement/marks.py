"""Marks around text that is to be worked on and not obeyed."""

import hashlib


def fenced(*texts: tuple[str, str]) -> str:
    """Each (name, text) between marks of that name which no text can hold: they are made from all of them."""
    digest = hashlib.sha256("\0".join(text for _, text in texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return "\n".join(f"<{name}-{digest}>\n{text}\n</{name}-{digest}>" for name, text in texts)
