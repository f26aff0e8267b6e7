"""Many pictures from a file of prompts, through a running router."""
