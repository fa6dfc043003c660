"""`fastchat pull`: fetch a model ahead."""

import argparse
import sys
from collections.abc import Sequence

from fastchat.core.errors import SetupError
from fastchat.model import builtin
from fastchat.model.pull import Hub, HubName

DESCRIPTION = """\
Fetch a model from the Hugging Face hub into its cache, or bring what is there up to date, and print where it lies.
Safetensors are preferred; of a repository of GGUF files name one, as org/model:Q4_K_M. Whatever takes a --model-path
takes the same names. HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE are honoured."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="fastchat pull", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="org/model, org/model:FILE.gguf, org/model@REVISION or builtin")
    parser.add_argument("--revision", default="main", help="branch, tag or commit (default: %(default)s)")
    flags = parser.parse_args(argv)
    if flags.model in builtin.ALIASES:
        print(builtin.ensure())
        return
    name = HubName.parse(flags.model)
    if name is None:
        raise SetupError(f"{flags.model!r} is no name on the hub. They look like org/model or org/model:FILE.gguf.")
    pulled = Hub().pull(name, flags.revision)
    fetched = f"{pulled.fetched_bytes / 1e9:.2f} of {pulled.nbytes / 1e9:.2f} GB were fetched and checked"
    print(f"{name}: {pulled.files} files at {pulled.revision[:12]}; {fetched}.", file=sys.stderr)
    print(pulled.path)
