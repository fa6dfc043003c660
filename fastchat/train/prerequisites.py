"""What a run needs and this machine lacks, said before anything is loaded."""

import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from fastchat.core.errors import MissingPackage, SetupError

_LIBRARIES = ("torch", "transformers", "accelerate", "peft", "numpy")
_TRACKERS = frozenset({"wandb", "tensorboard", "mlflow", "trackio", "swanlab", "comet_ml", "clearml", "neptune"})
# Which package a flag of transformers needs.
_PACKAGES: Mapping[str, str] = {"deepspeed": "deepspeed", "use_liger_kernel": "liger_kernel"}
_ON_PYPI = {"liger_kernel": "liger-kernel"}


def check_libraries() -> None:
    """
    Raises:
        MissingPackage: one of those that training always needs.
    """
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise MissingPackage(name, "train", "Training")


def quiet_libraries() -> None:
    """What they say of files and kernels is no matter of a training's log; bars are for terminals."""
    import transformers

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()


def check_flags(given: Mapping[str, object], *, has_accelerator: bool) -> None:
    """`given` are values for transformers' TrainingArguments by their names.

    Raises:
        SetupError: one needs a package that is not installed, or a GPU that is not there.
    """
    for flag, package in _PACKAGES.items():
        if given.get(flag) and find_spec(package) is None:
            pypi = _ON_PYPI.get(package, package)
            raise SetupError(f"{flag} needs the package {package!r}. Install it with: pip install {pypi}")
    if given.get("use_liger_kernel") and not has_accelerator:
        raise SetupError("use_liger_kernel: Liger's kernels run on a GPU, and there is none. Leave it out.")
    reports = given.get("report_to")
    for name in [reports] if isinstance(reports, str) else reports if isinstance(reports, Sequence) else []:
        if name in _TRACKERS and find_spec(name) is None:
            raise SetupError(f"report_to: {name!r} is not installed. Install it with: pip install {name}")


def wanted_tracker(environ: Mapping[str, str]) -> str | None:
    """transformers used to report to whatever was installed; FastChat's users set variables of wandb and no flag."""
    is_set = environ.get("WANDB_API_KEY") or environ.get("WANDB_MODE")
    return "wandb" if is_set and environ.get("WANDB_MODE") != "disabled" else None
