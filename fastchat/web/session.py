"""What the server remembers of one view in one open tab.

It lives in Gradio's session state, which never leaves the process; so it may hold the token of a vote. What the browser
sends back as the chat log is not read: whoever can open the developer tools could put words into a model's mouth.
"""

from dataclasses import dataclass

from fastchat.arena.views import ConversationView


@dataclass(slots=True)
class Session:
    seen: ConversationView | None = None  # the conversation that is open, as its reader sees it

    @property
    def conversation_id(self) -> str | None:
        return self.seen.conversation_id if self.seen else None

    @property
    def is_being_answered(self) -> bool:
        return self.seen is not None and self.seen.is_being_answered
