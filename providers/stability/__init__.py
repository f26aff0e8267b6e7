"""Stability AI, v2beta: one form, one picture."""
