"""Targets: what a webhook may call, when it is registered and when it is called."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from handlebar._plumbing.clock import Deadline
from handlebar._plumbing.pinned_sending import SendingError, post
from handlebar._plumbing.resolving import Target, resolved
from handlebar.control.handoffs.delivering import Deliverer
from handlebar.control.handoffs.targets import TargetError, Targets, is_public, read_networks
from handlebar.errors import ConfigError
from tests.support.http_server import Answer, Drip, Hang, HttpServer
from tests.support.webhooks import LOOPBACK, a_post

PUBLIC = "93.184.215.14"


def always(*addresses: str) -> Targets:
    """Return targets for which every name means *addresses*."""
    return Targets(lambda host, port: addresses)


class TestUrls:
    """What is not a plain URL of HTTP is refused before any name is looked up."""

    @pytest.mark.parametrize(
        ("url", "host", "port", "path"),
        [
            ("https://example.com/hook?a=b", "example.com", 443, "/hook?a=b"),
            ("HTTP://Example.COM:8080", "example.com", 8080, "/"),
            ("http://example.com.:80/", "example.com", 80, "/"),
            ("http://[2606:4700::1]:81/x", "2606:4700::1", 81, "/x"),
            ("http://1.2.3.4/@", "1.2.3.4", 80, "/@"),
        ],
    )
    def test_plain_ones_are_taken_apart(self, url: str, host: str, port: int, path: str) -> None:
        """Scheme, host, port and path with query are those of the URL; a trailing dot changes nothing."""
        target = always(PUBLIC).check(url)
        assert (host, port, path, (PUBLIC,)) == (target.host, target.port, target.path, target.addresses)

    @pytest.mark.parametrize(
        "url",
        [
            *("", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "javascript:1", "http://"),
            *("http:///x", "https://user@example.com", "https://user:pass@example.com", "https://@example.com"),
            *("http://example.com\\@10.0.0.1/", "http://example.com#@10.0.0.1/", "http://exa mple.com", "http://a\nb"),
            *(
                "http://example.com:0/",
                "http://example.com:99999/",
                "http://example.com:x/",
                "http://[::1",
                "http://[x]",
            ),
            *("http://[fe80::1%25eth0]/", "http://ex%61mple.com/", "http://bücher.example/", "http://a..b:1:2/"),
            *("http://example.com/" + "x" * 2048, "http://" + "a" * 300),
            *("http://metadata/", "http://metadata.google.internal/", "http://METADATA.google.internal./x"),
        ],
    )
    def test_others_are_refused(self, url: str) -> None:
        """A URL that some program could read as another one, or that names a metadata service, is no target."""
        with pytest.raises(TargetError):
            always(PUBLIC).check(url)


class TestAddresses:
    """Only what is out in the public internet may be called, unless the operator says otherwise."""

    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
            *("169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "255.255.255.255"),
            *("240.0.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "168.63.129.16"),
            *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
            *("fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2002:7f00:1::"),
            *("2001::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1"),
        ],
    )
    def test_special_ones_are_refused(self, address: str) -> None:
        """No special address of either family is called, and none that carries another within."""
        with pytest.raises(TargetError, match="not one in the public internet"):
            always(address).check("https://example.com/")

    @pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1::1"])
    def test_public_ones_are_allowed(self, address: str) -> None:
        """An address of the public internet is a target."""
        assert (address,) == always(address).check("https://example.com/").addresses

    @given(st.ip_addresses())
    def test_what_is_public_is_no_special_address_of_the_standard_library(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address
    ) -> None:
        """No address that Python knows as private, loopback, link-local, multicast or reserved counts as public."""
        special = (
            address.is_private
            or address.is_loopback
            or address.is_link_local
            or address.is_multicast
            or address.is_unspecified
            or address.is_reserved
        )
        assert not (special and is_public(address))

    def test_one_bad_address_spoils_them_all(self) -> None:
        """A name that also means an address within is refused, whichever comes first."""
        for addresses in ((PUBLIC, "10.0.0.1"), ("10.0.0.1", PUBLIC)):
            with pytest.raises(TargetError):
                always(*addresses).check("https://example.com/")

    @pytest.mark.parametrize("url", ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/", "http://localhost/"])
    def test_other_ways_to_say_loopback_are_seen_through(self, url: str) -> None:
        """Whatever the system takes for a loopback address is refused."""
        with pytest.raises(TargetError):
            Targets(resolved).check(url)

    def test_a_name_that_cannot_be_resolved_is_refused(self) -> None:
        """What means nothing now may mean anything later."""

        def nothing(host: str, port: int) -> Sequence[str]:
            raise OSError("no such host")

        for targets in (Targets(nothing), always(), Targets(resolved)):
            with pytest.raises(TargetError):
                targets.check("http://no-such-host.invalid/")

    def test_the_operator_may_allow_networks(self) -> None:
        """An address in an allowed network may be called; the ones beside it still may not."""
        targets = Targets(resolved, read_networks("127.0.0.1/32, 10.1.0.0/16"))
        assert ("127.0.0.1",) == targets.check("http://127.0.0.1:1/").addresses
        assert ("10.1.2.3",) == targets.check("http://10.1.2.3/").addresses
        for url in ("http://127.0.0.2/", "http://10.2.0.0/", "http://[::1]/"):
            with pytest.raises(TargetError):
                targets.check(url)
        assert () == read_networks("  ")
        with pytest.raises(ConfigError, match="webhook_allow"):
            read_networks("10.1.0.0/16, localhost")


def test_a_name_that_was_bound_anew_is_not_called(tmp_path: Path) -> None:
    """A name that meant a public address when it was registered, and means one within now, gets no request."""
    meaning = [PUBLIC]
    strict = Targets(lambda host, port: meaning)
    with HttpServer() as within, a_post(tmp_path / "plane.db") as office:
        url = within.url.replace("127.0.0.1", "example.com")
        assert (PUBLIC,) == strict.check(url).addresses
        hook = office.hook(url)
        office.tells()
        meaning[:] = ["127.0.0.1"]
        assert 1 == Deliverer(office.database, strict).deliver_due()
        assert [] == within.requests
        assert "The host's address is not one in the public internet" == office.the(hook).last_error


def test_what_was_checked_is_what_is_called() -> None:
    """The request goes to the checked address and names the host, which nobody looks up again."""
    with HttpServer() as server:
        server.behave(Answer(200))
        port = int(server.url.rpartition(":")[2])
        target = Targets(lambda *_: ["127.0.0.1"], LOOPBACK).check(f"http://no-such-host.invalid:{port}/x?y")
        assert (200, "") == post(target, b"{}", {"x-a": "b"}, deadline=Deadline.after(10))
        (request,) = server.requests
    assert ("/x?y", f"no-such-host.invalid:{port}", "b", b"{}") == (
        request.path,
        request.headers["host"],
        request.headers["x-a"],
        request.body,
    )


def test_no_proxy_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names would choose the address itself, so it is not asked."""
    with HttpServer() as proxy, HttpServer() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        server.behave(Answer(200))
        assert 200 == post(at(server), b"", {}, deadline=Deadline.after(10))[0]
        assert [] == proxy.requests


