"""Which SQL the service runs for an operation: read from the server's log, never written by hand.

A call is made a few times with values that are known: numbers of customers, numbers used once. Every
parameter in the log is then a pattern of fixed text, such numbers, ids that the service made and
times. Calls must agree on statements and patterns; what differs without a rule stops the benchmark.
"""

import re
import time
from collections import Counter
from datetime import datetime, timezone

from server import Failed

PREFIX = "BENCH"
ENTRY = re.compile(PREFIX + r" (\d+)\|(\w+):  (.*)", re.S)
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00"
# The smallest id of an instant.
FLOOR = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-0000-000000000000"
# What a value would be kept as had its owner been erased: a keyed hash, of which none is there.
HASH = re.compile(r" erased:[0-9a-f]{64}")
NUMBER = r"(?<![0-9.])-?\d+(?![0-9.])"
CALLS = 8
# So many may differ: now and then a login is looked up again.
STRAY = 2
# What a pool asks of a connection that was idle, which none is under load.
NOT_OF_THE_CALL = {"select 1"}


class Statement:
    """One statement of a call: its text and a pattern for each parameter."""

    def __init__(self, name, sql):
        self.name, self.sql, self.values, self.patterns = name, sql, [], []

    @property
    def is_plain(self):
        """BEGIN, COMMIT and what else is sent as mere text."""
        return self.name is None

    @property
    def is_prepared_once(self):
        return self.name not in (None, "<unnamed>")


def begin(server):
    """Makes PostgreSQL log every statement of a service that was started anew."""
    server.sql(f"alter system set log_line_prefix = '{PREFIX} %p|'",
               "alter system set log_statement = 'all'",
               "alter system set log_parameter_max_length = -1", "select pg_reload_conf()")
    time.sleep(0.3)
    # The private database ends with the service, and cuts whatever is still connected; a connection
    # that asked for something since then says so with the new prefix.
    server.stop()
    from_ = server.pg_log().stat().st_size
    # Two connections, no jobs: nobody else talks while a call is watched.
    server.start(ECRM_POOL_SIZE="2", ECRM_RUN_JOBS="0")
    server.call("GET", "/v1/auth/whoami")
    time.sleep(0.1)
    return session_settings(entries(server, from_))


def end(server):
    server.sql("alter system reset all", "select pg_reload_conf()")
    server.restart()


def session_settings(seen):
    """What the service sets on each connection, as options for pgbench."""
    found = {}
    for _, statement in seen:
        for name, value in re.findall(r"\bset (\w+) = '?([^';]*)'?", statement.sql):
            found[name] = value
    return " ".join(f"-c {name}={value}" for name, value in found.items())


def entries(server, from_):
    """(process, statement) for everything that was logged since."""
    with open(server.pg_log(), encoding="utf-8") as log:
        log.seek(from_)
        text = log.read()
    found = []
    for part in re.split(rf"^(?={PREFIX} \d+\|)", text, flags=re.M):
        # Further lines of an entry begin with a tab.
        match = ENTRY.match(part.rstrip("\n").replace("\n\t", "\n"))
        if not match:
            continue
        process, level, said = match.groups()
        if level == "LOG" and said.startswith("statement: "):
            found.append((process, Statement(None, said.removeprefix("statement: "))))
        elif level == "LOG" and said.startswith("execute "):
            name, sql = said.removeprefix("execute ").split(": ", 1)
            found.append((process, Statement(name, sql)))
        elif level == "DETAIL" and said.startswith("parameters: ") and found:
            found[-1][1].values = parameters(said.removeprefix("parameters: "))
        elif level in ("ERROR", "FATAL"):
            raise Failed(f"the database refused a statement: {said}")
    return [(process, statement) for process, statement in found
            if statement.sql.strip() not in NOT_OF_THE_CALL]


def parameters(text):
    """`$1 = 'it''s', $2 = NULL` as a list."""
    pairs = re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", text)
    if [int(number) for number, _ in pairs] != list(range(1, len(pairs) + 1)):
        raise Failed(f"parameters that cannot be read: {text[:300]}")
    return [None if value == "NULL" else value[1:-1].replace("''", "'") for _, value in pairs]


def watch(server, call, known):
    """The statements of one call; `known` maps texts to the variable that stands for them."""
    from_ = server.pg_log().stat().st_size
    begun = time.time()
    call()
    time.sleep(0.02)
    ended = time.time()
    statements = [statement for _, statement in entries(server, from_)]
    read = Reader(known, begun - 1, ended + 1)
    for statement in statements:
        statement.patterns = [read.value(value) for value in statement.values]
    return statements


