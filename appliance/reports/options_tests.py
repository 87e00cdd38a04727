"""The section `selftest` of the settings: what is asked to show that the filter works."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from appliance.config.typed import Section
from appliance.model.url import parse_typed


def _web(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("must be an address such as http://iwf.testfiltering.com/")
    parse_typed(text)  # UrlRefusedError, which says why, for what no browser would fetch
    return text


class Probe(Section):
    """One thing that must be so for every group: an address, or a category."""

    title: str = Field(min_length=1, max_length=120, description="What a report calls it.")
    address: Annotated[str, AfterValidator(_web)] | None = Field(
        None, description="A harmless page made for testing filters; never a real entry of a statutory list."
    )
    category: str = Field("", description="Instead of an address: a category of blocklists/categories.yaml.")
    expect: Literal["statutory", "blocked", "open"] = Field(
        "blocked", description="statutory: blocked by a statutory list, and by nothing less."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.address is None) == (not self.category):
            raise ValueError("needs an `address` or a `category`, and not both")
        if self.category and self.expect == "statutory":
            raise ValueError("a statutory list is tested by an `address` that stands on it")
        return self


class SelfTestSettings(Section):
    """What `appliance selftest run` asks for each group, and of the gateway that runs."""

    probes: Annotated[tuple[Probe, ...], Field(min_length=1, max_length=50)] = Field(
        (
            Probe(
                title="Child sexual abuse images: test page on the IWF list",
                address="http://iwf.testfiltering.com/",
                expect="statutory",
            ),
            Probe(
                title="Terrorist content: test page on the police-assessed list",
                address="http://ctiru.testfiltering.com/",
                expect="statutory",
            ),
            Probe(title="Adult content", category="pornography"),
            Probe(
                title="Help for children: Childline", address="https://www.childline.org.uk/", expect="open"
            ),
        ),
        description="DFE-V5: at least illegal images, terrorist content and adult content.",
    )
