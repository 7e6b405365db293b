"""Stands in for pyblake2, which no longer builds: BLAKE2b has been in the standard library since Python 3.6."""

import hashlib


def blake2b(data=b"", **options):
    # hashlib takes the data by position only; the reference passes it by name.
    return hashlib.blake2b(data, **options)