class Reader:
    """Turns the text of a parameter into a pattern: a tuple of texts and (kind, detail)."""

    def __init__(self, known, begun, ended):
        self.known, self.begun, self.ended = known, begun, ended
        # A number alone; an id as a whole, even where it stands beside other digits.
        texts = [rf"(?<!\d){text}(?!\d)" if text.isdigit() else re.escape(text)
                 for text in sorted(known, key=len, reverse=True)]
        self.token = re.compile("|".join([*texts, UUID, TIME]))

    def value(self, text):
        if text is None:
            return None
        if re.fullmatch(r"\{.*\}", text, re.S) and not text.startswith('{"') or text.startswith('{"{'):
            elements = array(text)
            if elements is not None and len(elements) > 1:
                return ("array", tuple(None if one is None else self.scalar(one) for one in elements), text)
        return self.scalar(text)

    def scalar(self, text):
        pattern, end = [], 0
        for match in self.token.finditer(text):
            part = self.part(match.group())
            if part is None:
                continue
            pattern += [text[end:match.start()], *part]
            end = match.end()
        pattern.append(text[end:])
        return joined(pattern)

    def part(self, text):
        if text in self.known:
            return self.known[text]
        if re.fullmatch(UUID, text):
            is_new = self.begun <= int(text[:8] + text[9:13], 16) / 1000 <= self.ended
            return [("id", text[19:23])] if is_new else None
        at = datetime.fromisoformat(text.replace("+00", "+00:00")).replace(tzinfo=timezone.utc)
        return [("time", text)] if self.begun <= at.timestamp() <= self.ended else None


def joined(pattern):
    out = []
    for part in pattern:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return tuple(out)


def array(text):
    """The elements of a one-dimensional array as PostgreSQL writes it; None for other texts."""
    found = re.findall(r'(?:^\{|,)(?:"((?:[^"\\]|\\.)*)"|([^",{}]*))', text)
    elements = [re.sub(r"\\(.)", r"\1", quoted) if quoted or not plain else
                (None if plain == "NULL" else plain) for quoted, plain in found]
    return elements


def agree(calls):
    """One list of statements out of several calls, or the reason why there is none."""
    counted = Counter(tuple(statement.sql for statement in call) for call in calls)
    usual, times = counted.most_common(1)[0]
    if times < CALLS - STRAY:
        raise Failed("calls of one operation ran different statements:\n"
                     + "\n".join(f"{n} times {list(texts)}" for texts, n in counted.items()))
    same = [call for call in calls if tuple(statement.sql for statement in call) == usual]
    agreed = same[-1]
    for position, statement in enumerate(agreed):
        several = [call[position] for call in same]
        for place in range(len(statement.patterns)):
            patterns = [one.patterns[place] for one in several]
            statement.patterns[place] = general(patterns, f"${place + 1} of `{statement.sql[:200]}`")
    return agreed


def general(patterns, what):
    """The pattern that all of them follow."""
    last = patterns[-1]
    if len({comparable(pattern) for pattern in patterns}) == 1:
        return last
    if all(isinstance(pattern, tuple) and len(pattern) == 1 and re.fullmatch(NUMBER, str(pattern[0]))
           for pattern in patterns):
        numbers = [int(pattern[0]) for pattern in patterns]
        # The service spreads a busy counter over 16 rows.
        if min(numbers) >= 0 and max(numbers) < 16:
            return (("slot", None),)
    # "Within 90 days" moves with the clock.
    if len({re.sub(f"{TIME}|{FLOOR}", "<time>", str(pattern)) for pattern in patterns}) == 1:
        return last
    shown = "\n".join(str(pattern)[:300] for pattern in patterns[:3])
    raise Failed(f"{what} differs between calls and no rule of bench/capture.py says how:\n{shown}")


def comparable(pattern):
    """A pattern without what may differ: times, hashes, and for arrays all but the kinds of elements."""
    if pattern is None:
        return None
    if pattern[0] == "array":
        return ("array", frozenset(comparable(one) for one in pattern[1]))
    return tuple((part[0], part[1] if part[0] == "id" else None) if isinstance(part, tuple)
                 else HASH.sub(" erased:<hash>", part)
                 for part in pattern)
