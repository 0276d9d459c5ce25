"""What is measured: the request, its goal, and which of its statements are the floor."""

import dataclasses
import json
import pathlib
import random
import subprocess
import os

HERE = pathlib.Path(__file__).parent
LUA = HERE / "wrk.lua"


@dataclasses.dataclass
class Operation:
    name: str
    method: str
    paths: list
    body: object = None
    connections: tuple = (32,)
    # The ratio to reach, from the performance goals; None where none was set.
    goal: dict = dataclasses.field(default_factory=dict)
    # Whether a caught statement belongs to the floor.
    counts: object = lambda text: True
    # The id in the path, which every variant of the floor replaces.
    asked: str = ""
    variants: tuple = ()
    # Too long to be defined on a command line.
    is_long: bool = False


def all_of(service, ids):
    """Every operation over this data; `ids` are customers, the first has the long timeline."""
    chosen = random.Random(1).sample(ids[1:], min(5000, len(ids) - 1))
    twenty = tuple(chosen[:20])
    by_id = [f"/v1/customers/{one}" for one in chosen]
    faithful = f"/v1/customers/{ids[0]}/timeline"
    new_touchpoint = {"type": "page.viewed", "source": "bench", "message_id": "m-@N@",
                      "customer": {"id": "@ID@"}, "properties": {"sku": "sku-7", "price": 1999}}
    batch = {"items": [{**new_touchpoint, "message_id": f"m-@N@-{at}", "customer": {"id": owner}}
                       for at, owner in enumerate((chosen * (1000 // len(chosen) + 1))[:1000])]}
    search = {"where": {"did": {"type": "order.placed", "at_least": 2, "within": "P90D"}}, "limit": 50}
    single = lambda **more: {**new_touchpoint, "customer": {"id": chosen[0]}, **more}
    return [
        Operation("ceiling, no database", "GET", ["/health/live"]),
        Operation("get customer", "GET", by_id, goal={32: 0.60}, asked=chosen[0], variants=twenty),
        Operation("list 50 customers", "GET", ["/v1/customers?limit=50"], goal={32: 0.55}),
        Operation("patch customer", "PATCH", by_id, {"gender": "g@N@"}, goal={32: 0.55},
                  asked=chosen[0], variants=twenty),
        Operation("create customer", "POST", ["/v1/customers"],
                  {"first_name": "Ada", "last_name": "Lindqvist", "email": "b@N@@bench.example.com"}),
        Operation("single touchpoint", "POST", ["/v1/touchpoints"], single(), (8, 32, 64, 256),
                  {64: 2.5}, counts=lambda text: text.startswith("with scope")),
        Operation("batch of 1000 touchpoints", "POST", ["/v1/touchpoints/batch"], batch, (4,),
                  {4: 0.95}, is_long=True),
        Operation("timeline of 100k, first page", "GET", [faithful]),
        Operation("timeline of 100k, deep page", "GET", [deep_page(service, faithful)]),
        Operation("search by what was done", "POST", ["/v1/customers/search"], search),
    ]


def deep_page(service, path):
    """The page behind twenty others."""
    cursor = None
    for _ in range(20):
        page = service.call("GET", f"{path}?limit=200" + (f"&cursor={cursor}" if cursor else ""))
        cursor = page["next_cursor"] or cursor
    return f"{path}?limit=200&cursor={cursor}"


def numbered(body, number):
    return body and json.loads(json.dumps(body).replace("@N@", number))


def drive(service, operation, connections, seconds, run):
    """One run of the load driver over one operation: its figures, with the CPU that was spent."""
    paths = service.folder / "paths"
    paths.write_text("\n".join(operation.paths))
    body = service.folder / "body"
    body.write_text(json.dumps(operation.body) if operation.body else "")
    environment = {
        **os.environ, "BENCH_PATHS": str(paths), "BENCH_BODY": str(body) if operation.body else "",
        "BENCH_METHOD": operation.method, "BENCH_KEY": service.key, "BENCH_RUN": f"r{run}t",
    }
    words = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(LUA), service.base]
    before = service.cpu()
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    after = service.cpu()
    if done.returncode != 0:
        raise SystemExit(f"wrk: {done.stderr}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures["refused"] or not figures["requests"]:
        raise SystemExit(f"{operation.name}: {figures}")
    figures["per_s"] = figures["requests"] / figures["seconds"]
    figures["cpu"] = [(b - a) / figures["requests"] for a, b in zip(before, after)]
    return figures
