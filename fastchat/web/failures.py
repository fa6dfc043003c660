"""What went wrong, in words for the person in front of the page."""

from collections.abc import Mapping

import openai

CUT_SHORT = "The connection was lost before the answer was complete. Try again."
UNREADABLE = "The API sent something that is no answer. Whoever runs this page finds more in its log."


def explain(error: openai.APIError, model: str) -> str:
    """A sentence or two: what happened and what to do next."""
    match error:
        case openai.APITimeoutError():
            return "The model took too long to answer. Try again, or ask for fewer tokens."
        case openai.APIConnectionError():
            return "The connection to the API was lost. Check that it is running, then try again."
        case openai.APIStatusError():
            return _explain_status(error, model)
    # Without a status, the API reported it in the middle of the stream.
    return f"The model broke off: {_sentence(error.message)} Try again."


def _explain_status(error: openai.APIStatusError, model: str) -> str:
    said = _sentence(_message(error))
    match error.status_code:
        case 401 | 403:
            return "The API refused this page's key. Whoever runs the page has to set another with --api-key."
        case 404:
            return f"The model “{model}” is not served here. Choose another one above."
        case 413:
            return "This conversation is too large to send. Start a new chat, or send less."
        case 429:
            return f"All places are taken and the queue is full. {_when(error)}"
        case 503:
            return f"Nothing that serves “{model}” is up at the moment. Try again soon, or choose another model."
        case 504:
            return "The model took too long to answer. Try again, or ask for fewer tokens."
        case status if status < 500:
            return f"The API refused this request: {said}"
    return f"The model failed while it was answering: {said} Try again."


def _when(error: openai.APIStatusError) -> str:
    seconds = error.response.headers.get("retry-after", "")
    return f"Try again in {seconds} s." if seconds.isdigit() and seconds != "0" else "Try again in a moment."


def _message(error: openai.APIStatusError) -> str:
    """The API's own words; the SDK's `message` has the status and the raw body around them."""
    body = error.body
    return str(body["message"]) if isinstance(body, Mapping) and body.get("message") else error.message


def _sentence(text: str) -> str:
    text = text.strip() or "no reason was given"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def explain_silence(error: openai.APIError) -> str:
    """Why there is no list of models."""
    if isinstance(error, openai.APIStatusError) and error.status_code in (401, 403):
        return _explain_status(error, "")
    if isinstance(error, openai.APIStatusError) and error.status_code == 503:
        return "The API is up but knows no model yet. This page looks again every few seconds."
    return "The API does not answer. This page looks again every few seconds."
