"""The condition sensitiveData, from the file to the answer."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from handlebar.core.schema.rules import Detector, DetectorSubCondition, Policy, Rule, SensitiveDataCondition
from handlebar.errors import PolicyError
from handlebar.policy import load_policies, policy_to_dict
from handlebar.policy.conditions import compiled_condition
from handlebar.policy.detecting.catalogue import CHECKS, DETECTORS, detector
from tests.support.policies import call_of, rule_of
from tests.support.policy_facts import StatedFacts

CARD = 4111111111111111
ONE_OF_EACH = {
    "email": "anna@mail.example.com",
    "email_domain": "*@mail.example.com",
    "phone": "+44 20 7946 0958",
    "credit_card": "4111 1111 1111 1111",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "uk_nino": "AB123456C",
    "ip_address": "2001:db8::1",
    "url": "https://mail.example.com/",
    "jwt": "eyJhbGciOiJub25lIn0.e30.",
    "private_key": "-----BEGIN PRIVATE KEY-----",
    "secret_key": "ghp_" + "a1B2c3D4e5" * 4,
}


def loaded(*detectors: Any, **more: Any) -> SensitiveDataCondition:
    """Return the condition as the loader reads it."""
    condition = {"kind": "sensitiveData", "target": "toolArg", "detectors": list(detectors), **more}
    rule = {
        "name": "No leaks",
        "selector": {"phase": "tool.before"},
        "condition": condition,
        "effect": {"type": "block"},
    }
    (policy,) = load_policies({"name": "Leaks", "rules": [rule]})
    made = policy.rules[0].condition
    assert isinstance(made, SensitiveDataCondition)
    return made


def answer(condition: SensitiveDataCondition, args: Any) -> Any:
    """Return whether *condition* holds for a call with *args*."""
    return compiled_condition(condition)(call_of(args=args), StatedFacts())


def named(*names: str) -> list[dict[str, str]]:
    """Return detectors as files have them."""
    return [{"detector": name} for name in names]


class TestLoading:
    def test_what_is_read(self) -> None:
        """The keys of the file are the fields of the condition; without an operator it is anyOf."""
        check = {"check": "domain", "op": "in", "value": ["a.com"]}
        condition = loaded({"detector": "email", "subCondition": check}, {"detector": "jwt"}, path="a.b")

        expected = SensitiveDataCondition(
            path="a.b",
            op="anyOf",
            detectors=(
                Detector(
                    detector="email", sub_condition=DetectorSubCondition(check="domain", op="in", value=("a.com",))
                ),
                Detector(detector="jwt"),
            ),
        )
        assert expected == condition

    @pytest.mark.parametrize("name", DETECTORS)
    def test_no_detector_is_dead(self, name: str) -> None:
        """For every detector that the loader takes there is a call that it matches, and one that it does not."""
        condition = loaded(*named(name))

        assert True is answer(condition, {"text": f"this: {ONE_OF_EACH[name]}"})
        assert False is answer(condition, {"text": "nothing of the kind"})

    @pytest.mark.parametrize(
        ("check", "op", "good", "bad"),
        [
            ("domain", "eq", "mail.example.com", "example.com"),
            ("domain", "neq", "example.com", "mail.example.com"),
            ("domain", "endsWith", "example.com", "ample.com"),
            ("domain", "in", "mail.example.com", "example.com"),
            ("tld", "eq", "com", "org"),
            ("tld", "neq", "org", "com"),
            ("tld", "in", "com", "org"),
            ("scheme", "eq", "https", "http"),
            ("scheme", "neq", "http", "https"),
            ("scheme", "in", "https", "http"),
        ],
    )
    @pytest.mark.parametrize("as_list", [False, True])
    def test_no_check_is_dead(self, check: str, op: str, good: str, bad: str, as_list: bool) -> None:
        """Every check works with each of its operators on each detector that has it, with a text or a list."""
        for name in (name for name in CHECKS if check in CHECKS[name]):
            for expected, value in ((True, good), (False, bad)):
                wanted = [value] if as_list else value
                condition = loaded({"detector": name, "subCondition": {"check": check, "op": op, "value": wanted}})
                assert expected is answer(condition, {"text": ONE_OF_EACH[name]})

    @pytest.mark.parametrize(("name", "module"), [("phone", "phonenumbers"), ("iban", "stdnum"), ("email", "re2")])
    def test_missing_library(self, name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rule whose library is not installed is refused with the extra that brings it."""
        detector.cache_clear()
        monkeypatch.setitem(sys.modules, module, None)

        with pytest.raises(PolicyError) as caught:
            loaded(*named(name))
        (problem,) = caught.value.problems
        assert "detectors[0].detector: " in problem
        assert "pip install 'handlebar[embedded]'" in problem

    def test_round_trip(self) -> None:
        """What is written out is read back as the same condition."""
        check = {"check": "scheme", "op": "in", "value": ["ftp"]}
        condition = loaded({"detector": "url", "subCondition": check}, op="allOf")
        rule: Rule = rule_of(condition=condition)
        policy = Policy(id="p", name="policy", rules=(rule,))

        assert (policy,) == load_policies(policy_to_dict(policy))


