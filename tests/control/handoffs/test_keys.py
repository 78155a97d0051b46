"""Keys and tenants over the API: who may make what for whom."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from handlebar.control.database import Database
from handlebar.control.keys import KeyRing
from tests.support.control import at_once, url_of
from tests.support.handoffs import Office, Somebody


@pytest.fixture(name="operator")
def _operator(office: Office) -> Somebody:
    """An admin of the tenant that runs the whole."""
    return office.somebody()


def a_tenant(operator: Somebody, name: str = "Acme", **more: Any) -> str:
    """Make a tenant; return its id."""
    return str(operator.does("POST", "tenants", {"name": name, **more})["id"])


def good(office: Office, secret: str) -> bool:
    """Whether *secret* is a key that is good."""
    return KeyRing(office.database).find(secret) is not None


class TestKeys:
    """Made, shown once, listed, revoked, replaced."""

    def test_a_key_is_shown_once(self, office: Office, operator: Somebody) -> None:
        """A new key is `hr_` and 43 characters; lists show its first eight, and never the key."""
        made = operator.does("POST", "keys", {"name": "ci", "role": "writer"})
        members = {"id", "name", "key_prefix", "tenant_id", "role", "revoked", "created_at", "key"}
        assert members == set(made)
        assert re.fullmatch(r"hr_[A-Za-z0-9_-]{43}", made["key"])
        assert ("writer", "default", False, made["key"][:8]) == (
            made["role"],
            made["tenant_id"],
            made["revoked"],
            made["key_prefix"],
        )
        assert [{**made, "key": None}] == operator.does("GET", "keys")
        found = KeyRing(office.database).find(made["key"])
        assert found is not None
        assert ("writer", "default", made["id"]) == (found.role, found.tenant, found.id)

    def test_a_key_without_a_role_is_an_admin(self, operator: Somebody) -> None:
        """As the API promises; a role that there is not is refused."""
        assert "admin" == operator.does("POST", "keys", {"name": "ci"})["role"]
        for wrong in ({"name": "ci", "role": "root"}, {"name": ""}, {"name": "x" * 129}, {}):
            assert 422 == operator.refused("POST", "keys", wrong)[0]

    def test_a_revoked_key_is_good_for_nothing(self, office: Office, operator: Somebody) -> None:
        """It stays in the list, and cannot be revoked or replaced again."""
        made = operator.does("POST", "keys", {"name": "ci"})
        operator.does("DELETE", f"keys/{made['id']}")
        assert not good(office, made["key"])
        assert [True] == [each["revoked"] for each in operator.does("GET", "keys")]
        assert 409 == operator.refused("DELETE", f"keys/{made['id']}")[0]
        assert 409 == operator.refused("POST", f"keys/{made['id']}/rotate")[0]
        assert 404 == operator.refused("DELETE", "keys/nothing")[0]

    def test_a_rotated_key_is_replaced(self, office: Office, operator: Somebody) -> None:
        """The new one has role and tenant of the old one, which is revoked; the name says so, once."""
        first = operator.does("POST", "keys", {"name": "ci", "role": "reader"})
        second = operator.does("POST", f"keys/{first['id']}/rotate")
        third = operator.does("POST", f"keys/{second['id']}/rotate")
        assert ("reader", "ci (rotated)", "ci (rotated)") == (second["role"], second["name"], third["name"])
        assert [False, False, True] == [good(office, each["key"]) for each in (first, second, third)]

    def test_of_those_who_rotate_at_once_one_wins(self, operator: Somebody) -> None:
        """A key is replaced by one key, however many ask for that."""
        made = operator.does("POST", "keys", {"name": "ci"})
        answers = at_once([lambda: operator.asks("POST", f"keys/{made['id']}/rotate").status] * 6)
        assert [201, *[409] * 5] == sorted(answers)

    def test_a_repeated_call_does_not_show_the_key_again(self, operator: Somebody) -> None:
        """A key that was shown is kept nowhere: repeating the call is refused, and makes no second key."""
        operator.does("POST", "keys", {"name": "ci"}, idempotency_key="k")
        assert 409 == operator.refused("POST", "keys", {"name": "ci"}, idempotency_key="k")[0]
        assert 1 == len(operator.does("GET", "keys"))

    @pytest.mark.parametrize("role", ["reader", "agent", "viewer", "writer"])
    def test_only_admins_have_to_do_with_keys(self, office: Office, role: str) -> None:
        """Every other role is refused."""
        for method, path in (("GET", "keys"), ("POST", "keys"), ("DELETE", "keys/x"), ("GET", "tenants")):
            assert 403 == office.somebody(role).refused(method, path)[0]


class TestTenants:
    """Those who run the whole have tenants; the others have their own."""

    def test_a_tenant_is_made_changed_and_deleted(self, office: Office, operator: Somebody) -> None:
        """With the usual limits where none are given; a deleted one is gone, its keys with it, its name free again."""
        made = operator.does("POST", "tenants", {"name": "Acme"})
        members = "id name tier handoffs_per_day max_api_keys created_at updated_at deleted_at"
        assert set(members.split()) == set(made)
        assert ("free", 5, 5, None) == (
            made["tier"],
            made["handoffs_per_day"],
            made["max_api_keys"],
            made["deleted_at"],
        )
        path = f"tenants/{made['id']}"
        changed = operator.does("PATCH", path, {"tier": "pro", "max_api_keys": 7, "name": None})
        assert ("Acme", "pro", 7, 5) == (
            changed["name"],
            changed["tier"],
            changed["max_api_keys"],
            changed["handoffs_per_day"],
        )
        key = operator.does("POST", "keys", {"name": "ci", "tenant_id": made["id"]})
        assert good(office, key["key"])
        assert [made["id"], "default"] == [each["id"] for each in operator.does("GET", "tenants")]
        assert operator.does("DELETE", path) is None
        assert not good(office, key["key"])
        for method in ("GET", "PATCH", "DELETE"):
            assert 404 == operator.refused(method, path, {} if method == "PATCH" else None)[0]
        assert 404 == operator.refused("POST", "keys", {"name": "ci", "tenant_id": made["id"]})[0]
        assert ["default"] == [each["id"] for each in operator.does("GET", "tenants")]
        assert made["id"] != a_tenant(operator, "Acme")

    def test_two_of_one_name_there_are_not(self, operator: Somebody) -> None:
        """Neither by making nor by renaming; a name of one's own may be given again."""
        first = a_tenant(operator, "Acme")
        a_tenant(operator, "North")
        assert 409 == operator.refused("POST", "tenants", {"name": "Acme"})[0]
        assert 409 == operator.refused("PATCH", f"tenants/{first}", {"name": "North"})[0]
        operator.does("PATCH", f"tenants/{first}", {"name": "Acme"})

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"tier": "gold"}, "tier"),
            ({"handoffs_per_day": -1}, "handoffs_per_day"),
            ({"max_api_keys": -1}, "max_api_keys"),
            ({"max_api_keys": 10**12}, "max_api_keys"),
            ({"max_api_keys": "many"}, "max_api_keys"),
            ({"name": ""}, "name"),
            ({"name": "x" * 129}, "name"),
        ],
    )
    def test_limits_are_checked(self, operator: Somebody, wrong: dict[str, Any], field: str) -> None:
        """A tier that there is not, a limit below zero and a name too long are refused, when made and when changed."""
        path = f"tenants/{a_tenant(operator)}"
        for method, where in (("POST", "tenants"), ("PATCH", path)):
            status, detail = operator.refused(method, where, {"name": "North", **wrong})
            assert (422, field) == (status, detail[0]["loc"][1])

    def test_an_admin_of_one_tenant_has_no_power_over_another(self, office: Office, operator: Somebody) -> None:
        """It makes keys for its own only, changes no tenant, and cannot tell another's ids from invented ones."""
        acme = a_tenant(operator)
        admin = office.somebody(tenant=acme)
        theirs = operator.does("POST", "keys", {"name": "mine"})
        for tenant in ("default", "nobody"):
            assert 403 == admin.refused("POST", "keys", {"name": "theirs", "tenant_id": tenant})[0]
            for method in ("PATCH", "DELETE"):
                assert 403 == admin.refused(method, f"tenants/{tenant}", {})[0]
            for path in (f"tenants/{tenant}", f"tenants/{tenant}/keys"):
                assert 404 == admin.refused("GET", path)[0]
        assert 403 == admin.refused("POST", "tenants", {"name": "Mine"})[0]
        assert 404 == admin.refused("DELETE", f"keys/{theirs['id']}")[0]
        assert 404 == admin.refused("POST", f"keys/{theirs['id']}/rotate")[0]
        assert good(office, theirs["key"])
        own = admin.does("POST", "keys", {"name": "own"})
        assert (acme, [acme]) == (own["tenant_id"], [each["id"] for each in admin.does("GET", "tenants")])
        assert [own["id"]] == [each["id"] for each in admin.does("GET", f"tenants/{acme}/keys")]
        assert [own["id"]] == [each["id"] for each in operator.does("GET", f"tenants/{acme}/keys")]
        assert [theirs["id"]] == [each["id"] for each in operator.does("GET", "keys")]

    def test_a_tenant_has_as_many_keys_as_it_may_have(self, office: Office, operator: Somebody) -> None:
        """Eight that ask at once for the last two get two; revoking one makes room, replacing needs none."""
        acme = a_tenant(operator, max_api_keys=2)
        admin = office.somebody(tenant=acme)
        answers = at_once([lambda: admin.asks("POST", "keys", {"name": "k"}).status] * 8)
        assert [201, 201, *[409] * 6] == sorted(answers)
        first = admin.does("GET", "keys")[0]["id"]
        admin.does("POST", f"keys/{first}/rotate")
        assert 409 == admin.refused("POST", "keys", {"name": "k"})[0]
        last = next(each["id"] for each in admin.does("GET", "keys") if not each["revoked"])
        admin.does("DELETE", f"keys/{last}")
        admin.does("POST", "keys", {"name": "k"})

    def test_the_tenant_that_runs_the_whole_stays(self, operator: Somebody) -> None:
        """It is there from the beginning, can be given limits, and cannot be deleted."""
        assert "default" == operator.does("GET", "tenants/default")["id"]
        assert 3 == operator.does("PATCH", "tenants/default", {"max_api_keys": 3})["max_api_keys"]
        assert 3 == operator.does("GET", "tenants/default")["max_api_keys"]
        assert 409 == operator.refused("DELETE", "tenants/default")[0]

    def test_one_made_by_its_keys_can_be_deleted(self, office: Office, operator: Somebody, tmp_path: Path) -> None:
        """A tenant that somebody has made on the command line is one like the others."""
        with closing(Database(url_of(tmp_path / "plane.db"))) as database:
            made = KeyRing(database).create("cli", role="agent", tenant="north")
        assert "north" == operator.does("GET", "tenants/north")["name"]
        operator.does("DELETE", "tenants/north")
        assert not good(office, made.secret)
        assert 404 == operator.refused("GET", "tenants/north")[0]


