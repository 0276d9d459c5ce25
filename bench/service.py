"""The service under test: the real binary on a private Postgres of its own, filled through the API."""

import concurrent.futures
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
UNLIMITED = "1000000000"


class Service:
    """A running service and the Postgres below it."""

    def __init__(self, binary):
        self.binary = str(binary)
        # Short and open to the user that Postgres runs as when root starts it.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ecrm-bench-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")},
            "ECRM_DATA_DIR": str(self.folder / "data"), "ECRM_BIND": f"127.0.0.1:{self.port}",
            "ECRM_PUBLIC_URL": self.base, "RUST_LOG": "warn", "ECRM_RATE_LIMIT_PER_KEY": UNLIMITED,
            "ECRM_RATE_LIMIT_PER_IP": UNLIMITED, "ECRM_BODY_LIMIT_BYTES": "8388608",
        }
        self.process = None
        self.start()
        self.command("workspace", "create", "bench")
        self.key = self.command("key", "create", "--workspace", "bench").strip()

    def command(self, *words):
        done = subprocess.run([self.binary, *words], env=self.environment, cwd=self.folder,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"ecrm {' '.join(words)}: {done.stderr}")
        return done.stdout

    def start(self):
        """Starts the service; returns the seconds until it was ready."""
        log = open(self.folder / "service.log", "ab")
        began = time.monotonic()
        self.process = subprocess.Popen([self.binary, "serve", "--no-demo"], env=self.environment,
                                        cwd=self.folder, stdout=log, stderr=log)
        while time.monotonic() - began < 60:
            try:
                urllib.request.urlopen(f"{self.base}/health/ready", timeout=2).read()
                return time.monotonic() - began
            except OSError:
                time.sleep(0.005)
        raise SystemExit(f"the service did not become ready: see {log.name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restarts(self, times):
        """Seconds from start to ready over a Postgres that goes on running; the median."""
        ready = []
        # Another process of the same folder keeps the database up between two starts.
        keeper = subprocess.Popen([self.binary, "worker"], env=self.environment, cwd=self.folder,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        for _ in range(times):
            self.stop()
            ready.append(self.start())
        keeper.send_signal(signal.SIGTERM)
        keeper.wait(60)
        return statistics.median(ready)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def postmaster(self):
        """Pid, port and socket folder of the private Postgres."""
        [file] = (self.folder / "data").glob("**/postmaster.pid")
        lines = [line.strip() for line in file.read_text().splitlines()]
        return int(lines[0]), lines[3], lines[4]

    def libpq(self):
        """The environment with which libpq's programs reach the database as its owner."""
        _, port, folder = self.postmaster()
        return {**os.environ, "PGHOST": folder, "PGPORT": port, "PGUSER": "postgres",
                "PGDATABASE": "ecrm"}

    def psql(self, text):
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"], input=text, text=True,
                              env=self.libpq(), capture_output=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"psql: {done.stderr}")
        return done.stdout

    def cpu(self):
        """CPU seconds so far: of the service, and of Postgres with all its processes."""
        pid, _, _ = self.postmaster()
        family = [pid, *children(pid)]
        return seconds(self.process.pid, False), sum(seconds(one, one == pid) for one in family)

    def memory_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    def fill(self, customers, touchpoints):
        """Customers, then touchpoints: a tenth of them with the first customer, up to 100,000."""
        began = time.monotonic()
        batches = [range(at, min(at + 1000, customers)) for at in range(0, customers, 1000)]
        bodies = ([customer(number) for number in batch] for batch in batches)
        ids = [one["id"] for answer in self.batches("/v1/customers/batch", bodies)
               for one in answer["results"]]
        print(f"  {customers} customers in {time.monotonic() - began:.0f} s", flush=True)
        self.add_touchpoints(ids, touchpoints)
        return ids

    def add_touchpoints(self, ids, count):
        began = time.monotonic()
        faithful = min(count // 10, 100_000)
        owners = random.Random(7)
        pick = lambda number: ids[0] if number < faithful else ids[owners.randrange(1, len(ids))]
        batches = [range(at, min(at + 1000, count)) for at in range(0, count, 1000)]
        bodies = ([touchpoint(number, pick(number)) for number in batch] for batch in batches)
        list(self.batches("/v1/touchpoints/batch", bodies))
        spent = time.monotonic() - began
        print(f"  {count} touchpoints in {spent:.0f} s, {count / spent:.0f}/s", flush=True)
        self.psql("vacuum analyze")

    def batches(self, path, bodies):
        """Sends batches four at a time and never holds more than eight."""
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            waiting = []
            for items in bodies:
                waiting.append(threads.submit(self.call, "POST", path, {"items": items}))
                if len(waiting) == 8:
                    yield checked(waiting.pop(0).result())
            for one in waiting:
                yield checked(one.result())


def checked(answer):
    if answer["failed"]:
        raise SystemExit(f"a batch was refused: {json.dumps(answer)[:500]}")
    return answer


def customer(number):
    return {
        "first_name": f"First{number % 997}", "last_name": f"Last{number}",
        "email": f"c{number}@bench.example.com", "locale": "de-AT", "currency": "EUR",
        "lifecycle_stage": ["lead", "customer", "subscriber"][number % 3],
        "tags": ["bench"], "attributes": {"shoe_size": 36 + number % 10, "club": number % 2 == 0},
        "addresses": [{"type": "home", "city": "Innsbruck", "postal_code": "6020", "country": "AT"}],
    }


def touchpoint(number, owner):
    age_s = (number * 7919) % (80 * 86400)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age_s))
    return {
        "type": ["page.viewed", "product.viewed", "order.placed", "message.opened"][number % 4],
        "source": "bench", "message_id": f"fill-{number}-{time.monotonic_ns()}", "occurred_at": at,
        "customer": {"id": owner}, "properties": {"sku": f"sku-{number % 500}", "price": 1999},
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(parent):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            pass
    return found


def seconds(pid, with_ended):
    """CPU seconds of a process, and of its children that ended where asked."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15 if with_ended else 13]) / TICKS
