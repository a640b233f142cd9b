"""The network interface by which the machines of a cluster reach this one.

`python -m distill.generation.interface` prints its name and its IPv4 address, for job scripts.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from distill.errors import DistillError

VARIABLE = "DISTILL_INTERFACE"
FAST = ("ib", "hsn")  # InfiniBand, Slingshot: before all others
VIRTUAL = ("docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "tun", "tap", "podman", "lxc", "usb")


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A network interface that is up, and its IPv4 address."""

    name: str
    address: str


def find_interface() -> Interface:
    """Return the interface that DISTILL_INTERFACE names, or the first usable one.

    Usable: up, with an IPv4 address, none of a container or a tunnel. InfiniBand and Slingshot come first, the
    loopback is the last resort, for a cluster on one machine. Raises DistillError where there is none.
    """
    return choose_interface(addresses(), os.environ.get(VARIABLE, ""))


def choose_interface(there: Mapping[str, str], wanted: str) -> Interface:
    """Choose among the interfaces that are up, name -> IPv4 address. Raises DistillError as `find_interface`."""
    if wanted and wanted not in there:
        named = ", ".join(f"{name} ({address})" for name, address in there.items()) or "none"
        raise DistillError(
            f"{VARIABLE}={wanted}: no such interface with an IPv4 address is up here; those that are: {named}"
        )
    usable = (
        [wanted] if wanted else sorted((name for name in there if not name.startswith(VIRTUAL)), key=_rank)
    )
    if not usable:
        raise DistillError(f"no network interface with an IPv4 address is up here: name one by {VARIABLE}")
    return Interface(name=usable[0], address=there[usable[0]])


def _rank(name: str) -> int:
    return 0 if name.startswith(FAST) else 2 if name == "lo" else 1


def addresses() -> dict[str, str]:
    """Return the IPv4 address of every interface that is up."""
    states = psutil.net_if_stats()
    found = {
        name: next((item.address for item in items if item.family == socket.AF_INET), "")
        for name, items in psutil.net_if_addrs().items()
    }
    return {name: address for name, address in found.items() if address and states[name].isup}


if __name__ == "__main__":
    try:
        found = find_interface()
    except DistillError as error:
        print(f"distill: error: {error}", file=sys.stderr)
        sys.exit(2)
    print(found.name, found.address)
