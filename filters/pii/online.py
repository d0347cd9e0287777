"""Identifiers on the net: e-mail addresses, credentials in URLs, IP addresses, wallets, and
codes."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any

from filters.pii.entities import (
    CRYPTO,
    EMAIL,
    FAIR,
    IBAN,
    IP,
    IP_WORDS,
    PASSPORT,
    PASSPORT_WORDS,
    STRONG,
    URL_CREDENTIALS,
    WEAK,
)
from filters.pii.finder import Finder, Shape, Verdict, words

DOCUMENTATION_DOMAINS = words(
    "example.com example.org example.net contoso.com fabrikam.com northwindtraders.com "
    "adventure-works.com treyresearch.net wingtiptoys.com litware.com litwareinc.com "
    "fourthcoffee.com proseware.com tailspintoys.com"
)
"""Domains for examples: RFC 2606, and those of Microsoft's documentation."""
_DOCUMENTATION_ENDINGS = (".example", ".test", ".invalid", ".localhost", ".local")
_PROTOCOL_DOMAINS = words("openssh.com libssh.org putty.projects.tartarus.org")
"""Domains in names of SSH algorithms (RFC 4251, section 6)."""
_NO_MAILBOX = words("git hg svn this super return break continue self")
"""Users of version control over SSH, and keywords that take a label (Kotlin's `this@Name`)."""

_LOCAL = r"(?>[A-Za-z0-9_](?:[A-Za-z0-9._+'-]{0,62}[A-Za-z0-9_])?)"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}[A-Za-z0-9])?"
_NOT_INSIDE = r"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_][.+'-])"
_NO_USERINFO = r"(?<!://[^\s/@\0]{1,150})"
_AT = (
    r"(?:[ \t]?[\(\[\{<][ \t]?(?:at|@|골뱅이)[ \t]?[\)\]\}>][ \t]?|[ \t]?골뱅이[ \t]?|[ \t]@[ \t]"
    r"|[ \t]at[ \t](?=[A-Za-z0-9-]{1,63}[ \t]dot[ \t]))"
)
_DOT = (
    r"(?:\.|[ \t]?[\(\[\{<][ \t]?(?:dot|\.|닷|쩜|점)[ \t]?[\)\]\}>][ \t]?|[ \t]dot[ \t]"
    r"|[ \t]?(?:닷|쩜|점)[ \t]?|[ \t]\.[ \t])"
)
_NO_CALL = (
    r"(?![A-Za-z0-9]|_[A-Za-z0-9])"
    r"(?:(?<=\.(?:com|net|org|kr|edu|gov))|(?!\[|\((?=[A-Za-z0-9_\"')])))"
)
"""`x @ W.to(device)` multiplies matrices; `kim@naver.com(home)` is an address."""
_SPELLED = re.compile(_DOT, re.IGNORECASE)
_SPELLED_AT = re.compile(rf"{_AT}|@|%40", re.IGNORECASE)


