"""Addresses somebody else wrote: one strict way to read a URL, and telling public IP addresses from all others. Pure.

What cannot be read in exactly one way is refused, so that no second parser on the way to the socket sees another host.
Messages name the host at most: the rest of a URL may hold a secret.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, urljoin

import idna
from msgspec import Struct

from providers.errors import FetchError

_MAX_URL = 8192  # signed addresses of object stores reach 2 KB
_MAX_HOST = 253
_PORTS = {"https": 443, "http": 80}
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")  # some parsers drop them, some end at them
_URL = re.compile(r"(https?)://([^/?#]+)(?:([/?][^#]*)(?:#.*)?)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:@%\[\]]+))(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "arpa"})
_IN_URL = "!$%&'()*+,/:;=?@[]~"  # what a path and a query may hold unencoded, and `%` of what is encoded already

# `ipaddress.is_global` says True for several of these, and not the same in every Python version.
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# All unicast of the IPv6 internet. Outside it: mapped and translated IPv4, NAT64, unique local, link-local, multicast.
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Inside it: Teredo, benchmarks and ORCHID; documentation; 6to4, which holds an IPv4 address of its own.
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class Address(Struct, frozen=True):
    """A URL taken apart. `host` is ASCII and lower case, an IPv6 address without brackets; `target` is path and query.

    Neither user, password nor fragment: an address with the former is refused, the latter is never sent.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """`scheme://host:port`, the port always written: equal origins are equal text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, as it is asked for."""
        origin = self.origin
        if self.port == _PORTS[self.scheme]:
            origin = origin.rpartition(":")[0]
        return origin + self.target


def is_public(address: str) -> bool:
    """Whether an IP address (as text) belongs to the public internet. Anything that is not an IP address does not."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not any(found in block for block in _NOT_PUBLIC_V4)
    if found.scope_id is not None or found not in _PUBLIC_V6:
        return False
    return found.is_global and not any(found in block for block in _NOT_PUBLIC_V6)


def is_private_host(host: str) -> bool:
    """Whether a host, as a URL has it, can only be in one's own network: by its number, or by its name."""
    if _is_literal(host):
        return not is_public(host)
    return "." not in host or host.rpartition(".")[2] in _LOCAL_NAMES


def parse_address(url: str) -> Address:
    """Take a URL apart. Says nothing about whether it may be fetched.

    Raises FetchError (`blocked`) for anything but http and https, for a user, a backslash, a blank or a control
    character anywhere, a host with a trailing dot or a number that is not a plain IPv4 address, and for letters
    beyond ASCII in a host that are not valid IDNA 2008 as they stand.
    """
    if len(url) > _MAX_URL or _AMBIGUOUS.search(url):
        raise _refused("the URL is too long or holds blanks, control characters or backslashes")
    match = _URL.fullmatch(url)
    authority = _AUTHORITY.fullmatch(match[2]) if match else None
    if match is None or authority is None:
        raise _refused("the URL must be https://host/path, without user and password")
    scheme = match[1].lower()
    port = _PORTS[scheme] if authority[3] is None else int(authority[3])
    if not 0 < port < 65536:
        raise _refused("the URL's port is not one")
    host = _ipv6(authority[1]) if authority[1] else _host(authority[2])
    return Address(scheme, host, port, _target(match[3] or "/"))


def follow(address: Address, location: str) -> Address:
    """Where a redirect leads from `address`. Raises FetchError (`blocked`) as `parse_address` does."""
    if _AMBIGUOUS.search(location):
        raise _refused(f"'{address.host}' redirects to an address that is not readable")
    try:
        return parse_address(urljoin(address.url, location))
    except ValueError as exc:  # of urljoin, for brackets that hold no IPv6 address
        raise _refused(f"'{address.host}' redirects to an address that is not readable") from exc


def require_public(address: Address) -> None:
    """Raises FetchError (`blocked`) for what can be refused before its name is resolved; most cannot be."""
    if address.scheme != "https" or address.port != _PORTS["https"]:
        raise _refused(f"'{address.host}' is asked on https and port 443 only")
    if is_private_host(address.host):
        raise no_public_address(address.host)


def no_public_address(host: str, *, blocked: bool = True) -> FetchError:
    """One message for names that do not resolve and for private ones: the difference would map an inner network."""
    return FetchError(f"'{host}' has no public address", blocked=blocked)


def origin_of(url: str) -> str:
    """The normal form of an origin that an operator wrote, to compare `Address.origin` with. Raises FetchError."""
    return parse_address(url).origin


def may_carry_key(url: str, base_url: str, domains: Iterable[str] = ()) -> bool:
    """Whether a key for the API at `base_url` may go to `url`, which comes out of one of its answers.

    Only to the API's own origin; and by https within those of the vendor's `domains` that the API itself lies in.
    """
    try:
        address, own = parse_address(url), parse_address(base_url)
    except FetchError:
        return False
    if address.origin == own.origin:
        return True
    shared = [domain for domain in domains if host_matches(own.host, (domain,))]
    return address.scheme == "https" and address.port == _PORTS["https"] and host_matches(address.host, shared)


def host_matches(host: str, names: Iterable[str]) -> bool:
    """Whether `host` is one of `names` or below one; a name may be written `cdn.example` or `*.cdn.example`."""
    bare = (name.lower().removeprefix("*.") for name in names)
    return any(host == name or host.endswith(f".{name}") for name in bare)


def _host(text: str) -> str:
    if len(text) > _MAX_HOST:
        raise _refused("the URL's host is too long")
    try:
        host = text.lower() if text.isascii() else idna.encode(text, strict=True, std3_rules=True).decode()
    except UnicodeError as exc:  # idna.IDNAError among them
        raise _refused("the URL's host is not a valid name") from exc
    labels = host.split(".")
    if _is_literal(host):
        return host
    if not all(_LABEL.fullmatch(label) for label in labels) or _NUMBER.fullmatch(labels[-1]):
        raise _refused("the URL's host is not a valid name")
    return host


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as exc:
        raise _refused("the URL's host is not a valid address") from exc


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _target(text: str) -> str:
    """Path and query as they came, for a signature may cover them; letters beyond ASCII percent-encoded."""
    try:
        target = quote(text, safe=_IN_URL)
    except UnicodeEncodeError as exc:
        raise _refused("the URL is not valid text") from exc
    return target if target.startswith("/") else "/" + target


def _refused(message: str) -> FetchError:
    return FetchError(message, blocked=True)
