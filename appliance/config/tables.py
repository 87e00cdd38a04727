"""The tables of the README, made from the profiles, so that page and policy cannot part.

What lives only here: how a profile is shown as a table. `python -m appliance.config.tables` writes the
tables into README.md between their markers; a test fails when they are not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.config.profiles import load_policy
from appliance.model.category import Category
from appliance.model.inspect import Inspect
from appliance.model.profile import Policy, Profile, ProfileSet, Rating

_SIGNS = {
    Rating.ACCEPTABLE: "yes",
    Rating.CERTAIN_USERS: "named",
    Rating.NOMINATED_USERS: "named",
    Rating.UNACCEPTABLE: "no",
    Rating.ILLEGAL: "**never**",
}
_REPOSITORY = Path(__file__).resolve().parents[2]


def profile_table(policy: Policy, set_id: str) -> str:
    """Return a set's profiles as a Markdown table: one row a category, one column a profile."""
    chosen = policy.sets[set_id]
    profiles = _in_order(chosen)
    head = ["Category", *(profile.title for profile in profiles)]
    rows = [
        [category.title, *(_cell(profile, category) for profile in profiles)]
        for category in policy.categories.values()
    ]
    rows.append(["*What no list names*", *("yes" if profile.allow_unknown else "no" for profile in profiles)])
    lines = [head, ["---", *(":-:" for _ in profiles)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(text: str, policy: Policy) -> str:
    """Return `text` (a README) with every set's table between its markers made anew."""
    for set_id in policy.sets:
        begin, end = f"<!-- table {set_id} -->", f"<!-- end of table {set_id} -->"
        before, found, after = text.partition(begin)
        if found and end in after:
            text = f"{before}{begin}\n{profile_table(policy, set_id)}\n{end}{after.partition(end)[2]}"
    return text


def _in_order(chosen: ProfileSet) -> list[Profile]:
    # Youngest first, then adults; within an age by name (ks2 before ks3).
    ages = {"early": 0, "ks2": 1, "teen": 2, "adult": 3}
    adults = {"staff": 0, "guest": 1}
    return sorted(chosen.profiles.values(), key=lambda p: (ages[p.audience.value], adults.get(p.id, 0), p.id))


def _cell(profile: Profile, category: Category) -> str:
    sign = _sign(profile, category.id)
    unread = _unread(profile, category) and sign not in ("no", _SIGNS[Rating.ILLEGAL])
    return f"{sign} °" if unread else sign


def _sign(profile: Profile, category: str) -> str:
    rule = profile.rules.get(category)
    if rule is None:
        return "no"
    if rule.timetable is not None:
        return f"at {rule.timetable.name}"
    sign = _SIGNS.get(rule.rating, "no")
    return f"{sign}, recorded" if rule.watch and sign == "yes" else sign


def _unread(profile: Profile, category: Category) -> bool:
    rule = profile.rules.get(category.id)
    return ((rule and rule.inspect) or category.inspect or profile.inspect) is Inspect.NEVER


def main() -> None:
    """Write the tables into README.md."""
    policy = load_policy(_REPOSITORY / "profiles", _REPOSITORY / "blocklists" / "categories.yaml")
    readme = _REPOSITORY / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = with_tables(before, policy)
    readme.write_text(after, encoding="utf-8")
    sys.stderr.write(
        "README.md: the tables were made anew\n" if after != before else "README.md: nothing to do\n"
    )


if __name__ == "__main__":
    main()