def at(server: HttpServer, *addresses: str, host: str = "example.com", scheme: str = "http") -> Target:
    """Return *server* as a target."""
    port = int(server.url.rpartition(":")[2])
    return Target(scheme=scheme, host=host, port=port, path="/", addresses=addresses or ("127.0.0.1",))


def test_the_first_address_that_lets_us_connect_is_used() -> None:
    """Where a host has several addresses, one that refuses the connection is passed over."""
    with HttpServer() as server:
        server.behave(Answer(204))
        assert 204 == post(at(server, "::1", "127.0.0.1"), b"", {}, deadline=Deadline.after(10))[0]


@pytest.mark.parametrize("behaviour", [Hang(), Drip(seconds_between=0.2, endless=True)])
def test_a_receiver_has_so_much_time_in_all(behaviour: Hang | Drip) -> None:
    """A receiver that is silent, or answers by the byte, is given up by the deadline."""
    with HttpServer() as server:
        server.behave(behaviour)
        with pytest.raises(SendingError, match="in time"):
            post(at(server), b"{}", {}, deadline=Deadline.after(0.5))


def test_the_certificate_has_to_be_for_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the name is checked, although the connection is made to an address; so is who signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with HttpServer(tls=context) as server:
        server.behave(Answer(200))
        with pytest.raises(SendingError, match="No answer came"):
            post(at(server, host="hooks.example", scheme="https"), b"", {}, deadline=Deadline.after(10))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        assert 200 == post(at(server, host="hooks.example", scheme="https"), b"", {}, deadline=Deadline.after(10))[0]
        with pytest.raises(SendingError, match="No answer came"):
            post(at(server, host="other.example", scheme="https"), b"", {}, deadline=Deadline.after(10))
        assert 1 == len(server.requests)
