"""What cargo knows about the dependency tree, without a network: `.ci/supply-chain` and `.ci/sbom`."""

import json
import pathlib
import re
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def cargo(*arguments):
    """The output of a cargo command that neither fetches nor changes anything."""
    command = ["cargo", *arguments, "--locked", "--offline"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr}\n(`cargo fetch --locked` first?)")
    return done.stdout


def packages():
    """Facts of every package in Cargo.lock, by (name, version), with its checksum."""
    facts = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in lock}
    return {
        (each["name"], each["version"]): {**each, "checksum": checksums[each["name"], each["version"]]}
        for each in facts
    }


def tree(edges, target=None):
    """What is compiled: who needs whom, and with which features, by (name, version).

    `cargo metadata` also lists what an optional dependency could bring in; `cargo tree` does not.
    """
    options = ["--target", target] if target else []
    lines = cargo("tree", "--all-features", "-e", edges, "--prefix", "depth", "-f", "{p}|{f}", *options)
    needs, features, path = {}, {}, []
    for line in lines.splitlines():
        depth, name, version, enabled = re.match(r"(\d+)(\S+) v(\S+)[^|]*\|([^ ]*)", line).groups()
        crate = (name, version)
        del path[int(depth):]
        if path:
            needs[path[-1]].add(crate)
        needs.setdefault(crate, set())
        features.setdefault(crate, set()).update(filter(None, enabled.split(",")))
        path.append(crate)
    return needs, features


def numbers(version):
    """A version as something to compare; a pre-release comes before its release."""
    core, _, pre = version.split("+")[0].partition("-")
    parts = [int(part) for part in core.split(".")]
    named = [(part.isalpha(), int(part) if part.isdigit() else 0, part) for part in pre.split(".")]
    return (*parts, *[0] * (3 - len(parts))), not pre, named


def satisfies(version, requirement):
    """Whether a version meets a requirement as Cargo.toml writes it, such as `>=1.2, <2`."""
    return all(_meets(version, one.strip()) for one in requirement.split(",") if one.strip())


def _meets(version, one):
    operator, wanted = re.match(r"(<=|>=|<|>|=|\^|~)?\s*(.*)", one).groups()
    if wanted == "*":
        return True
    have, want = numbers(version), numbers(wanted)
    simple = {"<": have < want, "<=": have <= want, ">": have > want, ">=": have >= want}
    if operator in simple:
        return simple[operator]
    given = len(wanted.split("-")[0].split("."))
    if operator == "=":
        return have[0][:given] == want[0][:given] and (given < 3 or have == want)
    # `^` and `~` end where the first part that may not change does.
    first = next((at for at, part in enumerate(want[0][:given]) if part), given - 1)
    fixed = 1 + (first if operator in ("^", None) else min(1, given - 1))
    return have >= want and have[0][:fixed] == want[0][:fixed]


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be met with allowed licences alone; `/` is the old `OR`."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def one():
        word = words.pop(0)
        if word == "(":
            value = either()
            words.pop(0)
            return value
        if words[:1] == ["WITH"]:
            word = f"{word} {words.pop(0)} {words.pop(0)}"
        return word in allowed

    def both():
        value = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            value = one() and value
        return value

    def either():
        value = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            value = both() or value
        return value

    return either()
