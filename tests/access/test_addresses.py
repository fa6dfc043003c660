from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.access.addresses import TrustedProxies, address_hash, household, parse_address
from fastchat.core.errors import SetupError
from tests.access.calls import call

PROXIES = TrustedProxies.parse(["10.0.0.0/8", "2001:db8:1::/48"])
XFF = "x-forwarded-for"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7"], "203.0.113.7"),  # the left one is the client's own invention
        (["6.6.6.6", "203.0.113.7"], "203.0.113.7"),  # and so is the first line
        (["203.0.113.7, 10.1.1.1, 2001:db8:1::5"], "203.0.113.7"),
        (["10.9.9.9, 10.1.1.1"], "10.9.9.9"),  # a client within
        (["203.0.113.7:55012"], "203.0.113.7"),
        (["[2001:db8:2::9]:443"], "2001:db8:2::9"),
        (["2001:db8:2::9"], "2001:db8:2::9"),
        (["fe80::1%eth0"], "fe80::1"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, unknown"], "10.0.0.1"),  # a proxy that does not tell hides what is before it
        (["6.6.6.6, <script>"], "10.0.0.1"),
        (["203.0.113.7, "], "203.0.113.7"),
        ([", ,"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(lines: list[str], client: str) -> None:
    scope = call(*((XFF, line) for line in lines), peer="10.0.0.1")
    assert PROXIES.client(scope) == ip_address(client)


SPOOFED = (
    (XFF, "6.6.6.6"),
    ("forwarded", "for=6.6.6.6;proto=https;host=evil.example"),
    ("cf-connecting-ip", "6.6.6.6"),
    ("x-real-ip", "6.6.6.6"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.example"),
    ("host", "chat.example"),
)


@pytest.mark.parametrize("header", [XFF, "forwarded", "cf-connecting-ip", "x-real-ip"])
def test_a_stranger_is_believed_nothing(header: str) -> None:
    proxies = TrustedProxies.parse(["10.0.0.0/8"], address_header=header)
    scope = call(*SPOOFED, peer="203.0.113.7")
    assert proxies.client(scope) == ip_address("203.0.113.7")
    assert proxies.origin(scope).url == "http://chat.example"


def test_with_no_trusted_proxies_even_loopback_is_a_client() -> None:
    assert TrustedProxies().client(call(*SPOOFED, peer="127.0.0.1")) == ip_address("127.0.0.1")


def test_headers_that_were_not_configured_are_not_believed_from_a_proxy_either() -> None:
    scope = call(("cf-connecting-ip", "6.6.6.6"), ("forwarded", "for=6.6.6.6"), (XFF, "203.0.113.7"), peer="10.0.0.1")
    assert PROXIES.client(scope) == ip_address("203.0.113.7")


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        ([], "198.51.100.4"),  # not sent: what the other header says
        (["6.6.6.6", "203.0.113.7"], "198.51.100.4"),  # twice: somebody adds to it instead of writing it
    ],
)
def test_a_header_with_one_address_is_believed_where_configured(lines: list[str], client: str) -> None:
    proxies = TrustedProxies.parse(["10.0.0.0/8"], address_header="CF-Connecting-IP")
    scope = call(*(("cf-connecting-ip", line) for line in lines), (XFF, "198.51.100.4"), peer="10.0.0.1")
    assert proxies.client(scope) == ip_address(client)


@pytest.mark.parametrize(
    ("value", "client", "url"),
    [
        ("for=203.0.113.7;proto=https;host=chat.example", "203.0.113.7", "https://chat.example"),
        ('For="[2001:db8:2::9]:4711"; Proto=https', "2001:db8:2::9", "https://inner:8000"),
        ('for=6.6.6.6;host=evil, for="203.0.113.7:9"', "203.0.113.7", "http://inner:8000"),
        ('for="6.6.6.6, for=203.0.113.7', "203.0.113.7", "http://inner:8000"),  # a quote left open on purpose
        ("for=6.6.6.6, for=_hidden", "10.0.0.1", "http://inner:8000"),
        ("for=203.0.113.7;proto=https;host=chat.example, for=10.2.2.2", "203.0.113.7", "https://chat.example"),
    ],
)
def test_forwarded_of_rfc_7239(value: str, client: str, url: str) -> None:
    proxies = TrustedProxies.parse(["10.0.0.0/8"], address_header="forwarded")
    scope = call(("forwarded", value), (XFF, "6.6.6.6"), ("host", "inner:8000"), peer="10.0.0.1")
    assert proxies.client(scope) == ip_address(client)
    assert proxies.origin(scope).url == url


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ([("x-forwarded-proto", "https")], "https://inner:8000"),
        ([("x-forwarded-proto", "https"), ("x-forwarded-host", "chat.example:8443")], "https://chat.example:8443"),
        ([("x-forwarded-proto", "HTTPS"), (XFF, "203.0.113.7, 10.0.0.2")], "https://inner:8000"),
        ([("x-forwarded-proto", "https, http"), (XFF, "203.0.113.7, 10.0.0.2")], "https://inner:8000"),
        ([("x-forwarded-proto", "https, http"), (XFF, "203.0.113.7")], "http://inner:8000"),  # https: the client's word
        ([("x-forwarded-proto", "javascript"), ("x-forwarded-host", "a/b?c")], "http://inner:8000"),
        ([("x-forwarded-host", "evil.example@chat")], "http://inner:8000"),
    ],
)
def test_scheme_and_host_follow_the_same_rule(headers: list[tuple[str, str]], url: str) -> None:
    assert PROXIES.origin(call(*headers, ("host", "inner:8000"), peer="10.0.0.1")).url == url


