"""A streamed answer on its way out: as it comes, held back until it is whole, or mended when it breaks."""
