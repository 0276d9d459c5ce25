"""Load on the service: wrk with the requests of an operation."""

import os
import subprocess
import time
from dataclasses import dataclass

import machine
from server import Failed

LUA = machine.ROOT / "bench" / "load.lua"


@dataclass
class Load:
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_service: float
    cpu_postgres: float
    requests: int
    resident_mib: float


def quoted(text):
    return "nil" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(server, operation, cursors, run):
    """The Lua file that load.lua reads; see there."""
    head = f" HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
    if operation.body:
        head += "Content-Type: application/json\r\n"
    fields = {
        "method": quoted(operation.method), "path": quoted(operation.path),
        "head": quoted(head).replace("\r\n", "\\r\\n"), "body": quoted(operation.body),
        "item": quoted(operation.item), "items": operation.items, "run": run,
        "first": operation.first, "customers": operation.customers,
        "cursors": "{" + ",".join(map(quoted, cursors)) + "}" if cursors else "nil",
    }
    path = server.folder / "load.lua"
    path.write_text("return {" + ", ".join(f"{name} = {value}" for name, value in fields.items()) + "}\n")
    return path


def run(server, operation, cursors, connections, seconds, run):
    """One run: rate, percentiles and CPU per request. Any answer but 2xx fails it."""
    environment = {**os.environ, "BENCH_LOAD": str(write(server, operation, cursors, run))}
    before, resident = server.cpu(), 0.0
    process = subprocess.Popen(
        [machine.find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
         str(LUA), f"http://127.0.0.1:{server.port}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + seconds + 60
    while process.poll() is None:
        resident = max(resident, server.resident())
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.25)
    said = process.stdout.read()
    after = server.cpu()
    line = [line for line in said.splitlines() if line.startswith("BENCH ")]
    if process.returncode != 0 or not line:
        raise Failed(f"wrk {operation.name}: {said[-2000:]}")
    count, micros, p50, p99, status, connect, broken, late = map(int, line[0].split()[1:])
    if status or connect or broken or late or not count:
        raise Failed(f"{operation.name} with {connections} connections: of {count} answers {status} were "
                     f"not 2xx; {connect} connections failed, {broken} broke, {late} were too late")
    server.forget_log()
    service, postgres = [(then - now) / count for now, then in zip(before, after)]
    return Load(count / micros * 1e6, p50 / 1000, p99 / 1000, service, postgres, count, resident)
