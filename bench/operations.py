"""What is measured: each operation as a request with placeholders (see load.lua)."""

import base64
import json
import random
from dataclasses import dataclass, replace

import capture
from server import Failed

# The first customer's number; the n-th has 900000 + n (see fill.sql).
FIRST = 900000
ID = "01{c}-0000-7000-8000-000000000000"
BUSY = "01900000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    name: str
    title: str
    method: str
    path: str
    connections: tuple
    body: str = None
    item: str = None
    items: int = 0
    # The list whose cursors replace `{cursor}`: its path, or its path and body.
    pages: tuple = None
    # Cursors from here on, as a share of the list.
    deep_from: float = 0.0
    # The floor is this statement alone, without a transaction around it.
    floor_only: str = None
    # pgbench connects anew for every run: settings that spare it what only new connections meet.
    floor_settings: str = ""
    # Connections -> ratio that is asked for.
    goals: tuple = ()
    stores: int = 0
    # Of the data set.
    first: int = FIRST
    customers: int = 0
    times: tuple = ()

    @property
    def has_floor(self):
        return self.path != "/health/live"

    def goal(self, connections):
        return dict(self.goals).get(connections)


def touchpoint(series, extra=""):
    """A touchpoint as a shop reports it; `{c}` is whose it is, `{u}` the shop's number of it."""
    return ('{"type": "product.viewed", "source": "shop", "message_id": "' + series + '-{u}", '
            '"customer": {"id": "' + ID + '"}, ' + extra + '"subject": {"type": "product", "id": "sku-4711"}, '
            '"properties": {"category": "boots", "price": 4990, "quantity": 1, "session": "s-4711"}}')


def search(condition):
    return '{"where": ' + json.dumps({"did": condition}) + ', "limit": LIMIT, "cursor": CURSOR}'


def all_of(series, channel, customers, items):
    """Every operation. `series` keeps numbers of one run of the benchmark apart from the next."""
    once = search({"type": "order.placed", "at_least": 1, "within": "P90D"})
    twice = search({"type": "order.placed", "at_least": 2, "within": "P90D"})
    page = "/v1/customers/search"
    timeline = f"/v1/customers/{BUSY}/timeline"
    single = touchpoint(series, '"channel": {"id": "' + channel + '"}, ')
    listed = [
        Operation("live", "no database", "GET", "/health/live", (32,)),
        Operation("get", "get a customer", "GET", "/v1/customers/" + ID, (32,), goals=((32, 0.60),)),
        Operation("list", "list 50 customers", "GET", "/v1/customers?limit=50&cursor={cursor}", (32,),
                  pages=("GET", "/v1/customers", None), goals=((32, 0.55),)),
        Operation("timeline", "timeline, first page", "GET", timeline + "?limit=50", (32,)),
        Operation("timeline_deep", "timeline, deep page", "GET", timeline + "?limit=50&cursor={cursor}",
                  (32,), pages=("GET", timeline, None), deep_from=0.5),
        Operation("search", "search: did once in 90 days", "POST", page, (32,), body=once,
                  pages=("POST", page, once)),
        Operation("search_log", "search: did twice in 90 days", "POST", page, (32,), body=twice,
                  pages=("POST", page, twice)),
        Operation("patch", "patch a customer", "PATCH", "/v1/customers/" + ID, (32,),
                  body='{"score": {x}}', goals=((32, 0.55),)),
        Operation("create", "create a customer", "POST", "/v1/customers", (32,),
                  body='{"first_name": "Ada", "last_name": "Lindqvist", "email": "n{u}@' + series
                       + '.example.com", "external_ids": [{"source": "shop", "id": "' + series + '-{u}"}], '
                         '"locale": "de-AT", "lifecycle_stage": "lead", "tags": ["newsletter"], '
                         '"attributes": {"shoe_size": 42}}'),
        Operation("touchpoint", "one touchpoint", "POST", "/v1/touchpoints", (8, 32, 64, 256), body=single,
                  floor_only="insert into touchpoints\n", goals=((64, 2.5),), stores=1),
        Operation("batch", f"batch of {items} touchpoints", "POST", "/v1/touchpoints/batch", (8,),
                  body='{"items": [{items}]}', item=touchpoint(series), items=items, goals=((8, 0.95),),
                  stores=items, floor_settings="-c plan_cache_mode=force_generic_plan"),
    ]
    return [replace(one, customers=customers) for one in listed]