def test_a_peer_without_an_address_is_nobodys_proxy() -> None:
    scope = call(*SPOOFED, peer=None)
    assert PROXIES.client(scope) is None
    assert PROXIES.client(call(*SPOOFED, peer="testclient")) is None
    assert PROXIES.origin(scope).url == "http://chat.example"


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("loopback", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"], ["10.0.0.1", "0.0.0.0"]),
        ("private", ["127.0.0.1", "192.168.1.1", "172.31.0.1", "fd00::1"], ["172.32.0.1", "8.8.8.8", "2001:db8::1"]),
        ("192.0.2.1", ["192.0.2.1"], ["192.0.2.2"]),
        ("192.0.2.1/24", ["192.0.2.200"], ["192.0.3.1"]),
    ],
)
def test_networks_have_names(name: str, inside: list[str], outside: list[str]) -> None:
    proxies = TrustedProxies.parse([f" {name} "])
    assert [address for address in inside if not proxies.trusts(parse_address(address))] == []
    assert [address for address in outside if proxies.trusts(parse_address(address))] == []


@pytest.mark.parametrize("name", ["", "nginx", "10.0.0.0/33", "0.0.0.0/0", "::/0", "*"])
def test_what_is_no_network_or_everybody_is_refused(name: str) -> None:
    with pytest.raises(SetupError, match="Trusted proxies"):
        TrustedProxies.parse([name])


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=6))
def test_junk_never_fails_and_never_makes_a_client_up(lines: list[str]) -> None:
    for header in (XFF, "forwarded", "x-real-ip"):
        proxies = TrustedProxies.parse(["10.0.0.0/8"], address_header=header)
        scope = call(*((header, line) for line in lines), ("x-forwarded-host", "".join(lines)), peer="10.0.0.1")
        client = proxies.client(scope)
        assert client is not None
        assert proxies.origin(scope).scheme == "http"


def test_a_hash_stands_for_a_household_under_one_key() -> None:
    def hashed(text: str, key: bytes = b"k" * 32) -> str:
        return address_hash(parse_address(text), key)

    assert hashed("2001:db8::1") == hashed("2001:db8::ffff:1:2:3")
    assert hashed("2001:db8::1") != hashed("2001:db8:0:1::1")
    assert hashed("203.0.113.7") == hashed("::ffff:203.0.113.7") != hashed("203.0.113.8")
    assert hashed("203.0.113.7") != hashed("203.0.113.7", b"other" * 8)
    assert len(hashed("203.0.113.7")) == 32
    assert "203" not in household(None)
