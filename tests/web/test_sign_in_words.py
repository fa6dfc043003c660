"""The login's page speaks the languages of the arena."""

import httpx
import pytest
from starlette.applications import Starlette

from fastchat.access.directory import Directory
from fastchat.access.passwords import Passwords
from fastchat.access.sign_in import SignIn, SignInOptions, SignInWords
from fastchat.access.visitors import Visitors
from fastchat.web.sign_in_words import sign_in_words
from fastchat.web.texts import Catalogue

CATALOGUE = Catalogue.load()
WRONG = {"username": "ada", "password": "wrong"}


def client(fixed: str | None = None) -> httpx.AsyncClient:
    visitors = Visitors(b"k" * 32, Directory(passwords=Passwords({"ada": "enigma"})))
    sign_in = SignIn(visitors, options=SignInOptions(product="Corp", words=sign_in_words(CATALOGUE, fixed=fixed)))
    transport = httpx.ASGITransport(Starlette(routes=sign_in.routes()))
    return httpx.AsyncClient(transport=transport, base_url="http://page", headers={"accept-language": "de"})


@pytest.mark.parametrize(("fixed", "language"), [(None, "de"), ("ja", "ja")])
async def test_the_page_is_in_the_readers_language(fixed: str | None, language: str) -> None:
    texts = CATALOGUE.of(language)
    async with client(fixed) as browser:
        page = (await browser.get("/login")).text
    assert f'<html lang="{language}">' in page
    for wanted in (texts("sign_in_to", product="Corp"), texts("user_name"), texts("password"), texts("sign_in")):
        assert wanted in page


async def test_what_is_wrong_is_said_in_it_too() -> None:
    texts = CATALOGUE.of("de")
    async with client() as browser:
        for _ in range(20):
            wrong = await browser.post("/login", data=WRONG)
        often = await browser.post("/login", data=WRONG)
    assert (wrong.status_code, often.status_code) == (401, 429)
    assert texts("wrong_password") in wrong.text
    assert texts("error_login_too_often", seconds=often.headers["retry-after"]) in often.text


def test_english_is_what_the_page_says_by_itself() -> None:
    english = sign_in_words(CATALOGUE)("")
    assert english == SignInWords()
