"""Slugs: of names, and for agents that were given none."""

from __future__ import annotations

import hashlib
import os
import re

_ADJECTIVES = (
    "amber", "ample", "brave", "brief", "bright", "brisk", "calm", "candid", "clear", "clever", "cosy",
    "crisp", "deft", "eager", "early", "exact", "fair", "fleet", "fond", "frank", "gentle", "glad",
    "golden", "hardy", "honest", "humble", "jolly", "keen", "kind", "late", "light", "lively", "loyal",
    "lucid", "mellow", "merry", "mild", "modest", "neat", "nimble", "noble", "novel", "patient", "placid",
    "plain", "polite", "prompt", "proud", "quick", "quiet", "rapid", "ready", "robust", "serene",
    "silver", "sleek", "smart", "steady", "still", "sunny", "tidy", "vivid", "warm", "wise",
)  # fmt: skip
_NOUNS = (
    "acorn", "anchor", "badger", "basil", "beacon", "birch", "bridge", "brook", "cedar", "cello",
    "clover", "comet", "copper", "cricket", "daisy", "delta", "dune", "ember", "falcon", "fern", "finch",
    "fjord", "garnet", "glade", "grove", "harbour", "hazel", "heron", "island", "ivy", "juniper",
    "kestrel", "lantern", "lark", "lemon", "linden", "magpie", "maple", "marten", "meadow", "nutmeg",
    "oak", "olive", "orchard", "otter", "pebble", "pine", "plover", "poplar", "quartz", "raven", "reed",
    "river", "robin", "rowan", "saffron", "sparrow", "spruce", "thistle", "thrush", "tulip", "walnut",
    "willow", "wren",
)  # fmt: skip


def generate_slug() -> str:
    """
    Return a slug such as `brisk-heron-3f9a1c`: always the same one in the same working directory.

    It says nothing of the directory's name.
    """
    digest = hashlib.sha256(os.fsencode(os.getcwd())).digest()
    adjective = _ADJECTIVES[digest[0] % len(_ADJECTIVES)]
    noun = _NOUNS[digest[1] % len(_NOUNS)]
    return f"{adjective}-{noun}-{digest[2:5].hex()}"


def slugified(name: str) -> str:
    """Return *name* in lower case, with one `-` in the place of all that is neither letter, digit nor `_`."""
    return re.sub(r"[^\w]+", "-", name.lower()).strip("-") or "tool"
