"""Stands in for pycrypto, which no longer builds: Crypto.X is Cryptodome.X of pycryptodomex, its maintained fork."""

import importlib
import sys

__path__ = []  # makes this a package; what the reference imports from it is registered below

# The same module objects under a second name, since Cryptodome's native parts refuse to be loaded twice.
for _name in ("Cipher", "Hash", "Util", "Util.strxor"):
    sys.modules[f"Crypto.{_name}"] = importlib.import_module(f"Cryptodome.{_name}")
