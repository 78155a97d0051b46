"""Where what was found belongs: its domain, its top-level domain, its scheme."""

from __future__ import annotations

from collections.abc import Callable

from handlebar.core.schema.rules import DetectorSubCondition
from handlebar.policy.detecting.addresses import host_of

FoundTest = Callable[[str], bool]

_MOST_OF_LABEL = 63


def origin_test(condition: DetectorSubCondition) -> FoundTest:
    """
    Return a test of what an e-mail or URL detector found.

    Domains compare without regard to case and script. `endsWith` means the domain or one below it, so `example.com`
    does not mean `notexample.com`; `.example.com` means those below only. Of several values one is enough; `neq` is
    true where none is equal.
    """
    values = (condition.value,) if isinstance(condition.value, str) else condition.value
    wanted = frozenset(map(_same_form, values))
    read = _ORIGINS[condition.check]
    if condition.op == "endsWith":
        return lambda found: any(_is_below(read(found), each) for each in wanted)
    is_wanted = condition.op != "neq"
    return lambda found: (read(found) in wanted) is is_wanted


def _domain(found: str) -> str:
    host = host_of(found) if "://" in found else found.rpartition("@")[2]
    return _same_form(host.rstrip("."))


def _top_level(found: str) -> str:
    return _domain(found).rpartition(".")[2]


def _scheme(found: str) -> str:
    return found.partition("://")[0].lower()


def _is_below(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent.removeprefix('.')}")


def _same_form(domain: str) -> str:
    """Return *domain* in the form that name servers read."""
    return ".".join(map(_same_label, domain.casefold().split(".")))


def _same_label(label: str) -> str:
    """Return *label* in ASCII; as it is where it has no such form, or is too long to be one."""
    if label.isascii() or len(label) > _MOST_OF_LABEL:
        return label
    try:
        return label.encode("idna").decode()
    except UnicodeError:
        return label


_ORIGINS = {"domain": _domain, "tld": _top_level, "scheme": _scheme}
