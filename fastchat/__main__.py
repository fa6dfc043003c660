"""The `fastchat` command: names of subcommands → modules, imported when used."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    module: str
    summary: str
    arguments: tuple[str, ...] = ()  # what distinguishes commands of one module, given to it before the user's


COMMANDS = {
    "up": Command("up", "bring a whole system up on this machine: models, API and web page"),
    "models": Command("models", "list, add or remove models of a running system"),
    "config": Command("config", "check a fastchat.yaml, or print its schema"),
    "controller": Command("controller", "keep the list of workers"),
    "worker": Command("worker", "serve one or more models"),
    "vllm": Command("launched", "start vLLM and bring its model into the system", ("vllm",)),
    "sglang": Command("launched", "likewise SGLang", ("sglang",)),
    "mlx": Command("launched", "likewise MLX, on a Mac", ("mlx",)),
    "lightllm": Command("launched", "likewise LightLLM", ("lightllm",)),
    "launch": Command("launched", "likewise any OpenAI-compatible server, by its command line", ("launch",)),
    "api": Command("api", "serve the OpenAI API over all workers"),
    "web": Command("web", "serve the web page"),
    "arena": Command("arena", "votes and conversations: verify, export, import, back up, release, erase"),
    "votes": Command("votes", "FastChat's logs: clean battles, counts, conversations to read"),
    "leaderboard": Command("leaderboard", "rate models by votes: build a board, verify it, show it, write a site"),
    "monitor": Command("monitor", "serve a leaderboard by itself, from a board's file or from FastChat's logs"),
    "topics": Command("topics", "find topics of prompts, and have a model label prompts"),
    "bench": Command("bench", "have models answer questions and judges grade them; show the results with intervals"),
    "data": Command("data", "conversations to train on: read, clean, count, split, sample"),
    "train": Command("train", "tune a model on conversations or votes; show beforehand what would be learned"),
    "chat": Command("chat", "talk to a model in the terminal, loaded here or on a server"),
    "answer": Command("answer", "ask a model one question"),
    "prompts": Command("prompts", "show prompt formats, and the exact text a model gets"),
    "register": Command("register", "announce an OpenAI-compatible server to a controller"),
    "pull": Command("pull", "fetch a model ahead"),
    "weights": Command("weights", "describe, verify, convert and merge weights"),
    "keys": Command("keys", "make API keys"),
    "message": Command("message", "send one message to a model, to see whether it answers"),
    "shutdown": Command("shutdown", "stop servers of this machine"),
}


STATISTICS = ("numpy", "scipy", "polars", "pandas")  # of the extra `leaderboard`; serving needs none of them


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "FASTCHAT_PARENT_FD" in os.environ:
        from fastchat.launcher.parent import exit_with_parent

        exit_with_parent()
    if arguments[:1] in ([], ["-h"], ["--help"], ["help"]):
        print(_overview())
    elif arguments[0] in ("-V", "--version"):
        from fastchat import __version__

        print(f"fastchat {__version__}")
    elif arguments[0] not in COMMANDS:
        print(f"fastchat: there is no command {arguments[0]!r}.\n\n{_overview()}", file=sys.stderr)
        raise SystemExit(2)
    else:
        command = COMMANDS[arguments[0]]
        run_command(command.module, [*command.arguments, *arguments[1:]])


def run_command(module: str, argv: Sequence[str] | None = None) -> None:
    """Run `fastchat/commands/<module>.py`; what its user has to mend is printed in one line, without a traceback."""
    # NumPy's own threads only wait for one another on matrices as small as ours. It reads this when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        command = import_module(f"fastchat.commands.{module}")
        from fastchat.core.errors import MissingPackage, SetupError

        try:
            command.main(argv)
        except SetupError as error:
            print(f"error: {error.message}", file=sys.stderr)
            raise SystemExit(2) from None
        except ModuleNotFoundError as error:
            if error.name not in STATISTICS:
                raise
            missing = MissingPackage(error.name, "leaderboard", f"`fastchat {module.replace('_', ' ')}`")
            print(f"error: {missing.message}", file=sys.stderr)
            raise SystemExit(2) from None
    except KeyboardInterrupt:  # also while modules are being imported
        raise SystemExit(130) from None


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    head = (
        "FastChat trains, serves and evaluates chatbots made from large language models.\n\nusage: fastchat COMMAND …"
    )
    return "\n".join([head, "", *lines, "", "`fastchat COMMAND --help` says more about one of them."])


if __name__ == "__main__":
    main()
