"""Eachlabs predictions: create, poll, fetch the picture."""
