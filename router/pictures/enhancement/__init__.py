"""Better prompts and judged pictures: what is asked of the helping models, what is believed, what is decided. Pure."""
