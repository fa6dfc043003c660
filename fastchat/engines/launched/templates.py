"""The chat template a server is given: the one that is wanted, or of the catalogue for models that ship none."""

import logging
import re
from pathlib import Path

from fastchat.engines.formats import Choice, choose_format
from fastchat.prompts import catalog

log = logging.getLogger(__name__)

_TEMPLATE_FILES = ("chat_template.*", "tokenizer_config.json")


def format_for(wanted: str | None, model: str, revision: str | None) -> Choice:
    """`model` is a folder or a name on the hub.

    Raises:
        SetupError: what is wanted is no format, or a file of the model is damaged.
    """
    is_known = catalog.match(model) is not None
    path = model if wanted or not is_known or Path(model).exists() else _from_hub(model, revision)
    return choose_format(wanted, path, model)


def _from_hub(model: str, revision: str | None) -> str:
    """A folder with what says whether the model ships a template; the name itself if that cannot be had."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return model
    try:
        from huggingface_hub import snapshot_download

        return str(snapshot_download(model, revision=revision, allow_patterns=list(_TEMPLATE_FILES)))
    except Exception as error:  # whatever it is, the server will meet it too, and say it better
        log.warning("whether %s ships a chat template is not known (%s)", model, type(error).__name__)
        return model
