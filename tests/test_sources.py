from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance import sources
from appliance.settings import load_settings
from tests.doubles.school import configuration


def test_a_school_that_names_nobody_asks_nobody(tmp_path: Path) -> None:
    """Without a directory and a single sign-on, accounts are kept here and nowhere else."""
    settings = load_settings(configuration(tmp_path)).settings
    assert sources.directory(settings) is None
    assert sources.single(settings) is None
    assert sources.rechecks(settings) == []


@pytest.mark.slow
def test_no_worker_carries_what_asks_others() -> None:
    """Memory: what speaks to directories and providers is loaded by the processes that do."""
    code = "import sys, appliance.loaded; print({'pyrad', 'authlib', 'joserfc', 'ldap3'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "set()"
