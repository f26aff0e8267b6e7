"""Pictures on their way through: sizes, fan-out, formats, and the store behind their URLs."""
