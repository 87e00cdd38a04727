"""The pages that pupils, staff and guests see when the gateway answers instead of the site.

What lives only here: the templates, and what of a decision each reader may see. A page runs no
script, sets no cookie and fetches nothing; a person's name, a device's address, a search term or a
query never reach it, and on a floor hit not even the host does (IWF-4).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from markupsafe import Markup, escape

from appliance.gateway import answers
from appliance.gateway.answers import Answer
from appliance.gateway.wording import (
    POLICY,
    REFUSED,
    Line,
    about,
    fill,
    for_pupils,
    group,
    is_floor,
    is_statutory,
    load_wording,
    shown,
    shown_host,
)
from appliance.model.category import Category
from appliance.model.decision import Action, Decision, Reason
from appliance.model.profile import Audience
from appliance.model.request import Wants

__all__ = ["Answer", "Context", "Pages"]

TEMPLATES = Path(__file__).with_name("templates")

MAX_MESSAGE = 500
"""Longest note a person may add to a review request, in characters."""

REVIEWABLE = (POLICY | REFUSED) - {Reason.MALFORMED}
"""Reasons on which somebody in the school can change the answer, unless the floor decided."""


@dataclass(frozen=True, slots=True)
class Context:
    """All that a page may know.

    `host` is what was blocked; `reference` is what a pupil reads out to staff ("7KQ4-M2XD").
    `review_path` is where "I think this is a mistake" posts `reference`, `token` and `message` (a
    path of the same origin); while it is empty no form is shown. `sign_in_url` is shown to who must sign in.
    """

    decision: Decision
    category: Category | None
    audience: Audience
    wants: Wants
    host: str
    reference: str
    school: str
    profile_title: str
    review_path: str = ""
    review_token: str = ""
    sign_in_url: str = ""


class Pages:
    """Renders every page; reads its templates once and never raises for hostile values.

    `folder` holds the templates, the style, the pictures and `wording.toml`. Building it renders each
    page once, and raises `OSError`, `ValueError`, `TypeError` or a Jinja2 error when the folder is not
    whole: then the gateway does not start, which is better than failing the first blocked child.
    """

    def __init__(self, folder: Path = TEMPLATES) -> None:
        self._wording = load_wording(folder / "wording.toml")
        style = (folder / "style.css").read_text(encoding="utf-8")
        env = _environment(folder, style)
        self._blocked = env.get_template("blocked.html")
        self._received = env.get_template("received.html")
        self._notice = env.get_template("notice.html")
        self._headers = answers.page_headers(style)
        # A name that nobody outside can guess, so that no hostile text can pose as a slot.
        mark = secrets.token_hex(6)
        self._slots = {name: f"{name}{mark}" for name in ("host", "reference", "token")}
        self._split = re.compile(f"({'|'.join(self._slots.values())})")
        # Pages differ by a few dozen decisions and by three values; the former are drawn once.
        # A cached page holds slots and no host, so the cache remembers nobody's browsing.
        self._frame = lru_cache(maxsize=256)(self._draw)
        self._rehearse()

    def blocked(self, context: Context) -> Answer:
        """Return the refusal that fits what the browser wanted: a page, or something small."""
        if context.wants is not Wants.PAGE:
            return answers.small(context.decision.reason, context.wants, context.reference)
        host = "" if is_statutory(context.decision, context.category) else shown_host(context.host)
        values: dict[str, str] = {
            self._slots["host"]: escape(host),
            self._slots["reference"]: answers.clean_reference(context.reference),
            self._slots["token"]: escape(shown(context.review_token)),
        }
        parts = self._frame(
            replace(
                context,
                decision=replace(context.decision, entry=""),  # differs from site to site, and is not shown
                host=self._slots["host"] if host else "",
                reference=self._slots["reference"],
                review_token=self._slots["token"],
            )
        )
        html = "".join([values.get(part, part) for part in parts])
        return answers.page(answers.status(context.decision.reason), self._headers, html)

    def review_received(self, audience: Audience, school: str, reference: str) -> Answer:
        """Return the page that thanks for a review request."""
        return self._plain_page(
            self._received, audience, school, reference=answers.clean_reference(reference)
        )

    def notice(
        self, *, school: str, audience: Audience, profile_title: str, group: str, source: str, ca_path: str
    ) -> Answer:
        """Return the page of the gateway's own name: you are filtered, monitored, and seen as (DFE-M2).

        `source` says how the group is known; `ca_path` is where the school's certificate is to be had.
        """
        return self._plain_page(
            self._notice,
            audience,
            school,
            profile=shown(profile_title),
            group=shown(group),
            source=shown(source),
            ca_path=answers.own_path(ca_path),
        )

    def _draw(self, context: Context) -> tuple[str, ...]:
        """Render the page of one decision, cut at its slots."""
        decision, audience, category = context.decision, context.audience, context.category
        floor = is_floor(decision, category)
        words = self._wording.choose(audience, decision, category)
        values = {
            "about": shown(about(audience, category)),
            "because": shown(for_pupils(decision.because)),
            "school": shown(context.school),
        }
        reviewable = decision.reason in REVIEWABLE and not floor
        html = self._blocked.render(
            self._shared(audience, context.school),
            words=words,
            lead=fill(words.lead, **values),
            reasons=fill((words.why, words.rule), **values),
            after=fill(words.after, **values),
            lines=self._wording.help(audience, decision, category),
            supportive=self._wording.supportive(decision) and not floor,
            blamable=floor or group(decision.reason) in ("policy", "refused"),
            about="" if floor else values["about"],
            host=context.host,
            facts=self._facts(context) if audience is Audience.ADULT and not floor else (),
            reference=context.reference,
            review_path=answers.own_path(context.review_path) if reviewable else "",
            review_token=context.review_token,
            sign_in_url=context.sign_in_url if decision.reason is Reason.SIGNED_OUT else "",
        )
        return tuple(self._split.split(html))

    def _facts(self, context: Context) -> list[tuple[str, str]]:
        """Return what staff see of the decision, in the order in which they ask for it."""
        decision, labels = context.decision, self._wording.labels[Audience.ADULT]
        facts = (
            ("about_label", context.category.title if context.category else ""),
            ("because_label", decision.because),
            ("profile_label", context.profile_title),
            ("rule_label", decision.rule),
            ("list_label", " ".join(filter(None, (decision.list, decision.list_version)))),
            ("policy_label", decision.policy_version),
            ("code_label", decision.reason.value),
        )
        return [(labels[name], shown(text)) for name, text in facts if text]

    def _plain_page(self, template: Template, audience: Audience, school: str, **values: str) -> Answer:
        lines: list[Line] = [] if audience is Audience.ADULT else [self._wording.lines["childline"]]
        html = template.render(self._shared(audience, school), lines=lines, **values)
        return answers.page(200, self._headers, html)

    def _shared(self, audience: Audience, school: str) -> dict[str, object]:
        """Return what every page shows around its own matter."""
        labels, school = self._wording.labels[audience], shown(school)
        return {
            "audience": audience.value,
            "labels": labels,
            "school": school,
            "footer": fill((labels["footer"],), school=school or "The school")[0],
        }

    def _rehearse(self) -> None:
        """Render every kind of page once, so that a gap in the folder shows now."""
        wording, asked = self._wording, {"host": "-", "reference": "-", "school": "-", "profile_title": "-"}
        cases = [
            *((reason, "") for reason in Reason),
            *((Reason.FLOOR, category) for category in wording.floors),
            *((Reason.UNACCEPTABLE, category) for category in (*wording.support, *wording.help_for)),
        ]
        try:
            for audience in Audience:
                for reason, category in cases:
                    decision = Decision(Action.BLOCK, reason, "-", "-", category)
                    self._draw(Context(decision, None, audience, Wants.PAGE, **asked, review_path="/"))
                self._plain_page(self._received, audience, "-", reference="-")
                self._plain_page(self._notice, audience, "-", profile="-", group="-", source="-", ca_path="/")
        except (LookupError, StopIteration, TemplateError) as error:
            raise ValueError(f"the pages' words or templates are not whole: {error!r}") from error


def _environment(folder: Path, style: str) -> Environment:
    """Return a Jinja2 environment that escapes everything but our own style and drawings."""
    env = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals.update(
        style=Markup(style),  # noqa: S704 - a file of the source tree
        pictures={
            file.stem: Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - the same
            for file in sorted((folder / "pictures").glob("*.svg"))
        },
        max_message=MAX_MESSAGE,
    )
    return env
