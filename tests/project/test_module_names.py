"""A script's folder stands first where Python looks for modules: `torchrun fastchat/train/train_mem.py` must not find
ours in place of somebody else's."""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

FASTCHAT = Path(__file__).parents[2] / "fastchat"


@pytest.mark.parametrize("folder", ["train", "data"])
def test_no_module_beside_a_script_is_called_as_a_library_is(folder: str) -> None:
    beside = (FASTCHAT / folder).iterdir()
    names = {one.stem for one in beside if one.suffix == ".py" or (one / "__init__.py").is_file()} - {"__init__"}
    assert names & (set(sys.stdlib_module_names) | set(packages_distributions())) == set()
