"""Images for a model that sees: a file or an address → a `data:` URL."""

from pathlib import Path

from fastchat.client.images import Image, ImageLimits, ImageLoader
from fastchat.core.errors import InvalidRequest

# The person at this terminal may show what this machine can reach; unlike a server we act for nobody else.
LIMITS = ImageLimits(allow_private=True)


_ADDRESSES = ("http://", "https://", "data:")


async def picture(source: str) -> str:
    """
    Raises:
        InvalidRequest: there is no such file, it is too large, or no image.
    """
    image = await ImageLoader(LIMITS).load(source) if source.startswith(_ADDRESSES) else _read(source)
    return image.data_url


def _read(source: str) -> Image:
    path = Path(source).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(LIMITS.max_bytes + 1)
    except OSError as error:
        raise InvalidRequest(f"The image {str(path)!r} cannot be read: {error.strerror}.") from None
    if len(data) > LIMITS.max_bytes:
        raise InvalidRequest(f"The image {str(path)!r} is larger than {LIMITS.max_bytes / 2**20:g} MiB.")
    try:
        return Image.recognise(data)
    except InvalidRequest:
        raise InvalidRequest(f"{str(path)!r} is neither PNG, JPEG, GIF nor WebP.") from None
