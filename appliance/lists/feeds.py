"""How a list is fetched and what it must look like before it is used: the shapes in the catalogue.

What lives only here: the keys of `downloads:` entries and of the statutory lists' feeds, with their
defaults. A secret is named here, never written: `credentials.py` finds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from appliance.config.typed import Section
from appliance.lists.formats import Format

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Categories = Annotated[tuple[Id, ...], Field(description="Category ids of blocklists/categories.yaml")]


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must begin with https:// and name a server; a list is never fetched in the clear")
    if parts.username or parts.password:
        raise ValueError("must hold no user or password; use `user` and `password`")
    return text


def _web(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an address of the web (http or https)")
    return text


HttpsUrl = Annotated[str, AfterValidator(_https)]
WebUrl = Annotated[str, AfterValidator(_web)]
SecretName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="Name of a systemd credential, or of a file in STATE/secrets",
    ),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Fetching(Section):
    """Where a feed comes from, how it is proved genuine, and how much of it is borne."""

    url: HttpsUrl | None = Field(default=None, description="Where the list is fetched from")
    ca_file: Path | None = Field(
        default=None, description="PEM file of the one authority to trust here (an intranet mirror's)"
    )
    user: str = Field(default="", description="User name, where the supplier asks for one")
    password: SecretName | None = Field(default=None, description="Secret that holds the password")
    token: SecretName | None = Field(default=None, description="Secret that holds a bearer token")
    sha256: Sha256 | None = Field(default=None, description="SHA-256 of the file, where it never changes")
    sha256_url: HttpsUrl | None = Field(default=None, description="Where its SHA-256 is published")
    minisign_key: str | None = Field(default=None, description="The publisher's minisign public key")
    minisign_url: HttpsUrl | None = Field(
        default=None, description="Where the signature is; the url with .minisig by default"
    )
    refresh_hours: float = Field(
        default=24.0, ge=0.25, le=24 * 31, description="Time from one fetch to the next"
    )
    jitter_minutes: float = Field(
        default=30.0, ge=0, le=24 * 60, description="Up to so much later, so that not all schools ask at once"
    )
    max_megabytes: int = Field(default=200, ge=1, le=2048, description="A larger download is broken off")
    max_minutes: float = Field(default=30.0, gt=0, le=600, description="A slower download is broken off")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.password and self.token:
            raise ValueError("give a password or a token, not both")
        if bool(self.user) is not bool(self.password):
            raise ValueError("`user` and `password` go together")
        return self


class Demands(Section):
    """What new data must look like; what does not leaves the old in force."""

    minimum_entries: int = Field(default=1, ge=1, description="Fewer usable entries are refused")
    max_shrink_percent: float = Field(default=30.0, ge=0, le=100, description="Largest loss of entries")
    max_growth_percent: float = Field(default=200.0, ge=0, description="Largest gain of entries")


class Download(Fetching, Demands):
    """A list, or a whole collection, that `appliance lists update` fetches."""

    id: Id
    title: Title
    tree: Id | None = Field(default=None, description="The collection (under `trees`) that this is")
    categories: Categories = ()
    use: Literal["category", "block", "allow"] = "category"
    format: Format = Format.AUTO
    column: str = Field(
        default="", description="Of a csv file: the name or number (from 1) of the column with the addresses"
    )
    means_suffixes: bool = False
    licence: str = Field(description="Under which licence the list may be used")
    must_list: tuple[str, ...] = Field(
        default=(), description="Canaries: the new data is refused where it does not name all of them"
    )
    must_not_list: tuple[str, ...] = Field(
        default=(), description="The new data is refused where it names one of them, beside `keep_open`"
    )
    may_list: tuple[str, ...] = Field(
        default=(),
        description="Help lines and `keep_open` sites that this list is known to name; help stays open",
    )

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.url is None:
            raise ValueError("a download needs a `url`")
        if self.tree is None and self.use == "category" and not self.categories:
            raise ValueError("a list with use 'category' needs at least one category, or a `tree`")
        if self.tree is not None and (self.categories or self.use != "category"):
            raise ValueError("a collection takes its categories from `trees`")
        return self


class Container(Section):
    """In what a supplied statutory list is locked up. It is opened in memory only."""

    kind: Literal["age", "zip", "gpg"]
    secret: SecretName


class Proof(Section):
    """How an upstream provider's filter is proved: what its answer to a canary looks like."""

    canaries: Annotated[tuple[WebUrl, ...], Field(min_length=1)] = Field(
        description="Test pages of the provider that its filter blocks; never real entries"
    )
    control: WebUrl = Field(description="A page that must be reachable, else the line is merely down")
    status: Annotated[tuple[int, ...], Field(min_length=1)] = Field(
        default=(403, 451), description="Statuses of the provider's block page"
    )
    text: str = Field(min_length=4, description="Words that stand on the provider's block page")


class FloorEntry(Fetching, Demands):
    """One statutory list, and who holds it.

    `development` is a synthetic list of reserved names: not compliance (DFE-F3). `supplied` is a feed
    that the school is licensed for, from `url` or `file`. `upstream` is a provider's filter on the
    school's line, which canaries prove.
    """

    id: Id
    title: Title
    category: Id
    mode: Literal["development", "supplied", "upstream"]
    source: str | None = Field(default=None, description="development: a file below the catalogue's folder")
    file: Path | None = Field(default=None, description="supplied: an operator's file, best encrypted")
    container: Container | None = None
    proof: Proof | None = None

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        given = {name for name in ("source", "url", "file", "container", "proof") if getattr(self, name)}
        allowed = {
            "development": [{"source"}],
            "supplied": [{"url"}, {"file"}, {"url", "container"}, {"file", "container"}],
            "upstream": [{"proof"}],
        }
        if given not in allowed[self.mode]:
            raise ValueError(
                "mode development takes `source`; supplied takes `url` or `file`, and perhaps `container`; "
                "upstream takes `proof`"
            )
        return self
