"""Replicate: predictions of many models, each with words of its own."""
