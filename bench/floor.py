"""The floor: pgbench runs the statements of an operation without the service.

Parameters stay parameters. Texts that never change are variables given on the command line; where a
number stands inside a text, the statement puts the text together, which takes well below a microsecond.
"""

import re
import statistics
import subprocess

import machine
from capture import joined
from server import Failed

# Longer texts do not fit on a command line and stand in the statement itself.
LONGEST = 100_000
# Arrays of so many are written out, longer ones made by counting.
FEW = 10


class Floor:
    """A pgbench script with its variables."""

    def __init__(self, server, settings, statements, operation):
        self.server, self.settings, self.operation = server, settings, operation
        self.statements = statements
        self.constants, self.used, self.made = {}, set(), {}
        now = int(server.sql("select (extract(epoch from now()) * 1000)::bigint::text"))
        self.stamp = f"{now:012x}"
        lines = [self.statement(statement) for statement in statements]  # Fills `used`.
        before = self.variables() + self.making()
        self.path = server.folder / f"{operation.name}.sql"
        self.path.write_text("\n".join([*before, *lines]) + "\n")
        self.only_making = server.folder / f"{operation.name}-arrays.sql"
        self.only_making.write_text("\n".join(before) + "\n")

    def variables(self):
        """Chosen anew for every transaction."""
        first, customers = self.operation.first, self.operation.customers
        rules = {
            "c": f"random({first}, {first + customers - 1})",
            "x": "random(100000, 899999)",
            "slot": "random(0, 15)",
            "at": f"random({self.operation.times[0]}, {self.operation.times[1]})",
        }
        lines = [f"\\set {name} {rule}" for name, rule in rules.items() if name in self.used]
        if "u" in self.used:
            # Numbers used once that grow with time, as ids do: clients take turns.
            number = (":run * 1000000 + :i * 100 + :client_id) * 1000" if self.operation.item
                      else ":run * 1000000 + :i) * 1000 + :client_id")
            lines += ["\\set i :i + 1", f"\\set u ({number}"]
        return lines

    def making(self):
        """The arrays whose elements are different every time, made by the server beforehand."""
        if not self.made:
            return []
        return ["select " + ", ".join(f"{made}::text as {name}" for made, name in self.made.items()) + " \\gset"]

    def statement(self, statement):
        types = self.types(statement)
        sql = statement.sql.strip().rstrip(";")
        if re.search(r"(?<!:):[A-Za-z_0-9]", sql):
            raise Failed(f"pgbench would take a part of this statement for a variable: {sql[:200]}")
        def parameter(match):
            place = int(match.group(1)) - 1
            return self.expression(statement.patterns[place], types[place])
        return re.sub(r"\$(\d+)", parameter, sql).replace("\n", " ") + ";"

    def types(self, statement):
        """The types of a statement's parameters, as the server works them out."""
        if not statement.patterns:
            return []
        found = self.server.sql(
            f"prepare asked as {statement.sql}",
            "select array_to_string(parameter_types::text[], '|') from pg_prepared_statements").split("|")
        if len(found) != len(statement.patterns):
            raise Failed(f"{len(statement.patterns)} values for {found}: {statement.sql[:200]}")
        return found

    def expression(self, pattern, kind):
        if pattern is None:
            return "NULL"
        if pattern[0] == "array":
            return self.array(pattern, kind)
        pieces = self.pieces(pattern)
        if pieces == (("at",),):
            return "('0' || to_hex(:at::bigint) || '70008000000000000000')::uuid"
        if len(pieces) == 1:
            return self.constant(pieces[0]) if isinstance(pieces[0], str) else ":" + pieces[0][0]
        return f"({self.text(pieces)})::{kind}"

    def pieces(self, pattern):
        """Texts and variables; adjacent texts are one."""
        out = []
        for part in pattern:
            if isinstance(part, str):
                out.append(part)
            elif part[0] == "time":
                out.append(part[1])
            elif part[0] == "id":
                # Of this moment; its end is a number used once.
                out += [f"{self.stamp[:8]}-{self.stamp[8:]}-7000-{part[1]}-", ("u",)]
            else:
                out.append((part[0],))
        self.used.update(part[0] for part in out if isinstance(part, tuple))
        return joined(out)

    def text(self, pieces, write=lambda part: ":" + part[0]):
        first, *others = [self.constant(part) if isinstance(part, str) else write(part) for part in pieces]
        return " || ".join([f"{first}::text", *others])

    def constant(self, text):
        if len(text.encode()) > LONGEST:
            if re.search(r":[A-Za-z_0-9]", text):
                raise Failed("pgbench would take a part of a long value for a variable")
            return "'" + text.replace("'", "''") + "'"
        for name, known in self.constants.items():
            if known == text:
                return f":{name}"
        name = f"v{len(self.constants)}"
        self.constants[name] = text
        return f":{name}"

    def array(self, pattern, kind):
        """A long array whose elements differ in numbers only is made before the transaction."""
        _, elements, text = pattern
        if not any(isinstance(part, tuple) for one in elements if one for part in one):
            return self.constant(text)
        if len(elements) <= FEW:
            one_by_one = ", ".join(self.expression(one, kind.removesuffix("[]")) for one in elements)
            return f"array[{one_by_one}]::{kind}"
        pieces = {self.pieces(self.without_order(one)) for one in elements}
        if len(pieces) != 1:
            raise Failed(f"elements of several kinds in a long array: {list(pieces)[:3]}")
        first, customers = self.operation.first, self.operation.customers
        numbers = {"c": f"({first} + (:c::int - {first} + g * 7919) % {customers})", "u": "(:u::bigint + g)"}
        made = self.text(pieces.pop(), lambda part: numbers[part[0]])
        array = (f"(select array_agg(({made})::{kind.removesuffix('[]')} order by g)"
                 f" from generate_series(0, {len(elements) - 1}) g)")
        return ":" + self.made.setdefault(array, f"a{len(self.made)}")

    @staticmethod
    def without_order(element):
        """An id without the place it has among those of one transaction: its number has that."""
        return tuple(("id", "8000") if isinstance(part, tuple) and part[0] == "id" else part
                     for part in element)

    def run(self, clients, seconds, run):
        """Transactions a second, and the 50th and 99th percentile in ms."""
        rate, p50, p99 = self.pgbench(self.path, clients, seconds, run)
        if self.made:
            # Without what it takes to make the arrays, which the service has from its caller.
            making, _, _ = self.pgbench(self.only_making, clients, 1, run)
            rate = 1 / (1 / rate - 1 / making)
        return rate, p50, p99

    def pgbench(self, script, clients, seconds, run):
        log = self.server.folder / f"pgbench-{run}"
        words = [machine.find("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "1",
                 "-T", str(seconds), "-f", str(script), "-l", "--log-prefix", str(log),
                 "--sampling-rate", "0.25", "-D", f"run={run}", "-D", "i=0"]
        for name, text in self.constants.items():
            words += ["-D", f"{name}={text}"]
        settings = f"{self.settings} {self.operation.floor_settings}"
        environment = self.server.pg_environment("ecrm_app", PGOPTIONS=settings)
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        took = []
        for part in self.server.folder.glob(f"pgbench-{run}.*"):
            took += [int(line.split(" ", 3)[2]) for line in part.read_text().splitlines()]
            part.unlink()
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode != 0 or not rate or "aborted" in done.stderr:
            raise Failed(f"pgbench {self.operation.name}: {done.stderr[-2000:]}")
        if not took:
            return float(rate.group(1)), None, None
        took.sort()
        return float(rate.group(1)), statistics.median(took) / 1000, took[len(took) * 99 // 100] / 1000
