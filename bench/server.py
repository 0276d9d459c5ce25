"""The service with its private PostgreSQL in a folder, and what both cost."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import machine

TICK = os.sysconf("SC_CLK_TCK")
DATABASE = "ecrm"


class Failed(Exception):
    """A run that is worth nothing, and why."""


class Server:
    """One `ecrm serve` and its data; started, measured and stopped from here."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = Path(folder)
        # As root PostgreSQL runs as another user, who must be able to enter.
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.process = None
        self.log = self.folder / "service.log"
        self.key = None
        self.port = free_port()

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("ECRM_", "DATABASE_", "PG", "LOG_FORMAT", "RUST_LOG"))
                or name == "PG_BIN_DIR"}
        kept.update(
            ECRM_DATA_DIR=str(self.folder), ECRM_BIND=f"127.0.0.1:{self.port}",
            ECRM_PUBLIC_URL=f"http://127.0.0.1:{self.port}",
            ECRM_RATE_LIMIT_PER_KEY="4000000000", ECRM_RATE_LIMIT_PER_IP="4000000000", **more)
        return kept

    def start(self, **more):
        """Starts the service and returns the seconds until it was ready."""
        begun = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--no-demo"], env=self.environment(**more), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_ready(self.process, self.port, begun, self.log)
        return time.monotonic() - begun

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def restart(self, **more):
        self.stop()
        return self.start(**more)

    def command(self, *words):
        """A command of the binary, beside the running service."""
        done = subprocess.run([self.binary, *words], env=self.environment(), cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed(f"ecrm {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def call(self, method, path, body=None, port=None):
        """One request; the status and the JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, body and body.encode(), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if not 200 <= answer.status < 300:
            raise Failed(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:600]}")
        return json.loads(text) if text else None

    # The database beside the service.

    def postmaster(self):
        """Process id, port and socket folder of PostgreSQL."""
        files = list(self.folder.glob("pg*/postmaster.pid"))
        if not files:
            raise Failed(f"no database in {self.folder}: PostgreSQL's user cannot enter it; name a "
                         "folder that everybody may enter with --data-dir")
        lines = files[0].read_text().split("\n")
        return int(lines[0]), lines[3].strip(), lines[4].strip()

    def pg_environment(self, user, **more):
        _, port, folder = self.postmaster()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "PGHOST": folder, "PGPORT": port, "PGUSER": user, "PGDATABASE": DATABASE, **more}

    def url(self, user):
        _, port, folder = self.postmaster()
        return f"postgresql:///{DATABASE}?host={folder}&port={port}&user={user}"

    def sql(self, *statements, file=None, **variables):
        """Runs statements as the owner, or a file; the text of the last answer."""
        words = [machine.find("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"]
        for name, value in variables.items():
            words += ["-v", f"{name}={value}"]
        for statement in statements:
            words += ["-c", statement]
        words += ["-f", str(file)] if file else []
        done = subprocess.run(words, env=self.pg_environment("postgres"), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def pg_log(self):
        return self.folder / "postgres.log"

    # What it costs.

    def cpu(self):
        """CPU seconds so far: of the service, and of PostgreSQL with all its processes."""
        postmaster, _, _ = self.postmaster()
        postgres = sum(fields_of(postmaster)[11:15])
        for pid in children_of(postmaster):
            postgres += sum(fields_of(pid)[11:13])
        return sum(fields_of(self.process.pid)[11:13]) / TICK, postgres / TICK

    def resident(self):
        """Resident memory of the service in MiB, now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def forget_log(self):
        os.truncate(self.log, 0)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def fields_of(pid):
    """The numbers of /proc/<pid>/stat from the third on; none for one that ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 50
    return [int(word) if word.lstrip("-").isdigit() else 0 for word in text.rsplit(")", 1)[1].split()]


def children_of(pid):
    everybody = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [other for other in everybody if fields_of(other)[1] == pid]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_ready(process, port, begun, log, patience=120):
    while time.monotonic() < begun + patience:
        if process.poll() is not None:
            raise Failed(f"the service does not start: {log.read_text()[-2000:]}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise Failed(f"the service was not ready within {patience} s: {log.read_text()[-2000:]}")


def beside(server):
    """Seconds until a second process is ready on the running database."""
    port = free_port()
    environment = server.environment(
        DATABASE_URL=server.url("ecrm_app"), DATABASE_MIGRATE_URL=server.url("postgres"), ECRM_DEV="1")
    environment["ECRM_BIND"] = f"127.0.0.1:{port}"
    log = server.folder / "second.log"
    with open(log, "wb") as out:
        begun = time.monotonic()
        process = subprocess.Popen([server.binary, "serve", "--no-demo"], env=environment, cwd=server.folder,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_ready(process, port, begun, log)
        return time.monotonic() - begun
    finally:
        process.terminate()
        process.wait(60)
