"""Which addresses are public, and which URLs can be read in one way only. Tables; no sockets."""

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.addresses import follow, host_matches, is_public, origin_of, parse_address, require_public
from providers.errors import FetchError

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
]
# Metadata services, loopback, private, shared, transition, multicast and reserved ranges, first and last of each.
NOT_PUBLIC = [
    *("169.254.169.254", "169.254.0.0", "169.254.255.255", "100.100.100.200", "fd00:ec2::254", "192.0.0.192"),
    *("127.0.0.1", "127.255.255.255", "0.0.0.0", "0.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"),
    *("10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"),
    *("100.64.0.0", "100.127.255.255", "198.18.0.0", "198.19.255.255", "192.0.0.0", "192.0.0.255"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("fc00::", "fdff:ffff::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1"),
    *("64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001::1"),
    *("::127.0.0.1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1"),
    *("2001:db8::1", "3fff::1", "5f00::1", "100::1", "4000::1", "2001:4860:4860::8888%eth0"),
    *("", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "１２７.0.0.1", "8.8.8.8 ", "8.8.8.8/32"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_what_is_public_is_global_unicast_by_the_standard_library_too(address: object) -> None:
    if is_public(str(address)):
        assert address.is_global  # type: ignore[attr-defined]
        assert not any((address.is_private, address.is_multicast, address.is_reserved))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0", "１２７.0.0.1"])
def test_what_the_system_resolves_such_numbers_to_is_not_public(name: str) -> None:
    """The measured reason for judging resolved addresses and not their spelling."""
    with contextlib.suppress(socket.gaierror):  # a system that does not take it for an address is as good
        for *_, where in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM):
            assert not is_public(str(where[0]))


# What cannot be read in one way, whatever it may lead to.
UNREADABLE = [
    *("", "example.com", "//example.com/x", "/etc/passwd", "https:", "https://", "https:///x", "https:example.com/x"),
    *("file:///etc/passwd", "gopher://example.com/_x", "ftp://example.com/x", "data:image/png;base64,AA=="),
    *("jar:https://example.com!/x", "javascript:alert(1)", "dict://example.com:11211/", "ws://example.com/"),
    *("http:\\\\example.com\\x", "https://example.com\\@evil.example/", "https:\\\\example.com/x"),
    *("http://a@b.example/", "https://user:pass@example.com/x", "https://@example.com/", "https://b.example:1@evil/"),
    *("http://host#@evil.example/", "https://example.com#@evil.example/", "https://example.com#x"),
    *(
        "https://exa\tmple.com/",
        "https://exa\nmple.com/",
        "https://example.com/\r\nHost: evil",
        "https://example.com/a b",
    ),
    *(" https://example.com/", "https://example.com/ ", "\x00https://example.com/", "https://example.com/\x7f"),
    *("https://example.com/\u2028x", "https://example.com/\xa0", "https://example.com/\ud800"),
    *("https://example.com:/x", "https://example.com:0/", "https://example.com:65536/", "https://example.com:443443/"),
    *("https://example.com:４４３/", "https://example.com:+443/", "https://example.com:443:443/"),
    *("https://example.com./x", "https://.example.com/", "https://example..com/", "https://localhost./", "https://./"),
    *("https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0177.0.0.1/", "https://0/", "https://0x/"),
    *("https://1.2.3.4.5/", "https://256.1.1.1/", "https://example.0x1/", "https://example.1/"),
    *(
        "https://１２７.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://example。com/",
        "https://ｅxample.com/",
        "https://Ⓔxample.com/",
    ),
    *("https://exa%6dple.com/", "https://example.com%2f@evil/", "https://example.com%00/", "https://-a.example/"),
    *("https://[::1/", "https://::1/", "https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[v1.x]/"),
    *("https://[::1]x/", "https://[127.0.0.1]/", "https://[]/", "https://exa[mple.com/", "https://[::1]]/"),
    *("https://exam ple.com/", "https://exa,mple.com/", "https://exa'mple.com/", "https://a*.example/"),
    *("https://" + "a" * 64 + ".example/", "https://" + "a." * 127 + "example/", "https://example.com/" + "a" * 8200),
]


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_url_that_two_parsers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_address(url)
    assert caught.value.blocked


# Readable, but not to be fetched; a few of those that only their resolved address gives away stand in test_fetch.py.
FORBIDDEN = [
    *("http://example.com/x", "https://example.com:22/", "https://example.com:6379/", "https://example.com:80/"),
    *("https://169.254.169.254/latest/meta-data/", "https://metadata.google.internal/", "https://[fd00:ec2::254]/"),
    *("https://100.100.100.200/", "https://127.0.0.1/", "https://0.0.0.0/", "https://[::1]/", "https://[::]/"),
    *("https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[fe80::1]/"),
    *("https://10.0.0.1/", "https://192.168.1.1/", "https://172.16.0.1/", "https://198.18.0.1/", "https://240.0.0.1/"),
    *("https://localhost/", "https://LOCALHOST/", "https://a.localhost/", "https://printer.local/", "https://redis/"),
    *("https://db.internal/", "https://host.docker.internal/", "https://router.lan/", "https://nas.home.arpa/"),
    *("https://1.0.0.127.in-addr.arpa/",),
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_readable_url_may_still_be_refused_before_its_name_is_resolved(url: str) -> None:
    address = parse_address(url)
    with pytest.raises(FetchError) as caught:
        require_public(address)
    assert caught.value.blocked


READ = [
    ("https://example.com", "https://example.com:443", "https://example.com/"),
    ("HTTPS://EXAMPLE.com:443/A/%2e%2E/?b=%20c&d=[1]#e@f", None, "https://example.com/A/%2e%2E/?b=%20c&d=[1]"),
    ("https://example.com?x=1", "https://example.com:443", "https://example.com/?x=1"),
    ("https://example.com/ö?q=日", None, "https://example.com/%C3%B6?q=%E6%97%A5"),
    ("https://bücher.example/", "https://xn--bcher-kva.example:443", "https://xn--bcher-kva.example/"),
    ("https://8.8.8.8/", "https://8.8.8.8:443", "https://8.8.8.8/"),
    ("https://[2001:4860:4860:0::8888]/", "https://[2001:4860:4860::8888]:443", "https://[2001:4860:4860::8888]/"),
    ("https://my_bucket.s3.example/x//y", None, "https://my_bucket.s3.example/x//y"),
    ("https://example.com/@user/x.png", None, "https://example.com/@user/x.png"),
]


@pytest.mark.parametrize(("url", "origin", "asked"), READ)
def test_an_ordinary_url_is_asked_for_as_it_was_written(url: str, origin: str | None, asked: str) -> None:
    address = parse_address(url)
    require_public(address)
    assert address.url == asked
    assert origin in (None, address.origin)


def test_origins_are_equal_as_text_whatever_their_spelling() -> None:
    assert origin_of("http://127.0.0.1") == origin_of("HTTP://127.0.0.1:80/files") == "http://127.0.0.1:80"
    assert len({origin_of(url) for url in ("http://a.example", "https://a.example", "http://a.example:81")}) == 3


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://example.com/b"),
        ("b?c", "https://example.com/a/b?c"),
        ("https://other.example/x", "https://other.example/x"),
        ("//other.example/x", "https://other.example/x"),
        ("http://169.254.169.254/", "http://169.254.169.254/"),
        ("../../..", "https://example.com/"),
    ],
)
def test_a_redirect_is_read_like_any_address(location: str, url: str) -> None:
    assert follow(parse_address("https://example.com/a/x"), location).url == url


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "gopher://x/", "//u@h/", "\\\\evil/x", "https://ev\til.example", "//[::1", "\ud83d"],
)
def test_a_redirect_that_is_no_usable_address_is_refused(location: str) -> None:
    with pytest.raises(FetchError) as caught:
        follow(parse_address("https://example.com/a/x"), location)
    assert caught.value.blocked


@pytest.mark.parametrize("names", [("cdn.example",), ("*.cdn.example",), ("CDN.example",), ("x", "cdn.example")])
def test_a_configured_host_covers_its_subdomains_and_no_lookalike(names: tuple[str, ...]) -> None:
    assert [host_matches(host, names) for host in ("cdn.example", "a.b.cdn.example")] == [True, True]
    assert [host_matches(host, names) for host in ("evil-cdn.example", "cdn.example.evil", "example")] == [False] * 3


@given(st.text(max_size=60) | st.from_regex(r"https?://[^\n]{0,40}", fullmatch=True))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except FetchError:
        return
    assert address.url.isascii()
    assert parse_address(address.url) == address
