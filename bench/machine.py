"""What the benchmark needs of the machine, and what it says where something is missing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Program, the Debian package that has it, and what it is for.
PROGRAMS = [
    ("wrk", "wrk", "puts load on the service"),
    ("psql", "postgresql", "fills the database"),
    ("pgbench", "postgresql", "runs the same SQL without the service"),
]


class Missing(Exception):
    """A sentence for the person at the terminal."""


def find(program):
    """The path of a program, also where packages hide those of PostgreSQL."""
    own = os.environ.get("PG_BIN_DIR")
    if own and program in ("psql", "pgbench") and (Path(own) / program).is_file():
        return str(Path(own) / program)
    packaged = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{program}"),
        key=lambda path: -int(re.sub(r"\D", "", path.parts[-3]) or 0))
    return str(packaged[0]) if packaged else shutil.which(program)


def require(binary_is_given):
    """Sees to it that every program is there; as root on Debian by installing it."""
    missing = [(name, package, use) for name, package, use in PROGRAMS if not find(name)]
    packages = sorted({package for _, package, _ in missing})
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' '.join(packages)}", file=sys.stderr)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
                       check=False, **quiet)
        missing = [(name, package, use) for name, package, use in PROGRAMS if not find(name)]
    lines = [f"`{name}` is missing, which {use}; on Debian: apt-get install {package}"
             for name, package, use in missing]
    if not binary_is_given and not cargo():
        lines.append("`cargo` is missing, which builds the service; see https://rustup.rs, or name a "
                     "finished binary with --binary")
    if lines:
        raise Missing("\n".join(lines))


def cargo():
    home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "bin" / "cargo"
    return shutil.which("cargo") or (str(home) if home.is_file() else None)


def build(profile):
    """Builds the service and returns its binary."""
    command = [cargo(), "build", "--locked", "--profile", profile, "--bin", "ecrm", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise Missing("the service does not build")
    found = re.findall(r'"executable":"([^"]*/ecrm)"', built.stdout)
    return Path(found[-1])


def describe():
    """Cores, memory and load, since figures mean nothing without them."""
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*: (.*)", cpuinfo.read())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = model.group(1).strip() if model else os.uname().machine
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB, {version()}"


def version():
    said = subprocess.run([find("pgbench"), "--version"], stdout=subprocess.PIPE, text=True).stdout
    return "PostgreSQL " + re.search(r"\) (\S+)", said).group(1)


def load():
    return os.getloadavg()[0]


def revision():
    """The commit, with a + where the tree differs from it."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip()
    changed = git("status", "--porcelain", "--", "src", "migrations", "Cargo.toml", "Cargo.lock")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")
