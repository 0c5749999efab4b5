"""`make audit`: known vulnerabilities of what is installed, its licences, and a CycloneDX list of it.

An audit that could not ask anybody says "not run", never "clean": before anything else it has to report a package that is known to be bad.
Exit codes: 0 clean, 1 findings, 3 not run.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

#: Known to be vulnerable for over ten years; an audit that does not say so has not looked.
CANARY = "jinja2==2.4.1"

#: Licences that a program of ours may be shipped with; anything else needs a look by a person.
ACCEPTED = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|CC0|Zlib|public domain|any-OSI|LGPL)", re.IGNORECASE)


def vulnerable(auditor: str, requirements: Iterable[str]) -> list[str] | None:
    """What an auditor reports for pinned requirements, as "name version id"; None where it did not get to look at one of them."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements))
        file.flush()
        command = [auditor, "--requirement", file.name, "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    if any("skip_reason" in dependency for dependency in found):
        return None
    return [f"{d['name']} {d['version']} {v['id']}" for d in found for v in d.get("vulns", [])]


def installed(python: Path) -> list[str]:
    """Pinned requirements of everything in an environment, ourselves left out."""
    code = "import importlib.metadata as m; print('\\n'.join(sorted(f'{d.name}=={d.version}' for d in m.distributions() if d.name != 'jarvis-trading')))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def unclear_licences(packages: Iterable[importlib.metadata.Distribution]) -> list[str]:
    """Packages whose licence is none of those that need no look."""
    found = []
    for package in packages:
        told = package.metadata
        said = " ".join([told.get("License-Expression") or "", told.get("License") or "", *told.get_all("Classifier", [])])
        if not ACCEPTED.search(said):
            found.append(f"{package.name} {package.version}: {(told.get('License-Expression') or told.get('License') or 'none stated')[:60]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="the interpreter of the environment to look at")
    parser.add_argument("--auditor", default=str(Path(sys.executable).with_name("pip-audit")))
    parser.add_argument("--lister", default=str(Path(sys.executable).with_name("cyclonedx-py")))
    parser.add_argument("--sbom", type=Path, default=Path("dist/sbom.cdx.json"))
    options = parser.parse_args()
    status = 0

    options.sbom.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([options.lister, "environment", "--output-reproducible", "--of", "JSON", "-o", str(options.sbom), str(options.python)], check=True)
    print(f"SBOM: {options.sbom}, {len(json.loads(options.sbom.read_text())['components'])} components")

    unclear = unclear_licences(importlib.metadata.distributions())
    print(f"licences: {'all accepted' if not unclear else 'these need a look:'}", *unclear, sep="\n  " if unclear else "")
    status = 1 if unclear else 0

    canary = vulnerable(options.auditor, [CANARY])
    if not canary:
        print(f"audit: not run: the advisories cannot be reached ({CANARY} was not reported, and it is known to be vulnerable)")
        return 3
    found = vulnerable(options.auditor, installed(options.python))
    if found is None:
        print("audit: not run: some packages could not be looked up")
        return 3
    print(f"audit: {'no known vulnerabilities' if not found else 'vulnerable:'}", *found, sep="\n  ")
    return 1 if found else status


if __name__ == "__main__":
    sys.exit(main())
