"""Derive the graph of the demo from the keyring that Debian ships: who has signed whose key.

    apt-get download debian-keyring
    dpkg-deb -x debian-keyring_*.deb unpacked
    python tools/derive_demo_graph.py unpacked/usr/share/keyrings/debian-keyring.gpg \
        --release "debian-keyring 2022.12.24" --output debian-web-of-trust.txt

It needs GnuPG. The numbering of the members differs at every run, on purpose; the shape line of the
header does not, so two files can be compared. The rules are explained in
docs/concepts/demo-data.md.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

Pair = tuple[str, str]
Edge = tuple[int, int]

# OpenPGP certifications of a user id: generic, persona, casual, positive (RFC 4880, section 5.2.1).
CERTIFICATIONS = ("10", "11", "12", "13")


def listing(keyring: Path) -> Iterator[str]:
    """Yield the lines of GnuPG's machine-readable list of keys, user ids and signatures."""
    with tempfile.TemporaryDirectory() as home:
        command = ["gpg", "--homedir", home, "--batch", "--with-colons", "--no-auto-check-trustdb"]
        command += ["--no-default-keyring", "--keyring", str(keyring.resolve()), "--list-sigs"]
        done = subprocess.run(command, capture_output=True, check=True)
    yield from done.stdout.decode("utf-8", "replace").splitlines()


def read_signatures(lines: Iterable[str]) -> tuple[set[str], set[Pair]]:
    """Return the keys, and (signer, signed key) for each certification of a user id.

    Signatures on subkeys say nothing about people and are left out. A certification that its
    signer has revoked, on any user id of that key, is left out too.
    """
    keys: set[str] = set()
    signed: set[Pair] = set()
    revoked: set[Pair] = set()
    key, on_user_id = "", False
    for line in lines:
        fields = line.split(":")
        if fields[0] == "pub":
            key, on_user_id = fields[4], False
            keys.add(key)
        elif fields[0] in ("uid", "uat", "sub"):
            on_user_id = fields[0] != "sub"
        elif fields[0] == "sig" and on_user_id and fields[10][:2] in CERTIFICATIONS:
            signed.add((fields[4], key))
        elif fields[0] == "rev" and on_user_id:
            revoked.add((fields[4], key))
    return keys, signed - revoked


def between_members(keys: set[str], signed: set[Pair]) -> set[Pair]:
    """Keep what one member of the keyring signed for another."""
    return {(a, b) for a, b in signed if a != b and a in keys}


def pseudonymous(pairs: set[Pair]) -> list[Edge]:
    """Replace keys by numbers from 1, in an order that is drawn at random and kept nowhere."""
    members = sorted({key for pair in pairs for key in pair})
    random.SystemRandom().shuffle(members)
    number = {key: place for place, key in enumerate(members, start=1)}
    numbered = ((number[a], number[b]) for a, b in pairs)
    return sorted({(min(edge), max(edge)) for edge in numbered})


def shape(edges: list[Edge]) -> str:
    """Return a digest that does not depend on the numbering: each member's degrees nearby."""
    friends: defaultdict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        friends[a].append(b)
        friends[b].append(a)
    degrees = {member: len(near) for member, near in friends.items()}
    nearby = sorted(
        (degrees[member], sorted(degrees[friend] for friend in near))
        for member, near in friends.items()
    )
    return hashlib.sha256(repr(nearby).encode()).hexdigest()[:16]


def document(keys: set[str], pairs: set[Pair], edges: list[Edge], release: str) -> str:
    """Return the text of the data file: a header of facts, then one pair of members a line."""
    members = len({member for edge in edges for member in edge})
    mutual = sum((b, a) in pairs for a, b in pairs) // 2
    header = [
        "A web of trust: who has signed whose OpenPGP key, without names, as undirected pairs.",
        f"Derived by tools/derive_demo_graph.py from Debian's package: {release}.",
        f"{len(keys)} keys in the keyring; {members} signed another or were signed.",
        f"{len(pairs)} times one signed another's key; {len(edges)} pairs, {mutual} both ways.",
        f"Shape, the same under any numbering: {shape(edges)}.",
        "Licence, in the words of the package: \"The keys in the keyrings don't fall under any",
        'copyright." Provenance, rules and limits: docs/concepts/demo-data.md.',
    ]
    lines = [f"# {line}" for line in header] + [f"{a} {b}" for a, b in edges]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Read the keyring that was named, write the pairs."""
    parser = argparse.ArgumentParser(description="Derive the demo's graph from debian-keyring.")
    parser.add_argument("keyring", type=Path, help="debian-keyring.gpg, unpacked from the package")
    parser.add_argument("--release", required=True, help="package and version, for the header")
    parser.add_argument("--output", type=Path, required=True, help="the data file to write")
    options = parser.parse_args()
    try:
        keys, signed = read_signatures(listing(options.keyring))
    except FileNotFoundError:
        parser.error("gpg was not found: install GnuPG")
    except subprocess.CalledProcessError as error:
        parser.error(f"gpg refused the keyring: {error.stderr.decode('utf-8', 'replace').strip()}")
    pairs = between_members(keys, signed)
    if not pairs:
        parser.error(f"{options.keyring} holds no signature of one member for another")
    text = document(keys, pairs, pseudonymous(pairs), options.release)
    options.output.write_text(text, encoding="utf-8")
    sys.stdout.write("\n".join(line for line in text.splitlines() if line.startswith("#")) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
