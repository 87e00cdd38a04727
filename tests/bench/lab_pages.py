"""A pupil's browser in the lab: pages over TLS, from the pupils' namespace.

What lives only here: the model page (40 requests on 12 connections to six sites, about 2 MB, a third of the
sites not opened), what a certificate says of who answers, and paced requests whose time is taken.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.bench.client import Http1, Http2, NotAnsweredError, over
from tests.bench.lab import LESSONS, OPENED, SIZES, UNREAD, Lab, Running

PAGE_SITES = tuple(
    f"{name}.{domain}" for domain, names in ((OPENED, "abcd"), (UNREAD, "ef")) for name in names
)
"""Where a model page comes from; each site gets two connections."""
PAGE_REQUESTS, PAGE_CONNECTIONS = 40, 12
_PATHS = ("60k", "32k.html", "60k", "32k.html")
"""What one connection asks for in turn: 3 or 4 of them, 2.0 MB over all."""
_PACE = 0.008


def asked_on(connection: int) -> list[tuple[str, int]]:
    """Return what a page asks for on one of its connections: paths and their sizes."""
    count = PAGE_REQUESTS // PAGE_CONNECTIONS + (connection < PAGE_REQUESTS % PAGE_CONNECTIONS)
    return [(f"/{path}", SIZES[path]) for path in _PATHS[:count]]


@dataclass(frozen=True, slots=True)
class Browser:
    """Clients of one contender: whom they trust, and whether they offer HTTP/2."""

    lab: Lab
    running: Running
    http2: bool

    def context(self, *, unread: bool = False) -> ssl.SSLContext:
        """Return how a device checks certificates: of sites that are not opened, by the sites' own CA."""
        context = ssl.create_default_context(cafile=str(self.running.root))
        if unread:
            context.load_verify_locations(cafile=str(self.lab.sites_root))
        # Squid's certificates lack what only the strictest clients want.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.set_alpn_protocols(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
        return context

    @contextmanager
    def open(self, name: str, context: ssl.SSLContext) -> Iterator[Http1 | Http2]:
        """Open a connection to a site, and close it in the end."""
        wire = context.wrap_socket(self.lab.connect(name), server_hostname=name)
        with closing(over(wire, name)) as client:
            yield client

    def issuer(self, name: str) -> str:
        """Return who says that the site is the site: the lab's sites' CA, or the contender's."""
        context = self.context(unread=True)
        with context.wrap_socket(self.lab.connect(name), server_hostname=name) as wire:
            found = x509.load_der_x509_certificate(wire.getpeercert(binary_form=True) or b"")
        said = found.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(said[0].value) if said else "nobody"

    def splices(self) -> bool:
        """Tell whether the contender leaves the clinic's encryption alone."""
        theirs = x509.load_pem_x509_certificate(self.lab.sites_root.read_bytes())
        owner = theirs.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
        return self.issuer(f"clinic.{UNREAD}") == owner

    def page(self) -> float:
        """Load one model page; return how long it took in seconds."""
        failed: list[BaseException] = []
        opened, unread = self.context(), self.context(unread=True)

        def load(at: int) -> None:
            name = PAGE_SITES[at % len(PAGE_SITES)]
            try:
                with self.open(name, unread if name.endswith(UNREAD) else opened) as client:
                    for path, size in asked_on(at):
                        client.get(path, size)
            except (OSError, NotAnsweredError) as error:
                failed.append(error)

        began = time.perf_counter()
        threads = [threading.Thread(target=load, args=(at,)) for at in range(PAGE_CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise NotAnsweredError(f"{self.running.name}: {failed[0]}")
        return time.perf_counter() - began

    def paced(self, count: int) -> list[float]:
        """Ask for a small page again and again on one connection; return each answer's time in ms."""
        found = []
        context = self.context()
        context.set_alpn_protocols(["http/1.1"])
        with self.open(LESSONS, context) as client:
            client.get("/1k", SIZES["1k"])
            for _ in range(count):
                time.sleep(_PACE)
                began = time.perf_counter()
                client.get("/1k", SIZES["1k"])
                found.append((time.perf_counter() - began) * 1000)
        return found
