"""fal.ai: its queue of apps."""
