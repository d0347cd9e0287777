"""A secret of the config, never written to a file.

Its reference (`${PII_KEY}`) is written in its place or, for a literal secret, a fingerprint.
Reading either back gives a secret whose value may be unknown; only using the value then fails.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.errors import InputError

_REFERENCE = re.compile(r"\$\{(\w+)\}")
_FINGERPRINT = re.compile(r"scrypt:[0-9a-f]{64}")


@dataclass(frozen=True, repr=False)
class Secret:
    """A text that prints as `${VARIABLE}` or as a fingerprint. Pickling keeps its value.

    Empty: no secret was given.
    """

    _value: str | None = ""
    variable: str = ""
    """The environment variable that holds it; empty: it was given literally."""
    _kept: str = ""
    """The fingerprint that was read in place of the value."""

    @classmethod
    def of(cls, text: str) -> Secret:
        """Return the secret that a config's `text` stands for.

        That is `${VARIABLE}`, a fingerprint that was written, or the secret itself.
        """
        if reference := _REFERENCE.fullmatch(text):
            return cls(os.environ.get(reference[1]), reference[1])
        if _FINGERPRINT.fullmatch(text):
            return cls(None, "", text)
        return cls(text)

    @property
    def known(self) -> bool:
        """Whether the value is known."""
        return self._value is not None

    @property
    def value(self) -> str:
        """The secret itself. Raises InputError where it is unknown."""
        if self._value is None:
            raise InputError(self.remedy())
        return self._value

    @property
    def fingerprint(self) -> str:
        """A one-way hash of the value; empty for an empty one.

        Scrypt, so that trying short keys is slow too. Raises InputError if neither is known.
        """
        if self._value is None:
            if not self._kept:
                raise InputError(self.remedy())
            return self._kept
        return _fingerprint(self._value)

    def remedy(self) -> str:
        """Return how to make the secret known."""
        if self.variable:
            return f"pii.key: the environment has no variable {self.variable}; set it"
        return (
            "pii.key: only the key's fingerprint is known; give the key: "
            "--set 'pii.key=${PII_KEY}', with that variable set"
        )

    def __str__(self) -> str:
        """Return the text that may be written."""
        return f"${{{self.variable}}}" if self.variable else self.fingerprint

    __repr__ = __str__


@lru_cache
def _fingerprint(value: str) -> str:
    if not value:
        return ""
    salt = b"bibim pii.key"  # fixed: the same key must give the same content keys everywhere
    found = hashlib.scrypt(value.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    return f"scrypt:{found.hex()}"


def parse_secret(value: object) -> Secret:
    """Return the secret of a config's value. Raises ValueError, which does not repeat it."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("is not text; put it in quotes")
    return Secret.of(value)
