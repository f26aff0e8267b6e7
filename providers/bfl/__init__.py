"""Black Forest Labs' FLUX models: create, poll, fetch the picture."""
