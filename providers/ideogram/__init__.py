"""Ideogram: JSON or a form, pictures behind addresses."""
