"""profiles/ and categories.yaml as one Policy, or every problem in any of them.

What lives only here: which files make a policy, how they refer to each other, and the version that
names exactly these files. A file that cannot be understood is never skipped: whoever it was for
would fall to no rules, or to somebody else's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.config.alerts import ALERTS_FILE, Around, read_alerts
from appliance.config.categories import read_categories
from appliance.config.document import Document, parse
from appliance.config.incidents import INCIDENTS_FILE, read_incidents
from appliance.config.inherit import Family, Written, resolve
from appliance.config.problems import Problem, ProblemsError, unknown
from appliance.config.roles import ROLES_FILE, RolesFile, problems_of, roles_of
from appliance.config.sets import SchoolSet, read_set
from appliance.config.shapes import ProfileFile
from appliance.config.typed import read_bytes, validate, without_problems
from appliance.model.alerting import Alerting
from appliance.model.category import Category
from appliance.model.incident import Incidents
from appliance.model.inspect import SiteRule, Sites
from appliance.model.profile import Audience, Policy, Profile, ProfileSet
from appliance.model.role import Role

SET_FILE = "set.yaml"
_VERSION_DIGITS = 16
_LIKE_YAML = frozenset({".yaml", ".yml"})


def load_policy(profiles_dir: Path, categories_file: Path, *, groups: Collection[str] = ()) -> Policy:
    """Read all profiles and categories.

    `groups` are names that must be a profile of some set (those which client networks map to).
    Returns the Policy, whose version is a hash over the names and bytes of all files read.
    Raises ProblemsError with every problem of every file.
    """
    return _Loader(profiles_dir, categories_file).load(groups)


def blanks(policy: Policy) -> list[str]:
    """Return one sentence for each category that a profile does not rate: such a blank blocks."""
    return [
        f"{school.id}/{profile.id} has no rule for {category!r}: what is in no other category is blocked"
        for school in policy.sets.values()
        for profile in school.profiles.values()
        for category in policy.categories
        if category not in profile.rules
    ]


class _Loader:
    def __init__(self, profiles_dir: Path, categories_file: Path) -> None:
        self._folder = profiles_dir
        self._categories_file = categories_file
        self._problems: list[Problem] = []
        self._broken: set[tuple[str, str]] = set()
        self._hash = hashlib.sha256()

    def load(self, groups: Collection[str]) -> Policy:
        categories = self._categories()
        folders = sorted(self._folders())
        schools = {folder.name: self._school(folder) for folder in folders}
        written = [one for folder in folders for one in self._written(folder, schools[folder.name])]
        family = Family(written, categories, self._broken, self._problems)
        sets = {
            name: self._set(school, family, resolve(family, name), categories)
            for name, school in schools.items()
            if school is not None
        }
        self._check_groups(groups, sets)
        if self._problems:
            raise ProblemsError(self._problems)
        return Policy(f"sha256:{self._hash.hexdigest()[:_VERSION_DIGITS]}", sets, categories)

    def _categories(self) -> dict[str, Category]:
        document = self._document(self._categories_file, "categories.yaml")
        try:
            return read_categories(document) if document is not None else {}
        except ProblemsError as error:
            self._problems += error.problems
            return {}

    def _folders(self) -> Iterator[Path]:
        for entry in self._entries(self._folder):
            if entry.is_dir():
                yield entry
            elif entry.suffix in {".yaml", ".yml"}:
                self._note(entry, "a profile belongs in the folder of its set, such as profiles/westways/")
        if not self._problems and not any(entry.is_dir() for entry in self._entries(self._folder)):
            self._note(self._folder, "holds no set of profiles; a set is a folder with a set.yaml")

    def _entries(self, folder: Path) -> list[Path]:
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self._note(folder, f"cannot be read: {error.strerror or error}")
            return []
        # Editors leave their own files beside the ones they edit.
        return [entry for entry in entries if not entry.name.startswith(".") and not entry.name.endswith("~")]

    def _school(self, folder: Path) -> SchoolSet | None:
        document = self._document(folder / SET_FILE, f"{folder.name}/{SET_FILE}")
        try:
            return read_set(document, folder.name) if document is not None else None
        except ProblemsError as error:
            self._problems += error.problems
            return None

    def _written(self, folder: Path, school: SchoolSet | None) -> Iterator[Written]:
        for path in self._entries(folder):
            if path.suffix != ".yaml" and path.suffix.lower() in _LIKE_YAML:
                self._note(path, "is not read; name it .yaml")
            elif path.is_dir() and any(path.glob("*.yaml")):
                self._note(path, "is not read; a set is one folder, with its profiles right in it")
                continue
            if path.suffix != ".yaml" or path.name in (SET_FILE, ROLES_FILE, ALERTS_FILE, INCIDENTS_FILE):
                continue
            document = self._document(path, f"{folder.name}/{path.name}")
            known = len(self._problems)
            shape = self._profile(document, path.stem) if document is not None else None
            if document is None or len(self._problems) > known:
                self._broken.add((folder.name, path.stem))
            if document is None or shape is None:
                continue
            shown = f"{self._folder.name}/{folder.name}/{path.name}"
            yield Written(folder.name, document, shape, shown, school)

    def _profile(self, document: Document, stem: str) -> ProfileFile | None:
        shape: ProfileFile | None
        try:
            shape = validate(document, ProfileFile)
        except ProblemsError as error:
            self._problems += error.problems
            # The rest of the file is still compared with the other files, so that all is told at once.
            shape = without_problems(document, ProfileFile)
        if shape is not None and shape.profile != stem:
            message = f"the profile is named {shape.profile!r}, but its file {stem!r}"
            self._problems.append(document.problem(("profile",), message))
        return shape

    def _set(
        self,
        school: SchoolSet,
        family: Family,
        profiles: Mapping[str, Profile],
        categories: Mapping[str, Category],
    ) -> ProfileSet:
        shape = school.shape
        given = [one.shape.profile for one in family.members(shape.set) if not one.shape.abstract]
        if shape.strictest not in given and (shape.set, shape.strictest) not in self._broken:
            message = unknown("profile", shape.strictest, given)
            self._problems.append(school.document.problem(("strictest",), message))
        sites = {
            host: SiteRule(host, site.inspect, site.because, self._where(school, host))
            for host, site in shape.sites.items()
        }
        roles = self._roles(shape.set, given, categories)
        zone = ZoneInfo(shape.timezone)
        alerts = self._alerts(school, family, profiles)
        return ProfileSet(
            id=shape.set,
            title=shape.title,
            strictest=shape.strictest,
            profiles=profiles,
            sites=Sites(sites),
            roles=roles,
            zone=zone,
            alerts=alerts,
            incidents=self._incidents(shape.set, alerts),
        )

    def _roles(
        self, set_id: str, profiles: list[str], categories: Mapping[str, Category]
    ) -> Mapping[str, Role]:
        path = self._folder / set_id / ROLES_FILE
        if not path.exists():
            return {}  # nobody may open anything: overrides are not for every school
        document = self._document(path, f"{set_id}/{ROLES_FILE}")
        if document is None:
            return {}
        broken = [stem for of, stem in self._broken if of == set_id]
        known = [*profiles, *broken]
        try:
            shape = validate(document, RolesFile)
        except ProblemsError as error:
            self._problems += error.problems
            rest = without_problems(document, RolesFile)
            self._problems += problems_of(document, rest, known, categories) if rest is not None else ()
            return {}
        self._problems += problems_of(document, shape, known, categories)
        return roles_of(document, shape, f"{self._folder.name}/{set_id}/{ROLES_FILE}")

    def _alerts(self, school: SchoolSet, family: Family, profiles: Mapping[str, Profile]) -> Alerting:
        # A set may have none: it is asked for where alerts are to be delivered.
        name = school.shape.set
        path = self._folder / name / ALERTS_FILE
        document = self._document(path, f"{name}/{ALERTS_FILE}") if path.exists() else None
        if document is None:
            return Alerting()
        broken = {stem for folder, stem in self._broken if folder == name}
        ages = dict.fromkeys(broken, False)
        ages |= {profile.id: profile.audience is Audience.ADULT for profile in profiles.values()}
        shown = f"{self._folder.name}/{name}/{ALERTS_FILE}"
        try:
            return read_alerts(document, Around(family.categories, ages, school.timetables, shown))
        except ProblemsError as error:
            self._problems += error.problems
            return Alerting()

    def _incidents(self, name: str, alerts: Alerting) -> Incidents:
        # A set may have none: then nothing is proposed, and cases are worked on all the same.
        path = self._folder / name / INCIDENTS_FILE
        document = self._document(path, f"{name}/{INCIDENTS_FILE}") if path.exists() else None
        if document is None:
            return Incidents()
        if not alerts.rules:  # missing, or broken, which is told already
            if not (self._folder / name / ALERTS_FILE).exists():
                self._note(path, f"needs {ALERTS_FILE}, whose roles and themes it names")
            return Incidents()
        try:
            return read_incidents(document, alerts, f"{self._folder.name}/{name}/{INCIDENTS_FILE}")
        except ProblemsError as error:
            self._problems += error.problems
            return Incidents()

    def _where(self, school: SchoolSet, host: str) -> str:
        line = school.document.keys["sites", host].line
        return f"{self._folder.name}/{school.shape.set}/{SET_FILE}:{line}"

    def _check_groups(self, groups: Collection[str], sets: Mapping[str, ProfileSet]) -> None:
        known = {name for school in sets.values() for name in school.profiles}
        for group in groups:
            if group not in known:
                self._note(self._folder, unknown("group", group, known))

    def _document(self, path: Path, name: str) -> Document | None:
        try:
            raw = read_bytes(path)
            # Lengths in between, so that no two lists of files can look alike.
            self._hash.update(f"{len(name)}:{name}:{len(raw)}:".encode() + raw)
            return parse(raw, str(path))
        except ProblemsError as error:
            self._problems += error.problems
            return None

    def _note(self, path: Path, message: str) -> None:
        self._problems.append(Problem(str(path), 1, 1, message))
