"""The login's page in its reader's language. The page itself is `access`'s, which knows no catalogue."""

from collections.abc import Callable

from fastchat.access.sign_in import SignInWords
from fastchat.web.texts import Catalogue


def sign_in_words(catalogue: Catalogue, *, fixed: str | None = None) -> Callable[[str], SignInWords]:
    """For `SignInOptions.words`. `fixed`: the language of the arena at the root, if it has one of its own."""

    def words(accept_language: str) -> SignInWords:
        texts = catalogue.best(accept_language, fixed=fixed)
        return SignInWords(
            language=texts.language,
            sign_in=texts("sign_in"),
            sign_in_to=texts("sign_in_to"),
            sign_in_with=texts("sign_in_with"),
            user_name=texts("user_name"),
            password=texts("password"),
            or_else=texts("or"),
            wrong_password=texts("wrong_password"),
            too_often=texts("error_login_too_often"),
            no_logins=texts("no_logins"),
        )

    return words
