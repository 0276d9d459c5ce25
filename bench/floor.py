"""The floor: the statements of one call, caught in the database's log and run again by pgbench.

Nothing is copied by hand, so the floor cannot fall behind the code. What differs from one execution
to the next: ids and texts that the call made new become numbers that only this execution has, and
each of up to twenty scripts asks for another row.
"""

import json
import os
import pathlib
import re
import subprocess
import time

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
MANY = 16
STARTS = re.compile(r"(?:duration: [0-9.]+ ms  )?(?:execute [^:]*|statement): ")


class Floor:
    def __init__(self, service):
        self.service = service
        self.folder = service.folder / "floor"
        self.folder.mkdir(exist_ok=True)
        # An id from an instant, a place in the call, a client and a number: new, and in order.
        service.psql("""create or replace function bench_id(instant text, place int, client int, n bigint)
            returns text language sql immutable parallel safe as $$
            select instant || '-7' || lpad(to_hex(place), 3, '0') || '-8' || lpad(to_hex(client), 3, '0')
                   || '-' || lpad(to_hex(n), 12, '0') $$""")

    def catch(self, call):
        """The statements of one call: [(text, [parameter, …])]."""
        call()  # Whatever is only done the first time.
        self.service.psql("alter system set log_statement = 'all'; select pg_reload_conf()")
        time.sleep(0.3)
        [log] = (self.service.folder / "data").glob("**/postgres*.log")
        before = log.stat().st_size
        call()
        time.sleep(0.3)
        self.service.psql("alter system reset log_statement; select pg_reload_conf()")
        with open(log, "rb") as file:
            file.seek(before)
            text = file.read().decode()
        return list(statements(text))

    def script(self, caught, variants, known, marks):
        """Files that pgbench runs: the caught statements, one file for each variant.

        `variants` replace the value that the call asked for; `known` are ids that stay, `marks` are
        texts that have to be new every time, as new as the ids that are not known.
        """
        types = [self.types(text, len(values)) for text, values in caught]
        fresh = [new for _, values in caught for value in values if value
                 for new in re.findall(UUID, value)]
        fresh = [new for new in dict.fromkeys(fresh) if new not in known]
        files, variables = [], {}
        for number, variant in enumerate(variants):
            lines = ["\\set n :n + 1"]
            for at, (text, values) in enumerate(caught):
                lines.append(self.statement(text, values, types[at], fresh, marks, variant,
                                            f"v{number}_{at}", variables) + ";")
            file = self.folder / f"{abs(hash(caught[0][0]))}-{number}.sql"
            file.write_text("\n".join(lines))
            files.append(file)
        return files, variables

    def statement(self, text, values, types, fresh, marks, variant, prefix, variables):
        def parameter(match):
            at = int(match[1]) - 1
            value = values[at]
            if value is None:
                return f"null::{types[at]}"
            for old, new in variant.items():
                value = value.replace(old, new)
            name = f"{prefix}_{at}"
            variables[name] = value
            if not any(mark in value for mark in [*fresh, *marks]):
                return f":{name}"
            if value.startswith("{" + fresh[0]) and value.count(",") > MANY:
                # An array of nothing but new ids, one for each row.
                return (f"(select array_agg(bench_id('{fresh[0][:13]}', place, :client_id, :n)::uuid)"
                        f" from generate_series(1, {value.count(',') + 1}) place)")
            made = f":{name}::text"
            for place, one in enumerate(fresh[:MANY]):
                if one in value:
                    made = f"replace({made}, '{one}', bench_id('{one[:13]}', {place}, :client_id, :n))"
            for mark in marks:
                if mark in value:
                    made = f"replace({made}, '{mark}', '{mark}' || :client_id || 'x' || :n)"
            return f"({made})::{types[at]}"

        return re.sub(r"\$(\d+)", parameter, text)

    def long_script(self, caught, known, marks):
        """One file with the values in its text: for those that no command line can hold."""
        [file], variables = self.script(caught, [{}], known, marks)
        text = file.read_text()
        literal = lambda match: "'" + variables[match[1]].replace("'", "''") + "'"
        file.write_text(re.sub(r":(v0_\d+_\d+)\b", literal, text))
        return file

    def types(self, text, count):
        if count == 0:
            return []
        asked = "select array_to_json(parameter_types) from pg_prepared_statements where name = 'p'"
        return json.loads(self.service.psql(f"prepare p as {text};\n{asked}").splitlines()[-1])

    def run(self, files, variables, clients, seconds, single=False):
        """Transactions a second. `single` sends texts as they are, for what is too long to define."""
        first = int(time.time() * 1000) % 10**9 * 1000
        words = ["pgbench", "-n", "-M", "simple" if single else "prepared", "-c", str(clients), "-j", "2",
                 "-T", str(seconds), "-D", f"n={first}"]
        words += [word for file in files for word in ("-f", str(file))]
        if not single:
            words += [word for pair in variables.items() for word in ("-D", "=".join(pair))]
        done = subprocess.run(words, env=self.service.libpq(), capture_output=True, text=True, check=False)
        rate = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
        if done.returncode != 0 or not rate:
            raise SystemExit(f"pgbench: {done.stderr[-2000:]}")
        return float(rate[1])


def statements(log):
    """Statements with their parameters, from the lines of a Postgres log."""
    entries = re.split(r"(?m)^(?=\d{4}-\d\d-\d\d )", log)
    found = []
    for entry in entries:
        head, _, message = entry.partition("LOG:  ")
        if message and STARTS.match(message):
            found.append((STARTS.sub("", message, count=1).strip(), []))
        elif "DETAIL:  parameters: " in entry and found:
            found[-1] = (found[-1][0], parameters(entry.split("DETAIL:  parameters: ", 1)[1]))
    silent = ("alter system", "select pg_reload_conf", "select 1", "set ")
    return [one for one in found if not one[0].lower().startswith(silent)]


def parameters(text):
    """`$1 = 'a''b', $2 = NULL` as a list of texts and Nones."""
    found = re.findall(r"\$\d+ = (NULL|'(?:[^']|'')*')", text)
    return [None if one == "NULL" else one[1:-1].replace("''", "'") for one in found]
