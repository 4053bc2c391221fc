"""Makes a SQL file of what a server wrote down of one database's sessions: extract.py DATABASE LOG... (CSV, with log_statement = all)."""

import csv
import re
import sys

csv.field_size_limit(1 << 30)
database, logs = sys.argv[1], sys.argv[2:]
for log in sorted(logs):
    with open(log, encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            said = re.match(r"(?:statement|execute [^:]*): (.*)", row[13], re.S)
            if row[2] != database or not said:
                continue
            statement = said.group(1).strip().rstrip(";")
            # What only reads or begins and ends a transaction is no part of a schema; what has parameters cannot be run again as it stands.
            if re.match(r"(SELECT|SHOW|SET |BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|WITH|DECLARE|CLOSE|FETCH|MOVE|DISCARD|$)", statement, re.I) or re.search(r"\$\d", statement):
                continue
            print(statement + ";")
