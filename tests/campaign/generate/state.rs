//! What a generated database holds at the moment: tables with their columns, types, and every other object by kind and name.
//! It owns the reading, from the catalogue itself, so that the model of a history is never wrong; it leaves what is done with it to the makers.
//! Invariant: everything is in the order of its names, so that a history follows from the seed alone.

use kluis::postgres::session::{Rows, Session};

/// A column of a relation.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Its name, quoted.
    pub name: String,
    /// Its type as `format_type` words it, with its modifiers.
    pub kind: String,
    /// Whether it refuses NULL.
    pub not_null: bool,
    /// Whether it is generated.
    pub generated: bool,
    /// How it is an identity: `a`, `d` or nothing.
    pub identity: String,
    /// The table and column that a foreign key of this column alone leads to.
    pub leads_to: Option<(String, String)>,
}

/// A table, view, materialized view or foreign table.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    /// Schema and name, quoted.
    pub name: String,
    /// As `pg_class.relkind` has it.
    pub kind: char,
    /// Whether it is a partition.
    pub is_partition: bool,
    /// How it is partitioned, as `pg_get_partkeydef` words it; empty where it is not.
    pub strategy: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A type of somebody's own.
#[derive(Debug, Clone)]
pub struct Type {
    /// Schema and name, quoted.
    pub name: String,
    /// As `pg_type.typtype` has it.
    pub kind: char,
    /// Labels of an enum, types of a composite's attributes, the type below a domain, the type of a range's bounds.
    pub parts: Vec<String>,
}

/// Any other object.
#[derive(Debug, Clone)]
pub struct Object {
    /// As `pg_identify_object` names its type: `table constraint`, `function`, `text search dictionary`.
    pub kind: String,
    /// As `pg_identify_object` words it, quoted.
    pub identity: String,
    /// What more a maker wants to know: the return type of a function, the type of a constraint.
    pub more: String,
}

/// All of it.
#[derive(Debug, Default)]
pub struct State {
    /// Schemas of one's own and `public`, quoted.
    pub schemas: Vec<String>,
    /// Tables and views.
    pub relations: Vec<Relation>,
    /// Types.
    pub types: Vec<Type>,
    /// The rest.
    pub objects: Vec<Object>,
}

const RELATIONS: &str = "SELECT c.oid::pg_catalog.regclass::text, c.relkind::text, c.relispartition::text, coalesce(pg_get_partkeydef(c.oid), ''),
        quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull::text, (a.attgenerated <> '')::text, a.attidentity::text,
        f.confrelid::pg_catalog.regclass::text, quote_ident(g.attname)
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN LATERAL (SELECT * FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum] ORDER BY conname LIMIT 1) f ON true
    LEFT JOIN pg_attribute g ON g.attrelid = f.confrelid AND g.attnum = f.confkey[1]
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.oid::pg_catalog.regclass::text COLLATE \"C\", a.attnum";

const TYPES: &str = "SELECT format_type(t.oid, NULL), t.typtype::text, CASE t.typtype
        WHEN 'e' THEN (SELECT string_agg(enumlabel, E'\\x1f' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)
        WHEN 'c' THEN (SELECT string_agg(format_type(atttypid, atttypmod), E'\\x1f' ORDER BY attnum) FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped)
        WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod)
        WHEN 'r' THEN (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid) END
    FROM pg_type t WHERE t.oid >= 16384 AND t.typtype IN ('e', 'c', 'd', 'r') AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c'))
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    ORDER BY format_type(t.oid, NULL) COLLATE \"C\"";

