"""Makes a SQL file of what a server wrote down of one database's sessions: extract.py DATABASE LOG... (CSV, with log_statement = all)."""

import csv
import re
import sys

# What only reads, or begins and ends a transaction, is no part of a schema: but for several statements sent as one, which make things further on.
NOTHING = re.compile(r"(SELECT|SHOW|SET |BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|WITH|DECLARE|CLOSE|FETCH|MOVE|LOCK|DISCARD|LISTEN|UNLISTEN|NOTIFY|\$|$)", re.I)
MAKES = re.compile(r";\s*(CREATE|ALTER|DROP|COMMENT|INSERT)\b", re.I)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")

csv.field_size_limit(1 << 30)
database, logs = sys.argv[1], sys.argv[2:]
for log in sorted(logs):
    with open(log, encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            said = re.match(r"(?:statement|execute [^:]*): (.*)", row[13], re.S)
            if row[2] != database or not said:
                continue
            statement = said.group(1).strip().rstrip(";")
            if NOTHING.match(statement) and not MAKES.search(statement):
                continue
            values = dict(PARAMETER.findall(row[14])) if row[13].startswith("execute") else {}
            if values:
                statement = re.sub(r"\$(\d+)", lambda found: values.get(found.group(1), found.group(0)), statement)
            print(statement + ";")
