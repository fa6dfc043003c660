"""What the page says in English. Texts that Python puts together at run time; labels come from here as well."""

from typing import NamedTuple

from fastchat.arena.records import Mode, Outcome, Side


class Welcome(NamedTuple):
    title: str
    text: str


TABS = {Mode.BATTLE: "Battle", Mode.SIDE_BY_SIDE: "Side by side", Mode.DIRECT: "Chat"}
NEW = {Mode.BATTLE: "New round", Mode.SIDE_BY_SIDE: "New round", Mode.DIRECT: "New chat"}
ASK = {
    Mode.BATTLE: "Ask both models anything",
    Mode.SIDE_BY_SIDE: "Ask both models anything",
    Mode.DIRECT: "Ask anything",
}
WELCOME = {
    Mode.BATTLE: Welcome(
        "Two models, no names", "Ask once, read two answers, say which is better. Then you see who wrote them."
    ),
    Mode.SIDE_BY_SIDE: Welcome("Two models of your choice", "Choose them above and ask both the same."),
    Mode.DIRECT: Welcome(
        "What would you like to know?", "Choose a model above and ask, or begin with one of these."
    ),
}  # fmt: skip
LETTERS = {Side.LEFT: "A", Side.RIGHT: "B"}
VOTES = {
    Outcome.LEFT: "A is better",
    Outcome.RIGHT: "B is better",
    Outcome.TIE: "Tie",
    Outcome.BOTH_BAD: "Both are bad",
}
VOTED = {
    Outcome.LEFT: "You chose A.",
    Outcome.RIGHT: "You chose B.",
    Outcome.TIE: "You called it a tie.",
    Outcome.BOTH_BAD: "You found both bad.",
}
COUNTED = "Your vote counts, and it is in the log for good."
WHY = "Why? You may say so before you vote."
REASONS = ("Correct", "Clear", "Complete", "To the point", "Well written", "Follows instructions")
YOUR_CHOICE = "your choice"
SHARE = "Share"
SHARED = "Whoever has this link can read the conversation:"
COPIED = "It is in your clipboard."
MESSAGE = "Message"
MODEL = "Model"
CHAT = "Chat"
EXAMPLES = "Examples"
PARAMETERS = "Parameters"
AS_CURL = "Request as curl"
CURL_AFTER_VOTE = "The request names the model, so it is shown once you have voted."
SYSTEM = "System message"
SYSTEM_HINT = "Holds from the next conversation on."
SYSTEM_EXAMPLE = "You are …"
TEMPERATURE = "Temperature"
TOP_P = "Top-p"
MAX_TOKENS = "Max tokens"
HISTORY = "Conversations"
SEARCH = "Search"
NO_HISTORY = "What you ask is kept here, for you alone."
NOTHING_FOUND = "Nothing found."
NO_MODEL = "No model is running at the moment. This page will notice when one starts."
ONE_MODEL = "A battle needs two models, and only one is running. This page will notice when another one starts."
NOTHING_TO_SHARE = "There is nothing to share yet. Ask something first."
LOST = "Something went wrong on this server. Whoever runs it finds more in its log."
RENAME = "Rename"
DELETE = "Delete"
REASONING = "Reasoning"
SHARED_TITLE = "A conversation"
SHARED_NOTE = "Shared by one of its readers. Models make mistakes."
VERDICTS = {
    Outcome.LEFT: "Its reader found the answer of model A better.",
    Outcome.RIGHT: "Its reader found the answer of model B better.",
    Outcome.TIE: "Its reader called it a tie.",
    Outcome.BOTH_BAD: "Its reader found both answers bad.",
}
NOT_SHARED = "There is no such page, or it is no longer shared."
