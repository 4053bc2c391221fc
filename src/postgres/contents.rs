//! The table of contents of an archive, as `pg_restore --list` prints it.
//! It owns reading that listing; it leaves judging completeness to the dump engine. Pure.
//! Invariant: objects are known by their OID, never by their name: the listing replaces line ends in names.

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the archive, by which `--use-list` names it.
    pub id: u32,
    /// The numbers of the entries that it needs; only `pg_restore --list --verbose` tells.
    pub needs: Vec<u32>,
    /// The catalogue that the object is in (1259: pg_class), or 0.
    pub catalogue: u32,
    /// The object's OID, or 0.
    pub oid: u32,
    /// What it is and its name: `TABLE public users owner`.
    pub rest: String,
}

impl Entry {
    /// Whether it is the definition of a table: plain, partitioned or typed.
    pub fn is_table(&self) -> bool {
        self.catalogue == PG_CLASS && self.rest.starts_with("TABLE ")
    }

    /// Whether it joins a partition, or its index, to its parent.
    pub fn is_attachment(&self) -> bool {
        self.rest.starts_with("TABLE ATTACH ") || self.rest.starts_with("INDEX ATTACH ")
    }

    /// Whether it joins a partition's index to its parent's.
    pub fn is_index_attachment(&self) -> bool {
        self.rest.starts_with("INDEX ATTACH ")
    }

    /// Whether it is a foreign key.
    pub fn is_foreign_key(&self) -> bool {
        self.rest.starts_with("FK CONSTRAINT ")
    }

    /// Whether it builds an index, on its own or for a primary key, a unique or an exclusion constraint.
    pub fn is_index(&self) -> bool {
        self.rest.starts_with("INDEX ") && !self.is_attachment() || self.is_index_of_constraint()
    }

    /// Whether it builds the index of a constraint, which locks out everybody else from its table.
    pub fn is_index_of_constraint(&self) -> bool {
        self.rest.starts_with("CONSTRAINT ")
    }

    /// Whether it fills a materialized view.
    pub fn is_refresh(&self) -> bool {
        self.rest.starts_with("MATERIALIZED VIEW DATA ")
    }

    /// Whether it is an event trigger, which would fire on whatever comes after it.
    pub fn is_event_trigger(&self) -> bool {
        self.rest.starts_with("EVENT TRIGGER ")
    }

    /// Whether it is a function, or comes with functions of its own.
    pub fn is_function(&self) -> bool {
        ["FUNCTION ", "AGGREGATE ", "PROCEDURE ", "OPERATOR CLASS ", "OPERATOR FAMILY "].iter().any(|kind| self.rest.starts_with(kind))
    }

    /// Whether an expression that needs it needs what it needs.
    pub fn is_part_of_expression(&self) -> bool {
        ["OPERATOR ", "DOMAIN ", "TYPE ", "SHELL TYPE ", "CAST "].iter().any(|kind| self.rest.starts_with(kind))
    }

    /// Whether it is a CHECK that is added after the rows, or another constraint that locks its table against everybody while it is.
    pub fn is_constraint_on_rows(&self) -> bool {
        self.rest.starts_with("CHECK CONSTRAINT ") || self.is_index_of_constraint()
    }

    /// Whether it is a table's rows.
    pub fn is_table_data(&self) -> bool {
        self.rest.starts_with("TABLE DATA ")
    }
}

/// The entries of an archive that hold rows, and those of its data section that hold none (values of sequences), each in the archive's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The rows of tables.
    pub rows: Vec<u32>,
    /// The others.
    pub others: Vec<u32>,
}

impl Rows {
    /// Of a listing of the data section.
    pub fn of(section: &[Entry]) -> Rows {
        let (rows, others) = section.iter().partition::<Vec<&Entry>, _>(|entry| entry.is_table_data());
        let ids = |entries: Vec<&Entry>| entries.into_iter().map(|entry| entry.id).collect();
        Rows { rows: ids(rows), others: ids(others) }
    }
}

/// A list of entries as `--use-list` reads it, which looks at their numbers only.
pub fn list(entries: &[u32]) -> String {
    entries.iter().map(|id| format!("{id};\n")).collect()
}

/// The OID of pg_class itself (pg_class.dat: fixed in all versions).
const PG_CLASS: u32 = 1259;

/// Reads a listing. A line that cannot be read is an error: an entry that is passed over could be a table that is missing.
pub fn parse(listing: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in listing.lines().enumerate() {
        if let Some((needs, entry)) = line.strip_prefix(";\tdepends on:").zip(entries.last_mut()) {
            let numbers: Option<Vec<u32>> = needs.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
            entry.needs = numbers.ok_or_else(|| format!("line {} of pg_restore's listing cannot be read", number + 1))?;
        }
        if line.starts_with(';') || line.trim().is_empty() {
            continue;
        }
        let entry = || -> Option<Entry> {
            let (dump_id, rest) = line.split_once("; ")?;
            let (catalogue, rest) = rest.split_once(' ')?;
            let (oid, rest) = rest.split_once(' ')?;
            Some(Entry { id: dump_id.parse().ok()?, needs: Vec::new(), catalogue: catalogue.parse().ok()?, oid: oid.parse().ok()?, rest: rest.to_owned() })
        };
        entries.push(entry().ok_or_else(|| format!("line {} of pg_restore's listing cannot be read", number + 1))?);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let text = ";\n; Archive created at 2026\n;\n214; 1259 16385 TABLE public t postgres\n215; 1259 16390 TABLE public we\"ird n postgres\n3213; 0 0 TABLE ATTACH public p1 postgres\n3358; 0 16394 TABLE DATA public t postgres\n";
        let entries = parse(text).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries.iter().filter(|entry| entry.is_table()).map(|entry| entry.oid).collect::<Vec<_>>(), [16385, 16390]);
        assert_eq!(entries.iter().filter(|entry| entry.is_table_data()).map(|entry| entry.oid).collect::<Vec<_>>(), [16394]);
        let verbose = parse("; Selected\n3; 2606 5 CONSTRAINT public t t_pkey o\n;\tdepends on: 214 214\n4; 1259 6 INDEX public i o\n").unwrap();
        assert_eq!((verbose[0].id, verbose[0].needs.as_slice(), verbose[1].needs.len()), (3, [214, 214].as_slice(), 0));
        for wrong in ["x", "1; 2", "1; 2 x TABLE", "a; 1 2 TABLE t", "1; 1 2 TABLE t\n;\tdepends on: x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
