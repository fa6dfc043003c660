"""Words of others inside our HTML."""

import html

# `gr.HTML` takes its value for a template; no title of a conversation may become part of one.
_TEMPLATE = str.maketrans({"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"})


def escaped(text: str) -> str:
    return html.escape(text).translate(_TEMPLATE)