def request(operation, numbers, cursor=None):
    """Path and body with the placeholders replaced."""
    def fill(text, c, u):
        return text.replace("{c}", str(c)).replace("{u}", str(u)).replace("{x}", str(numbers["x"]))
    c, u = numbers["c"], numbers["u"]
    body = operation.body
    if operation.item:
        start = c - operation.first
        chosen = [fill(operation.item, operation.first + (start + i * 7919) % operation.customers, u + i)
                  for i in range(operation.items)]
        body = body.replace("{items}", ", ".join(chosen))
    body = body and fill(body, c, u).replace("{cursor}", cursor or "")
    return fill(operation.path, c, u).replace("{cursor}", cursor or ""), body


def known_texts(operation, numbers, before, cursor):
    """Which texts of a call stand for which variable of the floor."""
    known = {}
    for one in (before, numbers):
        known[str(one["x"])] = [("x", None)]
    customers = [numbers["c"]]
    if operation.item:
        start = numbers["c"] - operation.first
        customers = [operation.first + (start + i * 7919) % operation.customers
                     for i in range(operation.items)]
    for number in customers:
        known[str(number)] = [("c", None)]
        known[ID.replace("{c}", str(number))] = ["01", ("c", None), ID[5:]]
    for i in range(max(1, operation.items)):
        known[str(numbers["u"] + i)] = [("u", None)]
    if cursor:
        place = cursor_id(cursor)
        is_customer = place.endswith(ID[5:])
        known[place] = ["01", ("c", None), ID[5:]] if is_customer else [("at", None)]
    return known


def cursor_id(cursor):
    """The id after which a page goes on: a cursor is JSON and a seal of 16 bytes."""
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    return json.loads(raw[:-16])[-1]


def statements_of(server, operation, cursors, run):
    """The statements of one call with the patterns of their parameters; see capture.py."""
    calls = []
    dice = random.Random(run)
    for number in range(capture.CALLS):
        # The busy customer is none of them, for it stands in requests of its own.
        c = operation.first + dice.randrange(1, operation.customers)
        cursor = dice.choice(cursors) if cursors else None
        before, numbers = [
            {"c": c, "u": (run * 1000000 + 10 * number + turn) * 1000, "x": 100001 + 10 * number + turn}
            for turn in (0, 1)]
        known = known_texts(operation, numbers, before, cursor)
        # The first of the two meets what only a first call does: logins, connections, plans.
        server.call(operation.method, *request(operation, before, cursor))
        call = lambda: server.call(operation.method, *request(operation, numbers, cursor))
        calls.append(capture.watch(server, call, known))
    agreed = capture.agree(calls)
    if operation.floor_only:
        chosen = [one for one in agreed if operation.floor_only in one.sql]
        if len(chosen) != 1:
            raise Failed(f"{operation.name} runs {len(chosen)} statements with `{operation.floor_only}`")
        return agreed, chosen
    return agreed, agreed


def cursors_of(server, operation, most=600):
    """Cursors over the whole list, by walking it once."""
    if not operation.pages:
        return None
    method, path, body = operation.pages
    found, cursor = [], None
    limit = 200 if operation.customers > 10000 else 50
    while len(found) < most:
        if method == "GET":
            page = server.call("GET", f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        else:
            text = body.replace("LIMIT", str(limit)).replace("CURSOR", json.dumps(cursor))
            page = server.call(method, path, text)
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # What earlier runs made has ids of its own, which no pattern of the floor has.
        if operation.name != "list" or cursor_id(cursor).endswith(ID[5:]):
            found.append(cursor)
    # The last page is shorter than the others.
    return found[int(len(found) * operation.deep_from):-1] or found or None


def with_cursors(operation, cursors):
    """The operation as it is sent under load; a search with one page only has no cursor."""
    if operation.pages and operation.body:
        body = operation.body.replace("LIMIT", "50").replace("CURSOR", '"{cursor}"' if cursors else "null")
        return replace(operation, body=body)
    if operation.pages and not cursors:
        raise Failed(f"{operation.name}: the list has one page only")
    return operation