@lru_cache
def _suffixes() -> Any:
    """Return the public suffix list that is part of tldextract, without a download."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=65536)
def _public_domain(domain: str) -> bool:
    parts = _suffixes()(domain)
    return bool(parts.suffix and parts.domain)


def _email(value: str) -> Verdict:
    """Reject domains under no public suffix, documentation domains, and users of git over SSH."""
    split = _SPELLED_AT.search(value)
    if split is None:
        return Verdict.REJECT
    local = value[: split.start()].rsplit(" ", 1)[-1].lower()
    domain = _SPELLED.sub(".", value[split.end() :]).replace(" ", "").lower()
    name = ".".join(domain.rsplit(".", 2)[-2:])
    if (
        local in _NO_MAILBOX
        or name in DOCUMENTATION_DOMAINS
        or domain in _PROTOCOL_DOMAINS
        or domain.endswith(_DOCUMENTATION_ENDINGS)
        or domain.startswith("example.")
        or re.match(r"[1-9]x\.", domain)  # icon@2x.png
        or not _public_domain(domain)
    ):
        return Verdict.REJECT
    return Verdict.SHAPE


_PLACEHOLDERS = words(
    "user username usr someone name login admin root pass passwd password pw pwd secret token "
    "x-token postgres guest test foo bar example"
)


def _credentials(value: str) -> Verdict:
    """Reject placeholders: `user:password`, `${USER}:…`, `<name>:…`, `%s:%s`."""
    user, _, password = value.partition(":")
    if re.search(r"[<>{}$%*\[\]\\|]", value) or set(password) <= set(".x*"):
        return Verdict.REJECT
    if {user.lower(), password.lower()} <= _PLACEHOLDERS or user.lower() == password.lower():
        return Verdict.REJECT
    return Verdict.SHAPE


_PUBLIC_SERVICES = words("1.1.1.1 1.0.0.1 8.8.8.8 8.8.4.4 9.9.9.9 208.67.222.222 208.67.220.220")
"""Public resolvers: Cloudflare, Google, Quad9, OpenDNS."""


def _address(value: str) -> Verdict:
    """Reject addresses that are not hosts of the internet; ask for context where it may be a
    version.

    Rejected: private, loopback, link-local, multicast, reserved and documentation ranges (RFC 1918,
    5737, 3849, 6890), and networks.
    """
    try:
        address = ipaddress.ip_interface(value).ip
    except ValueError:
        return Verdict.REJECT
    if not address.is_global or address.is_multicast or value in _PUBLIC_SERVICES:
        return Verdict.REJECT
    if isinstance(address, ipaddress.IPv6Address):
        return Verdict.SHAPE if value.count(":") >= 3 else Verdict.REJECT
    parts = [int(part) for part in str(address).split(".")]
    if any(len(part) > 1 and part[0] == "0" for part in value.split(".")):
        return Verdict.REJECT
    if parts[1:] == [0, 0, 0] or parts[2:] == [0, 0] or max(parts) < 25:
        return Verdict.REJECT  # a network or a version
    like_a_version = max(parts) < 100 or (parts[0] < 24 and max(parts[1:3]) < 10)
    return Verdict.WEAK if like_a_version else Verdict.SHAPE


EMAILS = Finder(
    EMAIL,
    (
        Shape(
            "plain",
            rf"{_NOT_INSIDE}{_LOCAL}{_NO_USERINFO}(?:@|%40)(?:{_LABEL}\.){{1,4}}[A-Za-z]{{2,24}}"
            rf"{_NO_CALL}(?!-[A-Za-z0-9])(?!\.[A-Za-z0-9])(?!@)",
            STRONG,
        ),
        Shape(
            "spelled out",
            rf"{_NOT_INSIDE}{_LOCAL}{_NO_USERINFO}(?:{_AT}(?:{_LABEL}{_DOT}){{1,4}}|@(?:{_LABEL}{_DOT}){{1,4}})"
            rf"[A-Za-z]{{2,12}}{_NO_CALL}(?!\.[A-Za-z0-9])(?!@)",
            STRONG,
        ),
    ),
    (),
    _email,
)
CREDENTIALS = Finder(
    URL_CREDENTIALS,
    (
        Shape(
            "user and password",
            r"(?<=[a-z0-9]://)(?:(?![/:@'\"<>])[!-~]){1,64}:(?:(?![/@'\"<>])[!-~]){1,80}(?=@[A-Za-z0-9\[])",
            STRONG,
        ),
    ),
    (),
    _credentials,
)
ADDRESSES = Finder(
    IP,
    (
        Shape(
            "version 4",
            r"(?<![0-9A-Za-z_.-])(?<!\bv|==|section[ \t]|§[ \t]?)"
            r"(?<!ver(?:sion)?[ \t:.=\"']{0,3})(?<!버전[ \t:]{0,2})"
            r"(?<!(?:firmware|build|driver|펌웨어|드라이버|빌드)[ \t:]{0,2})"
            r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
            r"(?![0-9A-Za-z_]|[.-][0-9A-Za-z]|[ \t]?버전|[ \t]version)",
            FAIR,
        ),
        Shape(
            "version 6",
            r"(?<![0-9A-Za-z_:.])[23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,6}[0-9a-f]{0,4}(?![0-9A-Za-z_:]|\.[0-9])",
            FAIR,
        ),
    ),
    IP_WORDS,
    _address,
)
_WHOLE = r"(?<![0-9A-Za-z])"
WALLETS = Finder(
    CRYPTO,
    (
        Shape(
            "Bitcoin",
            rf"{_WHOLE}(?:bc1[0-9a-z]{{25,59}}|[13][1-9A-Za-z]{{25,34}})(?![0-9A-Za-z])",
            WEAK,
        ),
    ),
    (),
    lambda value: Verdict.CERTAIN,
    "CryptoRecognizer",
)
BANK_CODES = Finder(
    IBAN,
    (
        Shape(
            "generic",
            r"(?<![0-9A-Za-z])([A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,6})"
            r"((?:[ -]?[A-Z0-9]{4})?)((?:[ -]?[A-Z0-9]{1,3})?)(?![0-9A-Za-z])",
            FAIR,
        ),
    ),
    (),
    lambda value: Verdict.CERTAIN,
    "IbanRecognizer",
    None,
    case_sensitive=True,
)
PASSPORTS = Finder(
    PASSPORT,
    (
        Shape(
            "number",
            rf"{_WHOLE}(?<!_)[MSRODG](?:[0-9]{{3}}[A-Z][0-9]{{4}}|[0-9]{{8}})(?![0-9A-Za-z_])",
            WEAK,
        ),
    ),
    PASSPORT_WORDS,
    lambda value: Verdict.SHAPE,
    "KrPassportRecognizer",
)

FINDERS = (EMAILS, CREDENTIALS, ADDRESSES, WALLETS, BANK_CODES, PASSPORTS)
