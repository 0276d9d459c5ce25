"""Tables for people, a list for programs."""

import json
from statistics import median

FIELDS = ["operation", "connections", "floor_per_s", "ecrm_per_s", "ratio", "p50_ms", "p99_ms",
          "cpu_service", "cpu_postgres"]


def row(operation, connections, floors, loads):
    """Medians over the rounds; the ratio is the median of the rounds' own ratios."""
    ratios = [load.per_s / floor[0] for load, floor in zip(loads, floors)]
    middle = lambda name: median(getattr(load, name) for load in loads)
    digits = lambda value, places: None if value is None else round(value, places)
    return {
        "operation": operation.name,
        "connections": connections,
        "floor_per_s": digits(median(floor[0] for floor in floors), 1) if floors else None,
        "ecrm_per_s": digits(middle("per_s"), 1),
        "ratio": digits(median(ratios), 3) if ratios else None,
        "p50_ms": digits(middle("p50_ms"), 3),
        "p99_ms": digits(middle("p99_ms"), 3),
        "cpu_service": digits(middle("cpu_service"), 7),
        "cpu_postgres": digits(middle("cpu_postgres"), 7),
    }


def number(value, places=0):
    return "" if value is None else f"{value:,.{places}f}"


def table(head, rows):
    """Columns as wide as they need to be; the first to the left, the others to the right."""
    widths = [max(len(line[at]) for line in [head, *rows]) for at in range(len(head))]
    def line(cells):
        return "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                         for at, (cell, width) in enumerate(zip(cells, widths)))
    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def results(measured):
    """`measured` is a list of (operation, row, floors, statements)."""
    head = ["operation", "conns", "floor/s", "ecrm/s", "ratio", "goal", "p50 ms", "p99 ms", "floor p99",
            "service us", "postgres us", "statements"]
    rows = []
    for operation, one, floors, statements in measured:
        goal = operation.goal(one["connections"])
        slow = [floor[2] for floor in floors if floor[2] is not None]
        rows.append([
            operation.title, str(one["connections"]), number(one["floor_per_s"]),
            number(one["ecrm_per_s"]), number(one["ratio"], 2), number(goal, 2),
            number(one["p50_ms"], 2), number(one["p99_ms"], 2), number(median(slow), 2) if slow else "",
            number(one["cpu_service"] * 1e6), number(one["cpu_postgres"] * 1e6),
            str(len(statements)) if statements else ""])
    return table(head, rows)


def write(path, rows):
    for one in rows:
        assert list(one) == FIELDS, one
    with open(path, "w") as out:
        json.dump(rows, out, indent=1)
        out.write("\n")


def check_shape(path):
    """What a smoke run promises: every field, and numbers where there are some."""
    with open(path) as text:
        rows = json.load(text)
    for one in rows:
        assert list(one) == FIELDS, one
        for field in FIELDS[1:]:
            optional = one["operation"] == "live" and field in ("floor_per_s", "ratio")
            assert one[field] is None if optional else one[field] >= 0, (field, one)
    return rows


def statements(operation, agreed, chosen):
    """What one call of an operation runs, for people who look for time."""
    lines = [f"{operation.title}: {len(agreed)} statements"]
    for one in agreed:
        how = "text" if one.is_plain else "prepared" if one.is_prepared_once else "parsed every time"
        floor = "" if one in chosen else ", not in the floor"
        lines.append(f"  [{how}{floor}] " + " ".join(one.sql.split())[:400])
    return "\n".join(lines)


def growth(sizes, measured):
    """`measured`: operation title -> size -> (per_s, p50_ms)."""
    head = ["operation", *[f"p50 at {size / 1e6:g} M" for size in sizes], "ratio",
            *[f"per s at {size / 1e6:g} M" for size in sizes], "ratio"]
    rows = []
    for title, by_size in measured.items():
        rates, times = zip(*[by_size[size] for size in sizes])
        rows.append([title, *[number(one, 2) for one in times], number(times[-1] / times[0], 2),
                     *[number(one) for one in rates], number(rates[-1] / rates[0], 2)])
    return table(head, rows)
