"""Midjourney by way of bridges: it has no API of its own."""
