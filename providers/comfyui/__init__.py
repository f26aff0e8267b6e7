"""ComfyUI: workflows of the operator's own, queued, polled and fetched from his server."""
