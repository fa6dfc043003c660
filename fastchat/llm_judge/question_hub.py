"""A file of a data set or a space of the Hugging Face hub, fetched into the hub's own cache.

It is named as `huggingface_hub` itself does: hf://datasets/OWNER/NAME/FILE, or NAME@REVISION; hf://spaces/… likewise.
HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE mean what they always do.
"""

import re
from pathlib import Path

from fastchat.core.errors import SetupError

PREFIX = "hf://"
_NAME = re.compile(r"hf://(?P<kind>dataset|space)s/(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^/@]+))?/(?P<file>[^@]+)")


def fetch(name: str) -> Path:
    """Where it lies in the cache, fetched if it is not there or has changed.

    Raises:
        SetupError: it is not to be had.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise SetupError(f"{name}: a file on the hub is named hf://datasets/OWNER/NAME/FILE, or NAME@REVISION.")
    what = "data set" if match["kind"] == "dataset" else "space"
    import httpx2  # what huggingface_hub calls the hub with
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(match["repo"], match["file"], repo_type=match["kind"], revision=match["revision"]))
    except errors.GatedRepoError:
        reason = "it is open only to those who have accepted its terms. Accept them on its page and set HF_TOKEN."
    except errors.RevisionNotFoundError:
        reason = f"there is no branch, tag or commit {match['revision']!r}."
    except errors.RepositoryNotFoundError:
        reason = f"there is no {what} {match['repo']!r}, or it is private; for a private one set HF_TOKEN."
    except errors.HFValidationError:
        reason = f"{match['repo']!r} cannot be the name of a {what}."
    except errors.LocalEntryNotFoundError:
        reason = (
            "it is not in the cache, and the hub cannot be reached. Check the network, HF_ENDPOINT, HF_HUB_OFFLINE."
        )
    except errors.EntryNotFoundError:
        reason = f"the {what} has no file {match['file']!r}."
    except (errors.HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        reason = f"it did not come: {(str(error) or type(error).__name__).splitlines()[0]}. Try again."
    raise SetupError(f"{name}: {reason}")
