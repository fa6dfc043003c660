"""What can be said to the chat instead of to the model: `/help`, or FastChat's `!!help`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastchat.client.chat import ChatParameters
from fastchat.core.errors import InvalidRequest
from fastchat.terminal import saved
from fastchat.terminal.parameters import PARAMETERS, changed
from fastchat.terminal.pictures import picture

if TYPE_CHECKING:
    from fastchat.terminal.chat import Chat


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    argument: str  # as `/help` shows it; in brackets when it may be left out
    help: str
    run: "Callable[[Chat, str], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class CommandCall:
    command: Command
    argument: str

    async def run(self, chat: "Chat") -> None:
        """
        Raises:
            InvalidRequest: the argument is missing, or no good.
        """
        takes = self.command.argument
        if takes and not takes.startswith("[") and not self.argument:
            raise InvalidRequest(f"/{self.command.name} takes {takes}: {self.command.help}.")
        await self.command.run(chat, self.argument)


def called(line: str, prefixes: Sequence[str]) -> CommandCall | None:
    """The command a line calls; None when it is a message. A path at its beginning makes no command of it.

    Raises:
        InvalidRequest: there is no such command.
    """
    prefix = next((prefix for prefix in prefixes if line.startswith(prefix)), None)
    if prefix is None:
        return None
    name, _, argument = line.removeprefix(prefix).partition(" ")
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is not None:
        return CommandCall(command, argument.strip())
    if "/" in name:
        return None
    names = " ".join(f"{prefix}{command.name}" for command in COMMANDS)
    raise InvalidRequest(f"There is no command {prefix}{name}. There are: {names}")


async def _exit(chat: "Chat", _: str) -> None:
    chat.is_over = True


async def _reset(chat: "Chat", _: str) -> None:
    chat.conversation.clear()
    chat.images.clear()
    chat.style.say("The conversation begins anew.")


async def _remove(chat: "Chat", _: str) -> None:
    is_gone = chat.conversation.remove_exchange()
    chat.style.say("The last exchange is forgotten." if is_gone else "There is nothing to remove.")


async def _regen(chat: "Chat", _: str) -> None:
    earlier = chat.conversation.take_back_answer()
    if earlier is None:
        chat.style.say("There is nothing to answer again.")
    else:
        await chat.answer(earlier)


async def _save(chat: "Chat", name: str) -> None:
    path = saved.save(chat.conversation, name, chat.talker.model)
    chat.style.say(f"Saved to {path}.")


async def _load(chat: "Chat", name: str) -> None:
    path, conversation = saved.load(name)
    conversation.has_memory = chat.conversation.has_memory
    chat.conversation = conversation
    for message in conversation.messages:
        chat.style.show(message)
    chat.style.say(f"Loaded from {path}: {len(conversation.messages)} messages.")


async def _system(chat: "Chat", text: str) -> None:
    if text:
        chat.conversation.system = "" if text == "-" else text
    chat.style.say(f"System message: {chat.conversation.system or 'none'}")


async def _image(chat: "Chat", source: str) -> None:
    if chat.talker.is_blind:
        raise InvalidRequest(f"The model {chat.talker.model!r} takes no images.")
    chat.images.append(await picture(source))
    chat.style.say(f"{len(chat.images)} image(s) will go with your next message.")


async def _model(chat: "Chat", name: str) -> None:
    if name:
        chat.talker.switch(name)
    chat.style.say(f"Model: {chat.talker.model}")


async def _models(chat: "Chat", _: str) -> None:
    chat.style.say("\n".join(f"{'*' if name == chat.talker.model else ' '} {name}" for name in chat.talker.models))


async def _multiline(chat: "Chat", _: str) -> None:
    is_on = chat.style.toggle_multiline()
    chat.style.say("A message may have several lines." if is_on else "A message is one line.")


async def _stats(chat: "Chat", _: str) -> None:
    chat.style.say((chat.last_answer and chat.last_answer.summary()) or "There is no answer yet.")


async def _help(chat: "Chat", _: str) -> None:
    calls = [f"/{command.name} {command.argument}".rstrip() for command in COMMANDS]
    width = max(map(len, calls))
    lines = [f"  {call:<{width}}  {command.help}" for call, command in zip(calls, COMMANDS, strict=True)]
    chat.style.say("\n".join(["Commands; !! in place of / works too.", *lines]))


def _setter(name: str) -> "Callable[[Chat, str], Awaitable[None]]":
    async def set_it(chat: "Chat", value: str) -> None:
        if value:
            chat.parameters = changed(chat.parameters, {name: value})
        now = getattr(chat.parameters, name)
        chat.style.say(f"{name}: {'left to the model' if now is None else now}")

    return set_it


async def _defaults(chat: "Chat", _: str) -> None:
    chat.parameters = ChatParameters(stop=chat.parameters.stop, extra=chat.parameters.extra)
    chat.style.say("Sampling is left to the model.")


COMMANDS: tuple[Command, ...] = (
    Command("help", "", "this list", _help),
    Command("exit", "", "leave", _exit),
    Command("reset", "", "begin a new conversation", _reset),
    Command("remove", "", "forget the last exchange", _remove),
    Command("regen", "", "answer the last question again", _regen),
    Command("save", "FILE", "write the conversation to a file", _save),
    Command("load", "FILE", "go on with the conversation of a file, FastChat's own too", _load),
    Command("system", "[TEXT]", "show or set the system message; - for none", _system),
    Command("image", "PATH|URL", "send an image with the next message", _image),
    Command("model", "[NAME]", "show or choose who answers", _model),
    Command("models", "", "who could answer", _models),
    Command("multiline", "", "switch between one line and several", _multiline),
    Command("stats", "", "tokens and speed of the last answer", _stats),
    *(Command(name, "[VALUE]", f"show or set {name.replace('_', ' ')}", _setter(name)) for name in PARAMETERS),
    Command("defaults", "", "leave all sampling to the model", _defaults),
)
