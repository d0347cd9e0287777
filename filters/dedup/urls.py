"""A key for pages, equal for addresses that differ only in their writing."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

import xxhash

TRACKING = ("utm_", "fbclid", "gclid", "ref_", "sessionid", "phpsessid", "jsessionid")
_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str | None:
    """Return host, path and sorted query of `url`; None where it is not a web address.

    Scheme, `www.`, default port, fragment, tracking parameters, trailing slash and index page are
    left out.
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
    query = sorted((k, v) for k, v in parse_qsl(parts.query) if not k.lower().startswith(TRACKING))
    return f"{host}{path}?{urlencode(query)}" if query else f"{host}{path}"


def url_key(url: str | None) -> bytes | None:
    """Return a 16-byte hash of the canonical form (xxh3-128), or None."""
    canonical = canonical_url(url) if url else None
    return xxhash.xxh3_128_digest(canonical.encode()) if canonical else None
