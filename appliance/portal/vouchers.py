"""Guests' vouchers on paper: the name, the password, until when, and a code that a phone's camera reads.

What lives only here: that sheet, and what stands in the code. It leads to the sign-in with the voucher
filled in; whoever holds the paper still has to press the button.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from appliance.model.secret import Secret
from appliance.portal.pages import TEMPLATES


@dataclass(frozen=True, slots=True)
class Voucher:
    """One guest's paper; moments are in words."""

    name: str
    password: Secret
    guest: str
    purpose: str
    sponsor: str
    starts: str
    until: str


def link(own_name: str, name: str, password: Secret) -> str:
    """Return the address that the code on the paper leads to."""
    query = urlencode({"way": "name", "name": name, "voucher": password.reveal()})
    return f"https://{own_name}/sign-in?{query}"


def voucher_sheet(school: str, own_name: str, vouchers: Iterable[Voucher]) -> str:
    """Return a page to be printed, one paper for each voucher."""
    papers = [
        {
            "voucher": each,
            "password": each.password.reveal(),
            "code": Markup(  # noqa: S704 - segno draws it, and puts no text into it
                segno.make(link(own_name, each.name, each.password), error="m").svg_inline(scale=4)
            ),
        }
        for each in vouchers
    ]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("vouchers.html").render(school=school, own_name=own_name, papers=papers)
