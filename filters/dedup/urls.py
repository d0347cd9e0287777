"""A key for pages, equal for addresses that differ only in their writing."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes, urlsplit

import xxhash

# fmt: off
TRACKING = frozenset({
    # Google Analytics
    "utm_campaign", "utm_content", "utm_creative_format", "utm_id", "utm_marketing_tactic",
    "utm_medium", "utm_name", "utm_source", "utm_source_platform", "utm_term",
    # the click on an advertisement or a shared link
    "dclid", "fbclid", "gbraid", "gclid", "gclsrc", "igshid", "msclkid", "ttclid", "twclid",
    "wbraid", "yclid",
    # Mailchimp, Amazon, Twitter
    "mc_cid", "mc_eid", "ref_", "ref_src", "ref_url",
    # a visitor's session
    "jsessionid", "phpsessid", "sessionid",
})
# fmt: on
"""Parameters of a query that name a visit and not a page, in lower case; each as a whole."""
_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str | None:
    """Return host, path and sorted query of `url`; None where it is not a web address.

    Scheme, `www.`, default port, fragment, parameters of TRACKING, trailing slash and index page
    are left out. Everything else stays: a parameter without a value, and every byte of a query
    in percent-encoding, of whatever charset.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
        port = parts.port
    except ValueError:
        return None
    if not host:
        return None
    if port is not None and port != _PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    path = parts.path.rstrip("/")
    for index in ("/index.html", "/index.htm", "/index.php"):
        path = path.removesuffix(index)
    query = sorted(
        parameter
        for parameter in map(_parameter, filter(None, parts.query.split("&")))
        if parameter.partition("=")[0].lower() not in TRACKING
    )
    return f"{host}{path}?{'&'.join(query)}" if query else f"{host}{path}"


def _parameter(written: str) -> str:
    """Return a parameter of a query with one writing for each byte."""
    name, equals, value = written.partition("=")
    return _encoded(name) + equals + _encoded(value)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="")


def url_key(url: str | None) -> bytes | None:
    """Return a 16-byte hash of the canonical form (xxh3-128), or None."""
    canonical = canonical_url(url) if url else None
    return xxhash.xxh3_128_digest(canonical.encode()) if canonical else None
