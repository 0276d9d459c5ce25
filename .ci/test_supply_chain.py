"""Every kind of violation, planted one at a time, is found: `python3 .ci/test_supply_chain.py`."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import tomllib
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import crates


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, str(pathlib.Path(__file__).parent / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


check = load("supply-chain")
POLICY = tomllib.loads((crates.ROOT / "deny.toml").read_text())
REGISTRY = "registry+https://registry.example.com"


def package(name, version, licence="MIT", source=REGISTRY, checksum="00"):
    return {
        "name": name, "version": version, "license": licence, "source": source,
        "checksum": checksum, "dependencies": [],
    }


def faults(*added, by="ecrm", policy=POLICY, features=None):
    """Faults of a tree in which `by` needs the added packages."""
    tree = [package("ecrm", "0.1.0", source=None, checksum=None), *added]
    packages = {(each["name"], each["version"]): each for each in tree}
    needs = {crate: set() for crate in packages}
    user = next(crate for crate in packages if crate[0] == by)
    needs[user] = {(each["name"], each["version"]) for each in added} - {user}
    return list(check.faults(policy, packages, needs, features or {}))


class Violations(unittest.TestCase):
    def found(self, text, *added, **options):
        found = faults(*added, **options)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_an_ordinary_crate_is_fine(self):
        self.assertEqual(faults(package("serde", "1.0.0", "MIT OR Apache-2.0")), [])

    def test_a_copyleft_licence_is_found(self):
        self.found("`GPL-3.0-only`", package("readline", "1.0.0", "GPL-3.0-only"))
        self.found("`MIT AND MPL-2.0`", package("both", "1.0.0", "MIT AND MPL-2.0"))

    def test_a_missing_licence_is_found(self):
        self.found("names no licence", package("nameless", "1.0.0", None))

    def test_a_choice_of_licences_needs_one_that_is_allowed(self):
        for licence in ["MIT/GPL-3.0", "(GPL-3.0 OR MIT) AND ISC", "MIT OR LGPL-2.1-or-later"]:
            self.assertEqual(faults(package("choice", "1.0.0", licence)), [], licence)

    def test_a_licence_that_one_crate_may_have_is_not_everybodys(self):
        self.assertEqual(faults(package("pq-src", "0.3.0", "PostgreSQL")), [])
        self.found("`PostgreSQL`", package("other", "0.3.0", "PostgreSQL"))

    def test_a_git_and_a_path_dependency_are_found(self):
        git = "git+https://git.example.com/fork#0123"
        self.found("not come from the registry", package("fork", "1.0.0", source=git, checksum=None))
        self.found("a path", package("local", "1.0.0", source=None, checksum=None))

    def test_a_second_registry_is_found(self):
        other = package("other", "1.0.0", source="registry+https://other.example.com")
        self.found("2 registries", package("serde", "1.0.0"), other)

    def test_a_crate_without_checksum_is_found(self):
        self.found("not come from the registry", package("serde", "1.0.0", checksum=None))

    def test_a_banned_crate_is_found(self):
        for name in ["ring", "rsa", "openssl", "native-tls", "serde_yml", "sha2"]:
            self.found(f"{name} 9.9.9 is banned", package(name, "9.9.9"))

    def test_versions_below_a_floor_are_found(self):
        for name, below, at in [
            ("h2", "0.3.27", "0.4.0"), ("diesel", "2.3.9", "2.3.10"), ("ammonia", "4.1.3", "4.1.4"),
        ]:
            self.found(f"{name} {below} is banned", package(name, below))
            self.assertEqual(faults(package(name, at)), [])

    def test_a_crate_for_one_user_is_found_with_another(self):
        self.found("used by ecrm", package("blake2", "0.11.0"))
        argon2 = package("argon2", "0.6.0")
        self.assertEqual(faults(argon2, package("blake2", "0.11.0"), by="argon2"), [])

    def test_two_versions_of_a_crypto_crate_are_found(self):
        pair = package("rustls", "0.23.46"), package("rustls", "0.24.0")
        self.found("rustls is there in 2 versions", *pair)

    def test_a_forbidden_feature_is_found(self):
        rustls = package("rustls", "0.23.46")
        self.found("feature `ring`", rustls, features={("rustls", "0.23.46"): {"std", "ring"}})

    def test_a_wildcard_of_our_own_is_found(self):
        ours = package("ecrm", "0.1.0", source=None, checksum=None)
        ours["dependencies"] = [{"name": "serde", "req": "*"}]
        self.found("any version of serde", ours)

    def test_a_rule_that_would_not_be_checked_is_found(self):
        policy = {**POLICY, "licenses": {**POLICY["licenses"], "clarify": []}}
        self.found("does not know [licenses] clarify", policy=policy)

    def test_an_advisory_is_found_unless_it_is_patched_withdrawn_or_ignored(self):
        text = '```toml\n[advisory]\nid = "RUSTSEC-2026-9999"\n%s\n[versions]\npatched = [">= 1.2, < 2", "^2.1"]\n```\n'
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "crates", "thing", "RUSTSEC-2026-9999.md")
            file.parent.mkdir(parents=True)
            for version, note, count in [
                ("1.1.9", "", 1), ("1.2.0", "", 0), ("2.0.5", "", 1), ("2.1.0", "", 0),
                ("1.1.9", 'withdrawn = "2026-01-01"', 0),
            ]:
                file.write_text(text % note)
                found = list(check.advisories(POLICY, folder, {("thing", version)}))
                self.assertEqual(len(found), count, (version, note, found))


class Versions(unittest.TestCase):
    def test_requirements_mean_what_cargo_means(self):
        for version, requirement, expected in [
            ("1.2.3", "1", True), ("2.0.0", "1", False), ("0.2.9", "0.2", True), ("0.3.0", "^0.2", False),
            ("0.0.4", "^0.0.3", False), ("1.3.0", "~1.2", False), ("1.2.9", "~1.2", True),
            ("1.0.0-rc.1", "<1", True), ("1.0.0", "<1", False), ("1.0.0-rc.10", "<1.0.0-rc.9", False),
            ("0.3.14+libpq-18.6", ">=0.3.14", True), ("1.2.3", "=1.2", True), ("1.2.3", "*", True),
        ]:
            self.assertEqual(crates.satisfies(version, requirement), expected, (version, requirement))


if __name__ == "__main__":
    unittest.main()