class TestWhere:
    @pytest.mark.parametrize(
        ("expected", "path", "args"),
        [
            (True, None, {"a": [{"b": ["x", "4111111111111111"]}]}),
            (False, None, {"4111111111111111": "x"}),
            (False, None, {"a": CARD}),
            (False, None, None),
            (True, "a", {"a": str(CARD)}),
            (True, "a", {"a": CARD}),
            (True, "a", {"a": float(CARD)}),
            (True, "a", {"a": [{"b": str(CARD)}, 1]}),
            (True, "a", {"a": [0, CARD]}),
            (True, "a.1", {"a": [0, CARD]}),
            (False, "a.0", {"a": [0, CARD]}),
            (False, "a", {"b": CARD}),
            (False, "a", {"a": True}),
            (False, "a", {"a": 10**5000}),
            (False, "a", {"a": None}),
        ],
    )
    def test_path(self, expected: bool, path: str | None, args: Any) -> None:
        """Without a path all texts are looked at; with one, the texts and numbers there and below."""
        condition = SensitiveDataCondition(path=path, detectors=(Detector(detector="credit_card"),))
        assert expected is answer(condition, args)

    def test_behind_padding(self) -> None:
        """No amount of text before a secret hides it."""
        text = "x " * 2**19 + ONE_OF_EACH["credit_card"]
        assert True is answer(loaded(*named("credit_card")), {"text": text})


class TestOperators:
    @pytest.mark.parametrize(
        ("expected", "op", "args"),
        [
            (True, "anyOf", {"a": "a@b.com"}),
            (False, "anyOf", {"a": "a at b"}),
            (False, "allOf", {"a": "a@b.com"}),
            (True, "allOf", {"a": "a@b.com", "b": "AB123456C"}),
        ],
    )
    def test_of_several_detectors(self, expected: bool, op: str, args: Any) -> None:
        """One detector has to find something, or all of them, be it in different texts."""
        assert expected is answer(loaded(*named("email", "uk_nino"), op=op), args)

    def test_each_find_counts(self) -> None:
        """A find that the check does not want does not hide a later one."""
        outside = {"check": "domain", "op": "neq", "value": "us.com"}
        condition = loaded({"detector": "email", "subCondition": outside})

        assert True is answer(condition, {"to": "a@us.com, b@them.com"})
        assert False is answer(condition, {"to": "a@us.com, b@US.com."})

    @pytest.mark.parametrize(
        ("expected", "op", "value", "text"),
        [
            (True, "endsWith", "example.com", "https://example.com"),
            (False, "endsWith", "example.com", "https://notexample.com"),
            (False, "endsWith", ".example.com", "https://example.com"),
            (True, "endsWith", ".example.com", "https://a.example.com"),
            (True, "eq", "bücher.example", "https://xn--bcher-kva.example/"),
            (True, "eq", "xn--bcher-kva.example", "https://BÜCHER.example."),
            (True, "eq", "evil.com", "https://good.com:1@evil.com:2/x@good.com"),
            (True, "eq", "good.com", "https://good.com\\@evil.com"),
            (True, "eq", "evil.com", "https://good.com,https://evil.com"),
            (True, "eq", "evil.com", "https://%65vil.com"),
            (True, "eq", "evil.com", "https://evil.com%40good.com"),
            (True, "endsWith", ".bücher.example", "https://a.bücher.example"),
            (True, "eq", "उदाहरण.परीक्षा", "https://उदाहरण.परीक्षा/"),
            (True, "eq", "10.0.0.1", "https://10.0.0.1:80/"),
            (False, "eq", "evil.com", "https://evil.com.good.com/?evil.com"),
            (False, "eq", "evil.com", "https://@/"),
        ],
    )
    def test_domains(self, expected: bool, op: str, value: str, text: str) -> None:
        """The domain is the one that a client would ask, in any script, and ends where a label ends."""
        check = {"check": "domain", "op": op, "value": value}
        assert expected is answer(loaded({"detector": "url", "subCondition": check}), {"text": text})
