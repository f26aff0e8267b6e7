"""What a picture measures, and whether there is anything on it. Pillow, imported on the first picture. Blocking."""

import io


def pixel_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header alone; None for what cannot be read."""
    from PIL import Image  # import time: see the module's docstring

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def is_black(data: bytes) -> bool:
    """Whether every pixel is black: what some filters put in a refused picture's place, without another word."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert("L").getextrema() == (0, 0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return False
