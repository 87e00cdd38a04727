from __future__ import annotations

import socket

import pytest

from appliance.ports import Ports, claim_ports
from appliance.supervisor import StartError
from tests.doubles.running import free_port

HOST = "127.0.0.1"


def test_who_waits_at_the_door_of_a_worker_that_ended_is_let_in_by_the_next() -> None:
    """A connection that nobody has accepted yet survives its worker: the sockets are the supervisor's."""
    address = (HOST, free_port())
    ports = Ports([address], 1)
    worker = [each.dup() for each in ports.of(0)]
    client = socket.create_connection(address)
    for each in worker:
        each.close()
    (again,) = ports.of(0)
    again.setblocking(True)
    accepted, peer = again.accept()
    assert peer == client.getsockname()
    for each in (accepted, client, *ports.all):
        each.close()


def test_each_place_has_sockets_of_its_own_at_every_address() -> None:
    """The kernel shares the connections out among the workers, at the proxy's port and the redirect's."""
    addresses = [(HOST, free_port()), ("::1", free_port())]
    ports = Ports(addresses, 2)
    sockets = [each for place in range(2) for each in ports.of(place)]
    assert [each.getsockname()[:2] for each in sockets] == addresses * 2
    assert len({each.fileno() for each in sockets}) == 4
    for each in ports.all:
        each.close()


def test_a_place_that_is_given_up_gets_no_connections() -> None:
    """Where a worker keeps dying, the others are sent everybody; nobody is left to wait."""
    address = (HOST, free_port())
    ports = Ports([address], 2)
    first, (second,) = ports.of(0), ports.of(1)
    ports.give_up(0)
    assert ports.all == [second]
    clients = [socket.create_connection(address) for _ in range(8)]
    second.setblocking(True)
    accepted = [second.accept()[0] for _ in clients]
    assert ports.of(0) != first
    for each in (*clients, *accepted, *ports.all):
        each.close()


def test_sockets_that_are_there_already_are_taken_over() -> None:
    """With fewer workers after a change, those that are left take over all who wait."""
    address, other = (HOST, free_port()), (HOST, free_port())
    before = Ports([address, other], 3)
    held = [each for place in range(3) for each in before.of(place)]
    after = Ports([address], 2, held)
    assert [len(after.of(place)) for place in range(2)] == [2, 1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(other)
    for each in after.all:
        each.close()


def test_afree_port_can_be_claimed() -> None:
    """A port that was free is free afterwards: the workers take it themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    for _ in range(2):
        claim_ports([("127.0.0.1", port), ("::1", port)])


def test_a_taken_port_is_named_even_when_it_could_be_shared() -> None:
    """A second gateway cannot slip onto the first one's port and take half of the school's connections."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        with pytest.raises(StartError, match=rf":{port} \(Address already in use\); another program"):
            claim_ports([("127.0.0.1", port)])


def test_an_address_that_is_not_here_is_said_to_be_so() -> None:
    """A technician is not sent to look for another program where an address is wrong."""
    with pytest.raises(StartError, match="this machine has no such address"):
        claim_ports([("192.0.2.1", 8080)])