/// What belongs to an extension, to a partition's parent or to another object is left out: it is never named by itself.
const OBJECTS: &str = "SELECT o.type, o.identity, x.more FROM (
        SELECT 'pg_class'::regclass::oid, oid, '' FROM pg_class WHERE relkind IN ('S', 'i', 'I', 'r', 'p', 'v', 'm', 'f', 'c') AND relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace
        UNION ALL SELECT 'pg_type'::regclass, oid, '' FROM pg_type WHERE typtype IN ('e', 'd', 'r')
        UNION ALL SELECT 'pg_proc'::regclass, oid, format_type(prorettype, NULL) FROM pg_proc
        UNION ALL SELECT 'pg_constraint'::regclass, oid, contype::text FROM pg_constraint WHERE conparentid = 0
        UNION ALL SELECT 'pg_trigger'::regclass, oid, '' FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, '' FROM pg_rewrite WHERE rulename <> '_RETURN'
        UNION ALL SELECT 'pg_policy'::regclass, oid, '' FROM pg_policy
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, '' FROM pg_statistic_ext
        UNION ALL SELECT 'pg_operator'::regclass, oid, '' FROM pg_operator
        UNION ALL SELECT 'pg_opclass'::regclass, oid, '' FROM pg_opclass
        UNION ALL SELECT 'pg_opfamily'::regclass, oid, '' FROM pg_opfamily
        UNION ALL SELECT 'pg_collation'::regclass, oid, '' FROM pg_collation
        UNION ALL SELECT 'pg_conversion'::regclass, oid, '' FROM pg_conversion
        UNION ALL SELECT 'pg_cast'::regclass, oid, '' FROM pg_cast
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, '' FROM pg_ts_config
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, '' FROM pg_ts_dict
        UNION ALL SELECT 'pg_ts_parser'::regclass, oid, '' FROM pg_ts_parser
        UNION ALL SELECT 'pg_ts_template'::regclass, oid, '' FROM pg_ts_template
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, '' FROM pg_foreign_data_wrapper
        UNION ALL SELECT 'pg_foreign_server'::regclass, oid, '' FROM pg_foreign_server
        UNION ALL SELECT 'pg_event_trigger'::regclass, oid, '' FROM pg_event_trigger
        UNION ALL SELECT 'pg_publication'::regclass, oid, '' FROM pg_publication
        UNION ALL SELECT 'pg_language'::regclass, oid, '' FROM pg_language
        UNION ALL SELECT 'pg_namespace'::regclass, oid, '' FROM pg_namespace WHERE nspname !~ '^pg_'
        UNION ALL SELECT 'pg_extension'::regclass, oid, '' FROM pg_extension
        UNION ALL SELECT 'pg_largeobject'::regclass, oid, '' FROM pg_largeobject_metadata
    ) x(classid, objid, more), pg_identify_object(x.classid, x.objid, 0) o
    WHERE x.objid >= 16384 AND o.identity IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = x.classid AND d.objid = x.objid AND (d.deptype IN ('e', 'P', 'S') OR d.deptype = 'i' AND x.classid IN ('pg_proc'::regclass, 'pg_cast'::regclass)))
    ORDER BY o.type COLLATE \"C\", o.identity COLLATE \"C\"";

fn cell(rows: &Rows, row: usize, column: usize) -> String {
    rows.get(row, column).unwrap_or_default().to_owned()
}

impl State {
    /// Reads it.
    pub fn read(session: &mut Session) -> State {
        let mut state = State::default();
        let rows = session.query("SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_namespace.oid AND d.deptype = 'e') ORDER BY quote_ident(nspname) COLLATE \"C\"");
        let rows = rows.expect("schemas can be read");
        state.schemas = (0..rows.len()).map(|row| cell(&rows, row, 0)).collect();
        let rows = session.query(RELATIONS).expect("relations can be read");
        for row in 0..rows.len() {
            let name = cell(&rows, row, 0);
            if state.relations.last().is_none_or(|last| last.name != name) {
                state.relations.push(Relation {
                    name,
                    kind: cell(&rows, row, 1).chars().next().unwrap_or('r'),
                    is_partition: cell(&rows, row, 2) == "true",
                    strategy: cell(&rows, row, 3),
                    columns: Vec::new(),
                });
            }
            if rows.get(row, 4).is_none() {
                continue;
            }
            let column = Column {
                name: cell(&rows, row, 4),
                kind: cell(&rows, row, 5),
                not_null: cell(&rows, row, 6) == "true",
                generated: cell(&rows, row, 7) == "true",
                identity: cell(&rows, row, 8),
                leads_to: rows.get(row, 9).zip(rows.get(row, 10)).map(|(table, column)| (table.to_owned(), column.to_owned())),
            };
            state.relations.last_mut().expect("one was pushed").columns.push(column);
        }
        let rows = session.query(TYPES).expect("types can be read");
        state.types = (0..rows.len())
            .map(|row| Type {
                name: cell(&rows, row, 0),
                kind: cell(&rows, row, 1).chars().next().unwrap_or('e'),
                parts: rows.get(row, 2).map(|text| text.split('\u{1f}').map(str::to_owned).collect()).unwrap_or_default(),
            })
            .collect();
        let rows = session.query(OBJECTS).expect("objects can be read");
        state.objects = (0..rows.len()).map(|row| Object { kind: cell(&rows, row, 0), identity: cell(&rows, row, 1), more: cell(&rows, row, 2) }).collect();
        state
    }

    /// The type of this name, if it is somebody's own.
    pub fn own_type(&self, name: &str) -> Option<&Type> {
        self.types.iter().find(|kind| kind.name == name)
    }
}
