"""Turnout: one OpenAI-compatible endpoint that decides who answers."""

__version__ = "0.1.0"