class TestTheAuditLog:
    """Who did what, to packets and to everything else."""

    def test_it_tells_of_everything(self, office: Office, operator: Somebody) -> None:
        """Newest first: what was done to packets by agents, and to keys and tenants by keys."""
        packet = operator.claims(operator.makes())
        key = operator.does("POST", "keys", {"name": "ci"})
        answered = operator.does("GET", "audit")
        assert (3, 50, 0) == (answered["total"], answered["limit"], answered["offset"])
        made, claimed, created = answered["entries"]
        members = {"id", "packet_id", "actor", "action", "resource", "details", "timestamp"}
        assert members == set(made) == set(created)
        assert ("key.created", "key", "key:default-admin", key["id"]) == (
            made["action"],
            made["resource"],
            made["actor"],
            made["details"]["key_id"],
        )
        assert ("claimed", "packet", "agent:refunds-2", packet["id"]) == (
            claimed["action"],
            claimed["resource"],
            claimed["actor"],
            claimed["packet_id"],
        )
        assert key["key"] not in str(answered)
        assert 0 == office.somebody(tenant="other").does("GET", "audit")["total"]

    def test_it_can_be_searched(self, operator: Somebody) -> None:
        """By actor, action, packet and time, page by page; the total counts all that fit."""
        first, second = operator.makes(), operator.makes()
        operator.claims(first)

        def found(query: str) -> list[str]:
            return [each["action"] for each in operator.does("GET", f"audit?{query}")["entries"]]

        assert ["claimed", "created"] == found(f"packet_id={first['id']}")
        assert ["created", "created"] == found("action=created")
        assert ["claimed"] == found("actor=agent:refunds-2")
        assert [] == found("actor=nobody")
        assert ["created"] == found("action=created&limit=1&offset=1")
        assert 2 == operator.does("GET", "audit?action=created&limit=1")["total"]
        when = second["created_at"]
        assert ["claimed", "created"] == found(f"created_after={when}Z")
        assert ["created", "created"] == found(f"created_before={when}%2B00:00")
        assert [] == found("created_after=2199-01-01T00:00:00Z")
        for wrong in ("limit=0", "limit=201", "offset=-1", "created_after=yesterday"):
            assert 422 == operator.refused("GET", f"audit?{wrong}")[0]
