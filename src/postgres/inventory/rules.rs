//! How each column of each catalogue is witnessed: compared, put into terms that survive a restore, or ignored with a reason.
//! It owns that table; it leaves making queries of it to its parent, and judging a difference to the drill. Pure.
//! Invariant: a column of any major that is served stands here, or a test fails: nothing is left out silently.

/// What is done with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It names the row. `@` in the SQL stands for the column.
    Key(&'static str),
    /// It is compared.
    Value(&'static str),
    /// It is an expression, as the server words it. A restore may word it in another way: then the source's words must stand in the script.
    Expression(&'static str),
    /// It is not looked at, for this reason.
    Ignore(&'static str),
}

/// A catalogue, and which of its rows belong to the database's owner.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue {
    /// Its name in `pg_catalog`, or for something that no catalogue lists by itself a name with a space.
    pub name: &'static str,
    /// The FROM clause: the catalogue is `c`. Empty for a catalogue that is not walked.
    pub from: &'static str,
    /// Which rows, as a condition.
    pub rows: &'static str,
    /// Whose member the row is: the catalogue and the OID of an object that an extension may own.
    pub member: (&'static str, &'static str),
    /// The OID of the schema that the row's object lies in, or NULL.
    pub schema: &'static str,
    /// Its columns. A name with a plus is no column but something that is worked out.
    pub columns: &'static [(&'static str, Rule)],
}

use Rule::{Expression, Ignore, Key, Value};

// Terms that survive a restore, for what is an OID in the catalogue. With an empty search_path names are qualified, and quoted where that is needed.
const PLAIN: &str = "@";
const CLASS: &str = "@::oid::regclass";
const TYPE: &str = "@::oid::regtype";
const PROC: &str = "@::oid::regprocedure";
const OPER: &str = "@::oid::regoperator";
const SCHEMA: &str = "@::oid::regnamespace";
const ROLE: &str = "@::oid::regrole";
const COLLATION: &str = "@::oid::regcollation";
const CONFIG: &str = "@::oid::regconfig";
const METHOD: &str = "(SELECT amname FROM pg_am WHERE oid = @)";
const LANGUAGE: &str = "(SELECT lanname FROM pg_language WHERE oid = @)";
const TABLESPACE: &str = "(SELECT spcname FROM pg_tablespace WHERE oid = @)";
const SERVER: &str = "(SELECT srvname FROM pg_foreign_server WHERE oid = @)";
const WRAPPER: &str = "(SELECT fdwname FROM pg_foreign_data_wrapper WHERE oid = @)";
const PUBLICATION: &str = "(SELECT pubname FROM pg_publication WHERE oid = @)";
const OPCLASS: &str = "(SELECT format('%s.%I using %I', o.opcnamespace::regnamespace, o.opcname, a.amname) FROM pg_opclass o JOIN pg_am a ON a.oid = o.opcmethod WHERE o.oid = @)";
const OPFAMILY: &str = "(SELECT format('%s.%I using %I', o.opfnamespace::regnamespace, o.opfname, a.amname) FROM pg_opfamily o JOIN pg_am a ON a.oid = o.opfmethod WHERE o.oid = @)";
const PARSER: &str = "(SELECT format('%s.%I', prsnamespace::regnamespace, prsname) FROM pg_ts_parser WHERE oid = @)";
const TEMPLATE: &str = "(SELECT format('%s.%I', tmplnamespace::regnamespace, tmplname) FROM pg_ts_template WHERE oid = @)";
const TYPES: &str = "(SELECT string_agg(u.x::regtype::text, ', ' ORDER BY u.n) FROM unnest(@::oid[]) WITH ORDINALITY AS u (x, n))";
const OPERS: &str = "(SELECT string_agg(u.x::regoperator::text, ', ' ORDER BY u.n) FROM unnest(@::oid[]) WITH ORDINALITY AS u (x, n))";
const COLLATIONS: &str = "(SELECT string_agg(u.x::regcollation::text, ', ' ORDER BY u.n) FROM unnest(@::oid[]) WITH ORDINALITY AS u (x, n))";
const OPCLASSES: &str = "(SELECT string_agg(format('%s.%I', o.opcnamespace::regnamespace, o.opcname), ', ' ORDER BY u.n)
    FROM unnest(@::oid[]) WITH ORDINALITY AS u (x, n) JOIN pg_opclass o ON o.oid = u.x)";
const ROLES: &str = "(SELECT string_agg(t, ', ' ORDER BY t COLLATE \"C\") FROM (SELECT CASE WHEN u.x = 0 THEN 'PUBLIC' ELSE u.x::regrole::text END
    FROM unnest(@::oid[]) AS u (x)) AS named (t))";
/// Options are a set. Some builds keep a number of their own among a column's (`pg_attver`), that of the object's age.
const OPTIONS: &str = "(SELECT string_agg(u.x, ', ' ORDER BY u.x COLLATE \"C\") FROM unnest(@::text[]) AS u (x) WHERE u.x !~ '^pg_attver=')";
/// Options that may hold a password: only whether they are the same is of interest.
pub(super) const SECRET: &str = "(SELECT md5(string_agg(u.x, ', ' ORDER BY u.x COLLATE \"C\")) FROM unnest(@::text[]) AS u (x))";
/// Owners and rights of an extension's members are those of whoever created it: a restore creates it anew.
const OWNER: &str = "CASE WHEN e.objid IS NULL THEN @::oid::regrole END";

/// Rights, sorted, with grantors; `none` where all were taken away.
macro_rules! sorted {
    ($rights:literal) => {
        concat!(
            "coalesce((SELECT string_agg(x.t, ' ' ORDER BY x.t COLLATE \"C\") FROM (SELECT format('%s=%s%s/%s', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, ",
            "a.privilege_type, CASE WHEN a.is_grantable THEN '*' ELSE '' END, a.grantor::regrole) FROM aclexplode(",
            $rights,
            ") a) AS x (t)), 'none')"
        )
    };
}

/// Whether a row of pg_sequence is the sequence of an identity column.
macro_rules! of_identity {
    () => {
        "EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.seqrelid AND d.deptype = 'i')"
    };
}

/// The greatest value of its type.
macro_rules! greatest {
    () => {
        "CASE c.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END"
    };
}

/// Rights, or nothing where they are what the object got when it was made, by the rules of its kind or by an extension's script.
macro_rules! rights {
    ($kind:literal, $owner:literal) => {
        concat!(
            "CASE WHEN @ IS NULL THEN '' ELSE coalesce(nullif(",
            sorted!("@"),
            ", (SELECT ",
            sorted!("u.usual"),
            " FROM (SELECT coalesce((SELECT initprivs FROM pg_init_privs p WHERE p.objoid = c.oid AND p.classoid = c.tableoid AND p.objsubid = 0), acldefault(",
            $kind,
            ", ",
            $owner,
            "))) AS u (usual))), '') END"
        )
    };
}

/// Names of a vector of column numbers, in its order.
macro_rules! columns {
    ($relation:literal) => {
        concat!(
            "(SELECT string_agg(coalesce(quote_ident(a.attname), '-'), ', ' ORDER BY u.n) FROM unnest(@::int2[]) WITH ORDINALITY AS u (x, n) LEFT JOIN pg_attribute a ON a.attrelid = ",
            $relation,
            " AND a.attnum = u.x AND u.x <> 0)"
        )
    };
}

const OID: &str = "an OID means nothing in another database";
const DERIVED: &str = "it follows from other columns that are compared";
const STATISTICS: &str = "statistics, collected anew";
const PHYSICAL: &str = "where and how rows lie on this server's disk";
const LAZY: &str = "a flag that is set and cleared when somebody happens to look";
const LOCALITY: &str = "a restore may make local what was inherited, and the other way round";
const CONSTRUCTOR: &str = "a range type's constructors come with the type, under the name that it then has";
const GLOBALS: &str = "it belongs to the cluster: pg_dumpall writes it, and the drill makes it from there";
const DATABASE: &str = "it belongs to the database itself: the manifest's properties";

/// A relation that is no temporary one, and is not in a schema for TOAST tables.
const LASTING: &str = "r.oid >= 16384 AND r.relpersistence <> 't' AND r.relkind <> 't' AND r.relnamespace <> 99";

const NONE: (&str, &str) = ("", "");

const fn unwalked(name: &'static str, columns: &'static [(&'static str, Rule)]) -> Catalogue {
    Catalogue { name, from: "", rows: "", member: NONE, schema: "NULL", columns }
}

const fn simple(name: &'static str, from: &'static str, schema: &'static str, columns: &'static [(&'static str, Rule)]) -> Catalogue {
    Catalogue { name, from, rows: "c.oid >= 16384", member: (name, "c.oid"), schema, columns }
}

/// Of a relation: `r` in the FROM clause.
const fn of_relation(name: &'static str, from: &'static str, rows: &'static str, columns: &'static [(&'static str, Rule)]) -> Catalogue {
    Catalogue { name, from, rows, member: ("pg_class", "r.oid"), schema: "r.relnamespace", columns }
}

/// Every catalogue of the majors that are served.
pub const CATALOGUES: &[Catalogue] = &[
    // These two first, so that a reader knows the extensions and the invalid indexes when it meets what is theirs.
    Catalogue {
        name: "pg_extension",
        from: "pg_extension c",
        rows: "true",
        member: ("pg_extension", "c.oid"),
        schema: "NULL",
        columns: &[
            ("oid", Ignore(OID)),
            ("extname", Key(PLAIN)),
            ("extowner", Ignore("whoever restores it owns it: pg_dump does not tell")),
            ("extnamespace", Value(SCHEMA)),
            ("extrelocatable", Ignore("the extension's control file says it")),
            ("extversion", Value(PLAIN)),
            ("extconfig", Ignore("the extension's script sets it; the rows are compared")),
            ("extcondition", Ignore("the extension's script sets it; the rows are compared")),
        ],
    },
    of_relation(
        "pg_index",
        "pg_index c JOIN pg_class r ON r.oid = c.indrelid",
        LASTING,
        &[
            ("indexrelid", Key(CLASS)),
            ("indrelid", Value(CLASS)),
            ("indnatts", Value(PLAIN)),
            ("indnkeyatts", Value(PLAIN)),
            ("indisunique", Value(PLAIN)),
            ("indnullsnotdistinct", Value(PLAIN)),
            ("indisprimary", Value(PLAIN)),
            ("indisexclusion", Value(PLAIN)),
            ("indimmediate", Value(PLAIN)),
            ("indisclustered", Value(PLAIN)),
            ("indisvalid", Value(PLAIN)),
            ("indcheckxmin", Ignore(LAZY)),
            ("indisready", Value(PLAIN)),
            ("indislive", Value(PLAIN)),
            ("indisreplident", Value(PLAIN)),
            ("indkey", Value(columns!("c.indrelid"))),
            ("indcollation", Value(COLLATIONS)),
            ("indclass", Value(OPCLASSES)),
            ("indoption", Value(PLAIN)),
            ("indexprs", Expression(INDEX)),
            ("indpred", Expression(INDEX)),
        ],
    ),
    simple(
        "pg_aggregate",
        "(SELECT g.*, p.oid, p.pronamespace FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid) c",
        "c.pronamespace",
        &[
            ("aggfnoid", Key(PROC)),
            ("aggkind", Value(PLAIN)),
            ("aggnumdirectargs", Value(PLAIN)),
            ("aggtransfn", Value(PROC)),
            ("aggfinalfn", Value(PROC)),
            ("aggcombinefn", Value(PROC)),
            ("aggserialfn", Value(PROC)),
            ("aggdeserialfn", Value(PROC)),
            ("aggmtransfn", Value(PROC)),
            ("aggminvtransfn", Value(PROC)),
            ("aggmfinalfn", Value(PROC)),
            ("aggfinalextra", Value(PLAIN)),
            ("aggmfinalextra", Value(PLAIN)),
            ("aggfinalmodify", Value(PLAIN)),
            ("aggmfinalmodify", Value(PLAIN)),
            ("aggsortop", Value(OPER)),
            ("aggtranstype", Value(TYPE)),
            ("aggtransspace", Value(PLAIN)),
            ("aggmtranstype", Value(TYPE)),
            ("aggmtransspace", Value(PLAIN)),
            ("agginitval", Value(PLAIN)),
            ("aggminitval", Value(PLAIN)),
        ],
    ),
    simple("pg_am", "pg_am c", "NULL", &[("oid", Ignore(OID)), ("amname", Key(PLAIN)), ("amhandler", Value(PROC)), ("amtype", Value(PLAIN))]),
    Catalogue {
        name: "pg_amop",
        from: "pg_amop c JOIN pg_opfamily f ON f.oid = c.amopfamily",
        rows: "c.oid >= 16384",
        member: ("pg_opfamily", "f.oid"),
        schema: "f.opfnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("amopfamily", Key(OPFAMILY)),
            ("amoplefttype", Key(TYPE)),
            ("amoprighttype", Key(TYPE)),
            ("amopstrategy", Key(PLAIN)),
            ("amoppurpose", Key(PLAIN)),
            ("amopopr", Value(OPER)),
            ("amopmethod", Ignore(DERIVED)),
            ("amopsortfamily", Value(OPFAMILY)),
        ],
    },
    Catalogue {
        name: "pg_amproc",
        from: "pg_amproc c JOIN pg_opfamily f ON f.oid = c.amprocfamily",
        rows: "c.oid >= 16384",
        member: ("pg_opfamily", "f.oid"),
        schema: "f.opfnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("amprocfamily", Key(OPFAMILY)),
            ("amproclefttype", Key(TYPE)),
            ("amprocrighttype", Key(TYPE)),
            ("amprocnum", Key(PLAIN)),
            ("amproc", Value(PROC)),
        ],
    },
    of_relation(
        "pg_attrdef",
        "pg_attrdef c JOIN pg_class r ON r.oid = c.adrelid JOIN pg_attribute t ON t.attrelid = c.adrelid AND t.attnum = c.adnum",
        // DEFAULT NULL is no default, except where it hides a parent's: there a row of the parent's would be one too many.
        "r.oid >= 16384 AND r.relpersistence <> 't' AND pg_get_expr(c.adbin, c.adrelid) !~ '^NULL(::|$)'",
        &[("oid", Ignore(OID)), ("adrelid", Key(CLASS)), ("adnum", Key("t.attname")), ("adbin", Expression("pg_get_expr(c.adbin, c.adrelid)"))],
    ),
    of_relation(
        "pg_attribute",
        "(SELECT a.*, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS place FROM pg_attribute a WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped) c JOIN pg_class r ON r.oid = c.attrelid",
        "r.relpersistence <> 't' AND r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')",
        &[
            ("attrelid", Key(CLASS)),
            ("attname", Key(PLAIN)),
            ("atttypid", Value("format_type(c.atttypid, c.atttypmod)")),
            ("attstattarget", Value(PLAIN)),
            ("attlen", Ignore(DERIVED)),
            // The order of inherited columns is their parents'.
            ("attnum", Value("CASE WHEN c.attrelid NOT IN (SELECT inhrelid FROM pg_inherits) THEN c.place END")),
            ("attndims", Ignore("nothing checks it, and a restore may note another number")),
            ("attcacheoff", Ignore(LAZY)),
            ("atttypmod", Ignore(DERIVED)),
            ("attbyval", Ignore(DERIVED)),
            ("attstorage", Value(PLAIN)),
            ("attalign", Ignore(DERIVED)),
            // Before 18 a child may be without its parent's NOT NULL; a restore inherits it anew.
            (
                "attnotnull",
                Value(
                    "c.attnotnull OR EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute p ON p.attrelid = i.inhparent AND p.attname = c.attname WHERE i.inhrelid = c.attrelid AND p.attnotnull)",
                ),
            ),
            ("atthasdef", Ignore(DERIVED)),
            ("atthasmissing", Ignore(PHYSICAL)),
            ("attidentity", Value(PLAIN)),
            ("attgenerated", Value(PLAIN)),
            ("attisdropped", Ignore("a dropped column is not brought back")),
            ("attislocal", Ignore(LOCALITY)),
            ("attinhcount", Ignore(LOCALITY)),
            ("attcollation", Value(COLLATION)),
            ("attacl", Value(COLUMN_RIGHTS)),
            ("attoptions", Value(OPTIONS)),
            ("attfdwoptions", Value(OPTIONS)),
            ("attmissingval", Ignore(PHYSICAL)),
            ("attcompression", Value(PLAIN)),
        ],
    ),
    of_relation(
        "columns of indexes",
        "pg_attribute c JOIN pg_class r ON r.oid = c.attrelid",
        "r.oid >= 16384 AND r.relpersistence <> 't' AND r.relkind IN ('i', 'I') AND c.attstattarget >= 0",
        &[("attrelid", Key(CLASS)), ("attnum", Key(PLAIN)), ("attstattarget", Value(PLAIN))],
    ),
    unwalked(
        "pg_auth_members",
        &[
            ("oid", Ignore(GLOBALS)),
            ("roleid", Ignore(GLOBALS)),
            ("member", Ignore(GLOBALS)),
            ("grantor", Ignore(GLOBALS)),
            ("admin_option", Ignore(GLOBALS)),
            ("inherit_option", Ignore(GLOBALS)),
            ("set_option", Ignore(GLOBALS)),
        ],
    ),
    unwalked(
        "pg_authid",
        &[
            ("oid", Ignore(GLOBALS)),
            ("rolname", Ignore(GLOBALS)),
            ("rolsuper", Ignore(GLOBALS)),
            ("rolinherit", Ignore(GLOBALS)),
            ("rolcreaterole", Ignore(GLOBALS)),
            ("rolcreatedb", Ignore(GLOBALS)),
            ("rolcanlogin", Ignore(GLOBALS)),
            ("rolreplication", Ignore(GLOBALS)),
            ("rolbypassrls", Ignore(GLOBALS)),
            ("rolconnlimit", Ignore(GLOBALS)),
            ("rolpassword", Ignore(GLOBALS)),
            ("rolvaliduntil", Ignore(GLOBALS)),
        ],
    ),
    simple(
        "pg_cast",
        "pg_cast c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("castsource", Key(TYPE)),
            ("casttarget", Key(TYPE)),
            // A range type's constructor: see pg_proc.
            (
                "castfunc",
                Value(
                    "CASE WHEN NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = @ AND d.deptype = 'i') THEN @::oid::regprocedure END",
                ),
            ),
            ("castcontext", Value(PLAIN)),
            ("castmethod", Value(PLAIN)),
        ],
    ),
    Catalogue {
        name: "pg_class",
        from: "pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid",
        rows: "c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind <> 't' AND c.relnamespace <> 99",
        // An index of an extension's table is no member, and is the extension's all the same.
        member: ("pg_class", "coalesce(i.indrelid, c.oid)"),
        schema: "c.relnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("relname", Key("c.oid::regclass")),
            ("relnamespace", Ignore("it is in the name")),
            ("reltype", Ignore(DERIVED)),
            ("reloftype", Value(TYPE)),
            ("relowner", Value(OWNER)),
            ("relam", Value(METHOD)),
            ("relfilenode", Ignore(PHYSICAL)),
            ("reltablespace", Value(TABLESPACE)),
            ("relpages", Ignore(STATISTICS)),
            ("reltuples", Ignore(STATISTICS)),
            ("relallvisible", Ignore(STATISTICS)),
            ("relallfrozen", Ignore(STATISTICS)),
            ("reltoastrelid", Ignore(PHYSICAL)),
            ("relhasindex", Ignore(LAZY)),
            ("relisshared", Ignore("a database's own relations are not shared")),
            ("relpersistence", Value(PLAIN)),
            ("relkind", Value(PLAIN)),
            ("relnatts", Ignore(DERIVED)),
            ("relchecks", Ignore(DERIVED)),
            ("relhasrules", Ignore(LAZY)),
            ("relhastriggers", Ignore(LAZY)),
            ("relhassubclass", Ignore(LAZY)),
            ("relrowsecurity", Value(PLAIN)),
            ("relforcerowsecurity", Value(PLAIN)),
            ("relispopulated", Value(PLAIN)),
            ("relreplident", Value(PLAIN)),
            ("relispartition", Value(PLAIN)),
            ("relrewrite", Ignore(PHYSICAL)),
            ("relfrozenxid", Ignore(PHYSICAL)),
            ("relminmxid", Ignore(PHYSICAL)),
            ("relacl", Value(RELATION_RIGHTS)),
            ("+identity_acl", Value(IDENTITY_RIGHTS)),
            ("reloptions", Value(OPTIONS)),
            (
                "+toast options",
                Value("(SELECT string_agg(u.x, ', ' ORDER BY u.x COLLATE \"C\") FROM pg_class t, unnest(t.reloptions) AS u (x) WHERE t.oid = c.reltoastrelid)"),
            ),
            ("relpartbound", Expression("pg_get_expr(c.relpartbound, c.oid)")),
        ],
    },
    simple(
        "pg_collation",
        "pg_collation c",
        "c.collnamespace",
        &[
            ("oid", Ignore(OID)),
            ("collname", Key(PLAIN)),
            ("collnamespace", Key(SCHEMA)),
            ("collowner", Value(OWNER)),
            ("collprovider", Value(PLAIN)),
            ("collisdeterministic", Value(PLAIN)),
            ("collencoding", Ignore("a copy of the system's collation is for every encoding, a restored one for the database's")),
            ("collcollate", Value(PLAIN)),
            ("collctype", Value(PLAIN)),
            ("colliculocale", Value(PLAIN)),
            ("colllocale", Value(PLAIN)),
            ("collicurules", Value(PLAIN)),
            ("collversion", Ignore("the version of this machine's library")),
        ],
    ),
    Catalogue {
        name: "pg_constraint",
        from: "pg_constraint c LEFT JOIN pg_class r ON r.oid = c.conrelid LEFT JOIN pg_type y ON y.oid = c.contypid",
        // A foreign key that a partition has from its parent, or that leads to a partition, comes with the parent's.
        rows: "c.oid >= 16384 AND coalesce(r.relpersistence, 'p') <> 't' AND NOT (c.contype = 'f' AND c.conparentid <> 0)",
        member: (
            "CASE WHEN c.conrelid <> 0 THEN 'pg_class'::regclass ELSE 'pg_type'::regclass END",
            "CASE WHEN c.conrelid <> 0 THEN c.conrelid ELSE c.contypid END",
        ),
        schema: "c.connamespace",
        columns: &[
            ("oid", Ignore(OID)),
            // pg_dump leaves out the name of a NOT NULL that the server would choose as well; where a table made before has taken it, the server chooses another.
            (
                "conname",
                Key(
                    "CASE WHEN c.contype = 'n' THEN concat('NOT NULL ', (SELECT attname FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = c.conkey[1])) ELSE c.conname END",
                ),
            ),
            (NAME, Value("CASE WHEN c.contype = 'n' THEN c.conname END")),
            ("connamespace", Ignore("it is that of the table or the domain")),
            ("contype", Value(PLAIN)),
            ("condeferrable", Value(PLAIN)),
            ("condeferred", Value(PLAIN)),
            ("convalidated", Value("CASE WHEN c.coninhcount = 0 THEN c.convalidated END")),
            ("conenforced", Value("CASE WHEN c.coninhcount = 0 THEN c.conenforced END")),
            (STATE, Value(INHERITED_STATE)),
            ("conrelid", Key(CLASS)),
            ("contypid", Key(TYPE)),
            ("conindid", Value(CLASS)),
            ("conparentid", Ignore("it follows from the partitions' indexes and constraints")),
            ("confrelid", Value(CLASS)),
            ("confupdtype", Value(PLAIN)),
            ("confdeltype", Value(PLAIN)),
            ("confmatchtype", Value(PLAIN)),
            ("conislocal", Ignore(LOCALITY)),
            ("coninhcount", Ignore(LOCALITY)),
            // For keys it tells whether they came by an attachment.
            ("connoinherit", Value("CASE WHEN c.contype IN ('c', 'n') THEN c.connoinherit END")),
            ("conperiod", Value(PLAIN)),
            // The order of a check's columns is that in which it names them: the expression tells.
            ("conkey", Value(CONSTRAINED)),
            ("confkey", Value(columns!("c.confrelid"))),
            ("conpfeqop", Value(OPERS)),
            ("conppeqop", Value(OPERS)),
            ("conffeqop", Value(OPERS)),
            ("confdelsetcols", Value(columns!("c.conrelid"))),
            ("conexclop", Value(OPERS)),
            // What a child inherits is its parent's; a partition's is dumped with it.
            ("conbin", Expression("CASE WHEN c.coninhcount = 0 OR r.relispartition THEN pg_get_expr(c.conbin, c.conrelid) END")),
        ],
    },
    simple(
        "pg_conversion",
        "pg_conversion c",
        "c.connamespace",
        &[
            ("oid", Ignore(OID)),
            ("conname", Key(PLAIN)),
            ("connamespace", Key(SCHEMA)),
            ("conowner", Value(OWNER)),
            ("conforencoding", Value(PLAIN)),
            ("contoencoding", Value(PLAIN)),
            ("conproc", Value(PROC)),
            ("condefault", Value(PLAIN)),
        ],
    ),
    unwalked(
        "pg_database",
        &[
            ("oid", Ignore(OID)),
            ("datname", Ignore(DATABASE)),
            ("datdba", Ignore(DATABASE)),
            ("encoding", Ignore(DATABASE)),
            ("datcollate", Ignore(DATABASE)),
            ("datctype", Ignore(DATABASE)),
            ("datistemplate", Ignore(DATABASE)),
            ("datallowconn", Ignore(DATABASE)),
            ("dathasloginevt", Ignore(LAZY)),
            ("datconnlimit", Ignore(DATABASE)),
            ("datlastsysoid", Ignore(OID)),
            ("datfrozenxid", Ignore(PHYSICAL)),
            ("datminmxid", Ignore(PHYSICAL)),
            ("dattablespace", Ignore(DATABASE)),
            ("datacl", Ignore(DATABASE)),
            ("datlocprovider", Ignore(DATABASE)),
            ("daticulocale", Ignore(DATABASE)),
            ("datlocale", Ignore(DATABASE)),
            ("daticurules", Ignore(DATABASE)),
            ("datcollversion", Ignore("the version of this machine's library")),
        ],
    ),
    unwalked("pg_db_role_setting", &[("setdatabase", Ignore(DATABASE)), ("setrole", Ignore(DATABASE)), ("setconfig", Ignore(DATABASE))]),
    Catalogue {
        name: "pg_default_acl",
        from: "pg_default_acl c",
        rows: "true",
        member: ("pg_default_acl", "c.oid"),
        schema: "NULL",
        columns: &[
            ("oid", Ignore(OID)),
            ("defaclrole", Key(ROLE)),
            ("defaclnamespace", Key(SCHEMA)),
            ("defaclobjtype", Key(PLAIN)),
            ("defaclacl", Value(sorted!("@"))),
        ],
    },
    Catalogue {
        name: "pg_depend",
        from: "pg_depend c",
        // What else depends on what follows from the objects' own definitions.
        rows: "c.deptype = 'x' OR (c.deptype IN ('a', 'i') AND c.classid = 'pg_class'::regclass AND c.refclassid = 'pg_class'::regclass AND c.refobjsubid > 0 AND EXISTS (SELECT FROM pg_class s WHERE s.oid = c.objid AND s.relkind = 'S' AND s.relpersistence <> 't'))",
        member: ("c.classid", "c.objid"),
        schema: "NULL",
        columns: &[
            ("classid", Key("c.classid::regclass")),
            ("objid", Key("(SELECT i.identity FROM pg_identify_object(c.classid, c.objid, c.objsubid) AS i)")),
            ("objsubid", Ignore(DERIVED)),
            ("refclassid", Value("c.refclassid::regclass")),
            ("refobjid", Key("(SELECT i.identity FROM pg_identify_object(c.refclassid, c.refobjid, c.refobjsubid) AS i)")),
            ("refobjsubid", Ignore(DERIVED)),
            ("deptype", Key(PLAIN)),
        ],
    },
    Catalogue {
        name: "members of extensions",
        from: "pg_depend c JOIN pg_extension x ON x.oid = c.refobjid",
        rows: "c.deptype = 'e' AND c.refclassid = 'pg_extension'::regclass",
        member: ("c.classid", "c.objid"),
        schema: "NULL",
        columns: &[
            ("refobjid", Key("x.extname")),
            ("classid", Key("c.classid::regclass")),
            ("objid", Key("(SELECT i.identity FROM pg_identify_object(c.classid, c.objid, c.objsubid) AS i)")),
        ],
    },
    Catalogue {
        name: "pg_description",
        from: "pg_description c",
        rows: "(c.objoid >= 16384 OR c.classoid = 'pg_largeobject'::regclass OR (c.classoid = 'pg_namespace'::regclass AND c.objoid = (SELECT oid FROM pg_namespace WHERE nspname = 'public'))) AND NOT EXISTS (SELECT FROM pg_class r WHERE c.classoid = 'pg_class'::regclass AND r.oid = c.objoid AND r.relpersistence = 't')",
        member: ("c.classoid", "c.objoid"),
        schema: "NULL",
        columns: &[
            ("classoid", Key("c.classoid::regclass")),
            ("objoid", Key(DESCRIBED)),
            ("objsubid", Ignore("it is in the object's name")),
            ("description", Value(PLAIN)),
            ("+made_with_another", Value(MADE_WITH_ANOTHER)),
        ],
    },
    Catalogue {
        name: "pg_enum",
        from: "(SELECT n.enumtypid, y.typnamespace, string_agg(quote_literal(n.enumlabel), ', ' ORDER BY n.enumsortorder) AS enumlabel FROM pg_enum n JOIN pg_type y ON y.oid = n.enumtypid WHERE y.oid >= 16384 GROUP BY 1, 2) c",
        rows: "true",
        member: ("pg_type", "c.enumtypid"),
        schema: "c.typnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("enumtypid", Key(TYPE)),
            ("enumsortorder", Ignore("the labels are listed in their order")),
            ("enumlabel", Value(PLAIN)),
        ],
    },
    simple(
        "pg_event_trigger",
        "pg_event_trigger c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("evtname", Key(PLAIN)),
            ("evtevent", Value(PLAIN)),
            ("evtowner", Value(OWNER)),
            ("evtfoid", Value(PROC)),
            ("evtenabled", Value(PLAIN)),
            ("evttags", Value(OPTIONS)),
        ],
    ),
    simple(
        "pg_foreign_data_wrapper",
        "pg_foreign_data_wrapper c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("fdwname", Key(PLAIN)),
            ("fdwowner", Value(OWNER)),
            ("fdwhandler", Value(PROC)),
            ("fdwvalidator", Value(PROC)),
            ("fdwconnection", Value(PROC)),
            ("fdwacl", Value(rights!("'F'", "c.fdwowner"))),
            ("fdwoptions", Value(OPTIONS)),
        ],
    ),
    simple(
        "pg_foreign_server",
        "pg_foreign_server c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("srvname", Key(PLAIN)),
            ("srvowner", Value(OWNER)),
            ("srvfdw", Value(WRAPPER)),
            ("srvtype", Value(PLAIN)),
            ("srvversion", Value(PLAIN)),
            ("srvacl", Value(rights!("'S'", "c.srvowner"))),
            ("srvoptions", Value(SECRET)),
        ],
    ),
    of_relation(
        "pg_foreign_table",
        "pg_foreign_table c JOIN pg_class r ON r.oid = c.ftrelid",
        LASTING,
        &[("ftrelid", Key(CLASS)), ("ftserver", Value(SERVER)), ("ftoptions", Value(SECRET))],
    ),
    of_relation(
        "pg_inherits",
        "(SELECT i.inhrelid, string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) AS inhparent, {inhdetachpending} AS inhdetachpending FROM pg_inherits i GROUP BY 1) c JOIN pg_class r ON r.oid = c.inhrelid",
        LASTING,
        &[
            ("inhrelid", Key(CLASS)),
            ("inhparent", Value(PLAIN)),
            ("inhseqno", Ignore("the parents are listed in their order")),
            ("inhdetachpending", Value(PLAIN)),
        ],
    ),
    unwalked(
        "pg_init_privs",
        &[
            ("objoid", Ignore(OID)),
            ("classoid", Ignore(OID)),
            ("objsubid", Ignore(OID)),
            ("privtype", Ignore("what initdb and extensions set: rights are compared against it")),
            ("initprivs", Ignore("what initdb and extensions set: rights are compared against it")),
        ],
    ),
    simple(
        "pg_language",
        "pg_language c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("lanname", Key(PLAIN)),
            ("lanowner", Value(OWNER)),
            ("lanispl", Value(PLAIN)),
            ("lanpltrusted", Value(PLAIN)),
            ("lanplcallfoid", Value(PROC)),
            ("laninline", Value(PROC)),
            ("lanvalidator", Value(PROC)),
            ("lanacl", Value(rights!("'l'", "c.lanowner"))),
        ],
    ),
    unwalked(
        "pg_largeobject",
        &[("loid", Ignore("the large objects' bytes are digested")), ("pageno", Ignore(PHYSICAL)), ("data", Ignore("the large objects' bytes are digested"))],
    ),
    Catalogue {
        name: "pg_largeobject_metadata",
        from: "pg_largeobject_metadata c",
        rows: "true",
        member: NONE,
        schema: "NULL",
        columns: &[("oid", Key(PLAIN)), ("lomowner", Value(ROLE)), ("lomacl", Value(rights!("'L'", "c.lomowner")))],
    },
    Catalogue {
        name: "pg_namespace",
        from: "pg_namespace c",
        rows: "(c.oid >= 16384 OR c.nspname = 'public') AND c.nspname !~ '^pg_(toast|temp)'",
        member: ("pg_namespace", "c.oid"),
        schema: "c.oid",
        columns: &[("oid", Ignore(OID)), ("nspname", Key(PLAIN)), ("nspowner", Value(OWNER)), ("nspacl", Value(SCHEMA_RIGHTS))],
    },
    simple(
        "pg_opclass",
        "pg_opclass c",
        "c.opcnamespace",
        &[
            ("oid", Ignore(OID)),
            ("opcmethod", Key(METHOD)),
            ("opcname", Key(PLAIN)),
            ("opcnamespace", Key(SCHEMA)),
            ("opcowner", Value(OWNER)),
            ("opcfamily", Value(OPFAMILY)),
            ("opcintype", Value(TYPE)),
            ("opcdefault", Value(PLAIN)),
            ("opckeytype", Value(TYPE)),
        ],
    ),
    Catalogue {
        name: "pg_operator",
        from: "pg_operator c",
        // An operator without a function is only a name that another one gave to its future partner: pg_dump leaves it out.
        rows: "c.oid >= 16384 AND c.oprcode <> 0",
        member: ("pg_operator", "c.oid"),
        schema: "c.oprnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("oprname", Key("c.oid::regoperator")),
            ("oprnamespace", Ignore("it is in the name")),
            ("oprowner", Value(OWNER)),
            ("oprkind", Value(PLAIN)),
            ("oprcanmerge", Value(PLAIN)),
            ("oprcanhash", Value(PLAIN)),
            ("oprleft", Ignore("it is in the name")),
            ("oprright", Ignore("it is in the name")),
            ("oprresult", Value(TYPE)),
            ("oprcom", Value(OPER)),
            ("oprnegate", Value(OPER)),
            ("oprcode", Value(PROC)),
            ("oprrest", Value(PROC)),
            ("oprjoin", Value(PROC)),
        ],
    },
    simple(
        "pg_opfamily",
        "pg_opfamily c",
        "c.opfnamespace",
        &[("oid", Ignore(OID)), ("opfmethod", Key(METHOD)), ("opfname", Key(PLAIN)), ("opfnamespace", Key(SCHEMA)), ("opfowner", Value(OWNER))],
    ),
    unwalked("pg_parameter_acl", &[("oid", Ignore(GLOBALS)), ("parname", Ignore(GLOBALS)), ("paracl", Ignore(GLOBALS))]),
    of_relation(
        "pg_partitioned_table",
        "pg_partitioned_table c JOIN pg_class r ON r.oid = c.partrelid",
        LASTING,
        &[
            ("partrelid", Key(CLASS)),
            ("partstrat", Value(PLAIN)),
            ("partnatts", Value(PLAIN)),
            ("partdefid", Value(CLASS)),
            ("partattrs", Value(columns!("c.partrelid"))),
            ("partclass", Value(OPCLASSES)),
            ("partcollation", Value(COLLATIONS)),
            ("partexprs", Expression("CASE WHEN c.partexprs IS NOT NULL THEN pg_get_partkeydef(c.partrelid) END")),
        ],
    ),
    of_relation(
        "pg_policy",
        "pg_policy c JOIN pg_class r ON r.oid = c.polrelid",
        LASTING,
        &[
            ("oid", Ignore(OID)),
            ("polname", Key(PLAIN)),
            ("polrelid", Key(CLASS)),
            ("polcmd", Value(PLAIN)),
            ("polpermissive", Value(PLAIN)),
            ("polroles", Value(ROLES)),
            ("polqual", Expression("pg_get_expr(c.polqual, c.polrelid)")),
            ("polwithcheck", Expression("pg_get_expr(c.polwithcheck, c.polrelid)")),
        ],
    ),
    Catalogue {
        name: "pg_proc",
        from: "pg_proc c",
        // A range type's constructors keep the name that the type had when it was made; a restore makes them with the type.
        rows: "c.oid >= 16384 AND c.pronamespace::regnamespace::text !~ '^pg_temp' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = c.oid AND d.deptype = 'i')",
        member: ("pg_proc", "c.oid"),
        schema: "c.pronamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("proname", Key("c.oid::regprocedure")),
            ("pronamespace", Ignore("it is in the name")),
            ("proowner", Value(OWNER)),
            ("prolang", Value(LANGUAGE)),
            ("procost", Value(PLAIN)),
            ("prorows", Value(PLAIN)),
            ("provariadic", Value(TYPE)),
            ("prosupport", Value(PROC)),
            ("prokind", Value(PLAIN)),
            ("prosecdef", Value(PLAIN)),
            ("proleakproof", Value(PLAIN)),
            ("proisstrict", Value(PLAIN)),
            ("proretset", Value(PLAIN)),
            ("provolatile", Value(PLAIN)),
            ("proparallel", Value(PLAIN)),
            ("pronargs", Ignore("they are in the name")),
            ("pronargdefaults", Value(PLAIN)),
            ("prorettype", Value(TYPE)),
            ("proargtypes", Ignore("they are in the name")),
            ("proallargtypes", Value(TYPES)),
            ("proargmodes", Value(PLAIN)),
            ("proargnames", Value(PLAIN)),
            ("proargdefaults", Expression("CASE WHEN c.proargdefaults IS NOT NULL THEN pg_get_function_arguments(c.oid) END")),
            ("protrftypes", Value(TYPES)),
            ("prosrc", Value(PLAIN)),
            ("probin", Value(PLAIN)),
            ("proconfig", Value(OPTIONS)),
            ("proacl", Value(rights!("'f'", "c.proowner"))),
            ("prosqlbody", Expression("CASE WHEN c.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(c.oid) END")),
        ],
    },
    simple(
        "pg_publication",
        "pg_publication c",
        "NULL",
        &[
            ("oid", Ignore(OID)),
            ("pubname", Key(PLAIN)),
            ("pubowner", Value(OWNER)),
            ("puballtables", Value(PLAIN)),
            ("puballsequences", Value(PLAIN)),
            ("pubinsert", Value(PLAIN)),
            ("pubupdate", Value(PLAIN)),
            ("pubdelete", Value(PLAIN)),
            ("pubtruncate", Value(PLAIN)),
            ("pubviaroot", Value(PLAIN)),
            ("pubgencols", Value(PLAIN)),
        ],
    ),
    simple("pg_publication_namespace", "pg_publication_namespace c", "NULL", &[("oid", Ignore(OID)), ("pnpubid", Key(PUBLICATION)), ("pnnspid", Key(SCHEMA))]),
    of_relation(
        "pg_publication_rel",
        "pg_publication_rel c JOIN pg_class r ON r.oid = c.prrelid",
        LASTING,
        &[
            ("oid", Ignore(OID)),
            ("prpubid", Key(PUBLICATION)),
            ("prrelid", Key(CLASS)),
            ("prqual", Expression("pg_get_expr(c.prqual, c.prrelid)")),
            ("prexcept", Value(PLAIN)),
            ("prattrs", Value(columns!("c.prrelid"))),
        ],
    ),
    Catalogue {
        name: "pg_range",
        from: "pg_range c JOIN pg_type y ON y.oid = c.rngtypid",
        rows: "c.rngtypid >= 16384",
        member: ("pg_type", "c.rngtypid"),
        schema: "y.typnamespace",
        columns: &[
            ("rngtypid", Key(TYPE)),
            ("rngsubtype", Value(TYPE)),
            ("rngmultitypid", Value(TYPE)),
            ("rngcollation", Value(COLLATION)),
            ("rngsubopc", Value(OPCLASS)),
            ("rngcanonical", Value(PROC)),
            ("rngsubdiff", Value(PROC)),
            ("rngconstruct2", Ignore(CONSTRUCTOR)),
            ("rngconstruct3", Ignore(CONSTRUCTOR)),
            ("rngmltconstruct0", Ignore(CONSTRUCTOR)),
            ("rngmltconstruct1", Ignore(CONSTRUCTOR)),
            ("rngmltconstruct2", Ignore(CONSTRUCTOR)),
        ],
    },
    unwalked(
        "pg_replication_origin",
        &[("roident", Ignore("it belongs to the cluster, and no dump holds it")), ("roname", Ignore("it belongs to the cluster, and no dump holds it"))],
    ),
    of_relation(
        "pg_rewrite",
        "pg_rewrite c JOIN pg_class r ON r.oid = c.ev_class",
        LASTING,
        &[
            ("oid", Ignore(OID)),
            ("rulename", Key(PLAIN)),
            ("ev_class", Key(CLASS)),
            ("ev_type", Value(PLAIN)),
            ("ev_enabled", Value(PLAIN)),
            ("is_instead", Value(PLAIN)),
            ("ev_qual", Ignore("it is in the rule's whole text")),
            (
                "ev_action",
                Expression("CASE WHEN r.relkind IN ('v', 'm') AND c.rulename = '_RETURN' THEN pg_get_viewdef(c.ev_class) ELSE pg_get_ruledef(c.oid) END"),
            ),
        ],
    ),
    Catalogue {
        name: "pg_seclabel",
        from: "pg_seclabel c",
        rows: "true",
        member: ("c.classoid", "c.objoid"),
        schema: "NULL",
        columns: &[
            ("classoid", Key("c.classoid::regclass")),
            ("objoid", Key(DESCRIBED)),
            ("objsubid", Ignore("it is in the object's name")),
            ("provider", Key(PLAIN)),
            ("label", Value(PLAIN)),
        ],
    },
    of_relation(
        "pg_sequence",
        "pg_sequence c JOIN pg_class r ON r.oid = c.seqrelid",
        LASTING,
        &[
            ("seqrelid", Key(CLASS)),
            ("seqtypid", Value(concat!("CASE WHEN NOT ", of_identity!(), " THEN c.seqtypid::regtype END"))),
            (IDENTITY_TYPE, Value(concat!("CASE WHEN ", of_identity!(), " THEN c.seqtypid::regtype END"))),
            ("seqstart", Value(PLAIN)),
            ("seqincrement", Value(PLAIN)),
            (
                "seqmax",
                Value(concat!("CASE WHEN NOT (", of_identity!(), " AND @ = CASE WHEN c.seqincrement < 0 THEN -1 ELSE ", greatest!(), " END) THEN @ END")),
            ),
            (
                "seqmin",
                Value(concat!("CASE WHEN NOT (", of_identity!(), " AND @ = CASE WHEN c.seqincrement > 0 THEN 1 ELSE -", greatest!(), " - 1 END) THEN @ END")),
            ),
            ("seqcache", Value(PLAIN)),
            ("seqcycle", Value(PLAIN)),
        ],
    ),
    unwalked(
        "pg_shdepend",
        &[
            ("dbid", Ignore(DERIVED)),
            ("classid", Ignore(DERIVED)),
            ("objid", Ignore(DERIVED)),
            ("objsubid", Ignore(DERIVED)),
            ("refclassid", Ignore(DERIVED)),
            ("refobjid", Ignore(DERIVED)),
            ("deptype", Ignore(DERIVED)),
        ],
    ),
    unwalked("pg_shdescription", &[("objoid", Ignore(GLOBALS)), ("classoid", Ignore(GLOBALS)), ("description", Ignore(GLOBALS))]),
    unwalked("pg_shseclabel", &[("objoid", Ignore(GLOBALS)), ("classoid", Ignore(GLOBALS)), ("provider", Ignore(GLOBALS)), ("label", Ignore(GLOBALS))]),
    unwalked("pg_statistic", &[("*", Ignore(STATISTICS))]),
    Catalogue {
        name: "pg_statistic_ext",
        from: "pg_statistic_ext c",
        rows: "c.oid >= 16384",
        // Like all that belongs to a table: pg_dump leaves it out where the table is an extension's.
        member: ("pg_class", "c.stxrelid"),
        schema: "c.stxnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("stxrelid", Value(CLASS)),
            ("stxname", Key(PLAIN)),
            ("stxnamespace", Key(SCHEMA)),
            ("stxowner", Value(OWNER)),
            ("stxstattarget", Value(PLAIN)),
            // A set, kept in the order of the table's columns.
            (
                "stxkeys",
                Value(
                    "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM unnest(@::int2[]) AS u (x) JOIN pg_attribute a ON a.attrelid = c.stxrelid AND a.attnum = u.x)",
                ),
            ),
            ("stxkind", Value(PLAIN)),
            ("stxexprs", Expression("CASE WHEN c.stxexprs IS NOT NULL THEN pg_get_statisticsobjdef(c.oid) END")),
        ],
    },
    unwalked("pg_statistic_ext_data", &[("*", Ignore(STATISTICS))]),
    Catalogue {
        name: "pg_subscription",
        from: "pg_subscription c",
        rows: "c.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        member: ("pg_subscription", "c.oid"),
        schema: "NULL",
        columns: &[
            ("oid", Ignore(OID)),
            ("subdbid", Ignore("only this database's are listed")),
            ("subname", Key(PLAIN)),
            ("subowner", Value(ROLE)),
            ("subenabled", Value(PLAIN)),
            ("subserver", Value(SERVER)),
            ("submaxretention", Value(PLAIN)),
            ("subretaindeadtuples", Value(PLAIN)),
            ("subretentionactive", Ignore("what the subscription's worker is about")),
            ("subwalrcvtimeout", Value(PLAIN)),
            // Only a superuser may read it.
            ("subconninfo", Value("{subconninfo}")),
            ("subslotname", Value(PLAIN)),
            ("subsynccommit", Value(PLAIN)),
            ("subpublications", Value(OPTIONS)),
            ("subbinary", Value(PLAIN)),
            ("substream", Value(PLAIN)),
            ("subskiplsn", Ignore("how far it was: a state that no dump holds")),
            ("subtwophasestate", Value("@ <> 'd'")),
            ("subdisableonerr", Value(PLAIN)),
            ("subpasswordrequired", Value(PLAIN)),
            ("subrunasowner", Value(PLAIN)),
            ("suborigin", Value(PLAIN)),
            ("subfailover", Value(PLAIN)),
        ],
    },
    unwalked(
        "pg_subscription_rel",
        &[
            ("srsubid", Ignore("how far a subscription was: a state that no dump holds")),
            ("srrelid", Ignore("how far a subscription was: a state that no dump holds")),
            ("srsubstate", Ignore("how far a subscription was: a state that no dump holds")),
            ("srsublsn", Ignore("how far a subscription was: a state that no dump holds")),
        ],
    ),
    unwalked(
        "pg_tablespace",
        &[("oid", Ignore(GLOBALS)), ("spcname", Ignore(GLOBALS)), ("spcowner", Ignore(GLOBALS)), ("spcacl", Ignore(GLOBALS)), ("spcoptions", Ignore(GLOBALS))],
    ),
    simple(
        "pg_transform",
        "pg_transform c",
        "NULL",
        &[("oid", Ignore(OID)), ("trftype", Key(TYPE)), ("trflang", Key(LANGUAGE)), ("trffromsql", Value(PROC)), ("trftosql", Value(PROC))],
    ),
    of_relation(
        "pg_trigger",
        "pg_trigger c JOIN pg_class r ON r.oid = c.tgrelid LEFT JOIN pg_trigger p ON p.oid = c.tgparentid",
        // A partition's copy of its parent's trigger is interesting only where somebody switched it otherwise. Constraints' own triggers come below.
        "r.oid >= 16384 AND r.relpersistence <> 't' AND c.tgname !~ '^RI_ConstraintTrigger_' AND (c.tgparentid <> 0 OR NOT c.tgisinternal) AND (c.tgparentid = 0 OR c.tgenabled <> p.tgenabled)",
        &[
            ("oid", Ignore(OID)),
            ("tgrelid", Key(CLASS)),
            ("tgparentid", Ignore("a partition's copy comes with its parent's")),
            ("tgname", Key(PLAIN)),
            ("tgfoid", Value(PROC)),
            ("tgtype", Value(PLAIN)),
            ("tgenabled", Value(PLAIN)),
            ("tgisinternal", Ignore("only those that somebody made are listed, and partitions' copies of them")),
            ("tgconstrrelid", Value(CLASS)),
            ("tgconstrindid", Value(CLASS)),
            ("tgconstraint", Ignore("it has the trigger's name")),
            ("tgdeferrable", Value(PLAIN)),
            ("tginitdeferred", Value(PLAIN)),
            ("tgnargs", Value(PLAIN)),
            ("tgattr", Value(columns!("c.tgrelid"))),
            ("tgargs", Value(PLAIN)),
            ("tgqual", Expression("CASE WHEN c.tgqual IS NOT NULL AND c.tgparentid = 0 THEN pg_get_triggerdef(c.oid, false) END")),
            ("tgoldtable", Value(PLAIN)),
            ("tgnewtable", Value(PLAIN)),
        ],
    ),
    of_relation(
        "triggers of foreign keys",
        "pg_trigger c JOIN pg_class r ON r.oid = c.tgrelid JOIN pg_constraint k ON k.oid = c.tgconstraint",
        "r.oid >= 16384 AND r.relpersistence <> 't' AND c.tgisinternal AND c.tgname ~ '^RI_ConstraintTrigger_' AND c.tgenabled <> 'O'",
        &[("tgrelid", Key(CLASS)), ("tgconstraint", Key("k.conname")), ("tgfoid", Key(PROC)), ("tgenabled", Value(PLAIN))],
    ),
    simple(
        "pg_ts_config",
        "pg_ts_config c",
        "c.cfgnamespace",
        &[("oid", Ignore(OID)), ("cfgname", Key(PLAIN)), ("cfgnamespace", Key(SCHEMA)), ("cfgowner", Value(OWNER)), ("cfgparser", Value(PARSER))],
    ),
    Catalogue {
        name: "pg_ts_config_map",
        // Also of the system's own: what somebody takes out of one of these leaves no trace.
        from: "(SELECT m.mapcfg, m.maptokentype, g.cfgnamespace, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS mapdict FROM pg_ts_config_map m JOIN pg_ts_config g ON g.oid = m.mapcfg GROUP BY 1, 2, 3) c",
        rows: "true",
        member: ("pg_ts_config", "c.mapcfg"),
        schema: "c.cfgnamespace",
        columns: &[
            ("mapcfg", Key(CONFIG)),
            ("maptokentype", Key(PLAIN)),
            ("mapseqno", Ignore("the dictionaries are listed in their order")),
            ("mapdict", Value(PLAIN)),
        ],
    },
    simple(
        "pg_ts_dict",
        "pg_ts_dict c",
        "c.dictnamespace",
        &[
            ("oid", Ignore(OID)),
            ("dictname", Key("c.oid::regdictionary")),
            ("dictnamespace", Ignore("it is in the name")),
            ("dictowner", Value(OWNER)),
            ("dicttemplate", Value(TEMPLATE)),
            ("dictinitoption", Value(PLAIN)),
        ],
    ),
    simple(
        "pg_ts_parser",
        "pg_ts_parser c",
        "c.prsnamespace",
        &[
            ("oid", Ignore(OID)),
            ("prsname", Key(PLAIN)),
            ("prsnamespace", Key(SCHEMA)),
            ("prsstart", Value(PROC)),
            ("prstoken", Value(PROC)),
            ("prsend", Value(PROC)),
            ("prsheadline", Value(PROC)),
            ("prslextype", Value(PROC)),
        ],
    ),
    simple(
        "pg_ts_template",
        "pg_ts_template c",
        "c.tmplnamespace",
        &[("oid", Ignore(OID)), ("tmplname", Key(PLAIN)), ("tmplnamespace", Key(SCHEMA)), ("tmplinit", Value(PROC)), ("tmpllexize", Value(PROC))],
    ),
    Catalogue {
        name: "pg_type",
        from: "pg_type c LEFT JOIN pg_class r ON r.oid = c.typrelid",
        // Rows' types come with their relations, arrays with their elements, multiranges with their ranges.
        rows: "c.oid >= 16384 AND (c.typrelid = 0 OR r.relkind = 'c') AND c.typtype <> 'm' AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = c.oid) AND coalesce(r.relpersistence, 'p') <> 't' AND c.typnamespace::regnamespace::text !~ '^pg_temp'",
        member: ("pg_type", "c.oid"),
        schema: "c.typnamespace",
        columns: &[
            ("oid", Ignore(OID)),
            ("typname", Key("c.oid::regtype")),
            ("typnamespace", Ignore("it is in the name")),
            ("typowner", Value(OWNER)),
            ("typlen", Value(PLAIN)),
            ("typbyval", Value(PLAIN)),
            ("typtype", Value(PLAIN)),
            ("typcategory", Value(PLAIN)),
            ("typispreferred", Value(PLAIN)),
            ("typisdefined", Value(PLAIN)),
            ("typdelim", Value(PLAIN)),
            ("typrelid", Ignore(OID)),
            ("typelem", Value(TYPE)),
            ("typarray", Ignore("the name of an array type is the server's choice")),
            ("typinput", Value(PROC)),
            ("typoutput", Value(PROC)),
            ("typreceive", Value(PROC)),
            ("typsend", Value(PROC)),
            ("typmodin", Value(PROC)),
            ("typmodout", Value(PROC)),
            ("typanalyze", Value(PROC)),
            ("typsubscript", Value(PROC)),
            ("typalign", Value(PLAIN)),
            ("typstorage", Value(PLAIN)),
            ("typnotnull", Value(PLAIN)),
            ("typbasetype", Value("CASE WHEN c.typbasetype <> 0 THEN format_type(c.typbasetype, c.typtypmod) END")),
            ("typtypmod", Ignore("it is in the base type's name")),
            ("typndims", Value(PLAIN)),
            ("typcollation", Value(COLLATION)),
            ("typdefaultbin", Expression("CASE WHEN @ IS NOT NULL THEN pg_get_expr(c.typdefaultbin, 'pg_type'::regclass) END")),
            ("typdefault", Value("CASE WHEN c.typdefaultbin IS NULL THEN c.typdefault END")),
            ("typacl", Value(rights!("'T'", "c.typowner"))),
        ],
    },
    Catalogue {
        name: "pg_user_mapping",
        // The view shows options only to those who may see them; pg_dump reads them there as well.
        from: "pg_user_mappings c",
        rows: "true",
        member: NONE,
        schema: "NULL",
        columns: &[
            ("oid", Ignore(OID)),
            ("umuser", Key("CASE WHEN @ = 0 THEN 'PUBLIC' ELSE @::oid::regrole::text END")),
            ("umserver", Key("c.srvname")),
            ("umoptions", Value("{umoptions}")),
        ],
    },
    Catalogue {
        name: "rights on the system's objects",
        from: SYSTEM_RIGHTS,
        rows: "c.acl <> c.original",
        member: ("c.class", "c.objid"),
        schema: "NULL",
        columns: &[
            ("class", Key("c.class::regclass")),
            ("objid", Key("(SELECT i.identity FROM pg_identify_object(c.class, c.objid, c.objsubid) AS i)")),
            ("acl", Value(PLAIN)),
        ],
    },
    Catalogue {
        name: STRICTER_KEYS,
        from: "pg_constraint c JOIN pg_constraint p ON p.oid = c.conparentid JOIN pg_class r ON r.oid = c.conrelid",
        // What leads to a partition has its parent's table.
        rows: "c.contype = 'f' AND c.conrelid <> p.conrelid AND r.relpersistence <> 't'
            AND (c.convalidated AND NOT p.convalidated OR to_jsonb(c) ->> 'conenforced' = 'true' AND to_jsonb(p) ->> 'conenforced' = 'false')",
        member: ("pg_class", "c.conrelid"),
        schema: "c.connamespace",
        // Its own name is the server's choice.
        columns: &[("conrelid", Key(CLASS)), ("conname", Key("p.conname")), ("confrelid", Key("c.confrelid::regclass"))],
    },
    Catalogue {
        name: CONSTRUCTORS,
        from: "pg_proc c",
        rows: "c.proacl IS NOT NULL AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = c.oid AND d.deptype = 'i')",
        member: ("pg_proc", "c.oid"),
        schema: "c.pronamespace",
        columns: &[("proname", Key("c.oid::regprocedure")), ("proacl", Value(rights!("'f'", "c.proowner")))],
    },
    Catalogue {
        name: SYSTEM_CHANGES,
        from: CHANGED,
        // What initdb wrote, it wrote in transactions before that which made plpgsql, its last; what somebody changed since is of a later one.
        rows: "c.changed > coalesce((SELECT xmin::text::int8 FROM pg_proc WHERE oid < 16384 AND proname = 'plpgsql_call_handler'), 1000)",
        member: NONE,
        schema: "'pg_catalog'::regnamespace",
        columns: &[
            ("object", Key("(SELECT i.type || ' ' || i.identity FROM pg_identify_object(c.class, c.objid, c.objsubid) AS i)")),
            ("kind", Key(PLAIN)),
            ("words", Value(PLAIN)),
        ],
    },
];

/// The type of an identity column's sequence, which a dump leaves to the column, and with it the bounds that follow from the type.
pub const IDENTITY_TYPE: &str = "+identity_type";

/// The name of a NOT NULL, which does not always come back.
pub const NAME: &str = "+name";

/// How far an inherited constraint is checked. pg_dump leaves it to the parent's definition, so that after a restore it is what its parent's is: also where it
/// was validated alone, or belongs to a table that was made when the parent's was not valid yet.
pub const STATE: &str = "+state";

/// In words, from the strictest on: [`STATES`].
const INHERITED_STATE: &str = "CASE WHEN c.coninhcount > 0 THEN CASE WHEN to_jsonb(c) ->> 'conenforced' = 'false' THEN 'not enforced' WHEN c.convalidated THEN 'valid' ELSE 'not valid' END END";

/// The words of [`STATE`], from the strictest on.
pub const STATES: [&str; 3] = ["valid", "not valid", "not enforced"];

/// Foreign keys of partitions that are valid, or enforced, where their parent's are not: pg_dump leaves them to the parent's, too.
pub const STRICTER_KEYS: &str = "foreign keys stricter than their parents'";

/// Rights on functions that come with a type, which pg_dump leaves out.
pub const CONSTRUCTORS: &str = "rights on constructors";

/// What was changed of objects that initdb made: no dump tells of it, but for their rights.
pub const SYSTEM_CHANGES: &str = "changes to the system's objects";

/// Objects that initdb made and that maintenance leaves alone (as VACUUM FULL does not leave relations), with the transaction that wrote them last.
const CHANGED: &str = "(SELECT 'pg_proc'::regclass AS class, oid AS objid, 0 AS objsubid, 'definition' AS kind, NULL::text AS words, xmin::text::int8 AS changed FROM pg_proc WHERE oid < 16384
        UNION ALL SELECT 'pg_type'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_type WHERE oid < 16384
        UNION ALL SELECT 'pg_operator'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_operator WHERE oid < 16384
        UNION ALL SELECT 'pg_opclass'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_opclass WHERE oid < 16384
        UNION ALL SELECT 'pg_opfamily'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_opfamily WHERE oid < 16384
        UNION ALL SELECT 'pg_cast'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_cast WHERE oid < 16384
        UNION ALL SELECT 'pg_collation'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_collation WHERE oid < 16384
        UNION ALL SELECT 'pg_conversion'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_conversion WHERE oid < 16384
        UNION ALL SELECT 'pg_language'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_language WHERE oid < 16384
            AND (lanowner <> 10 OR lanpltrusted <> (lanname IN ('sql', 'plpgsql')) OR greatest(lanplcallfoid, laninline, lanvalidator) >= 16384)
        UNION ALL SELECT 'pg_ts_config'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_ts_config WHERE oid < 16384
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_ts_dict WHERE oid < 16384
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0, 'definition', NULL, xmin::text::int8 FROM pg_rewrite WHERE oid < 16384
        UNION ALL SELECT classoid::regclass, objoid, objsubid, 'comment', description, xmin::text::int8 FROM pg_description WHERE objoid < 16384
            AND classoid <> 'pg_largeobject'::regclass AND NOT (classoid = 'pg_namespace'::regclass AND objoid = (SELECT oid FROM pg_namespace WHERE nspname = 'public'))) c";

/// Whether the commented object is none of its own to pg_dump, which then says nothing of its comment: it comes with a parent's or a type's.
const MADE_WITH_ANOTHER: &str = "CASE WHEN c.classoid = 'pg_trigger'::regclass THEN (SELECT t.tgisinternal OR (to_jsonb(t) ->> 'tgparentid') <> '0' FROM pg_trigger t WHERE t.oid = c.objoid)
    WHEN c.classoid = 'pg_constraint'::regclass THEN (SELECT k.contype = 'f' AND k.conparentid <> 0 OR k.contype IN ('c', 'n') AND NOT k.conislocal FROM pg_constraint k WHERE k.oid = c.objoid)
    WHEN c.classoid = 'pg_rewrite'::regclass THEN (SELECT w.rulename = '_RETURN' FROM pg_rewrite w WHERE w.oid = c.objoid)
    WHEN c.classoid IN ('pg_proc'::regclass, 'pg_cast'::regclass) THEN EXISTS (SELECT FROM pg_depend d WHERE d.classid = c.classoid AND d.objid = c.objoid AND d.deptype = 'i')
    WHEN c.classoid = 'pg_type'::regclass THEN (SELECT y.typtype = 'm' OR EXISTS (SELECT FROM pg_class r WHERE r.oid = y.typrelid AND r.relkind <> 'c') OR EXISTS (SELECT FROM pg_type a WHERE a.typarray = y.oid)
        FROM pg_type y WHERE y.oid = c.objoid) END";

/// The object of a comment or a label. Columns and relations are named without a look into other catalogues: there are many.
const DESCRIBED: &str = "CASE WHEN c.classoid = 'pg_class'::regclass AND c.objsubid = 0 THEN c.objoid::regclass::text
    WHEN c.classoid = 'pg_class'::regclass THEN (SELECT format('%s.%I', c.objoid::regclass, a.attname) FROM pg_attribute a WHERE a.attrelid = c.objoid AND a.attnum = c.objsubid)
    ELSE (SELECT i.identity FROM pg_identify_object(c.classoid, c.objoid, c.objsubid) AS i) END";

/// The sequence of an identity column, of no extension: pg_dump 14 leaves its rights out.
macro_rules! identity {
    () => {
        "(c.relkind = 'S' AND e.objid IS NULL AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'))"
    };
}

/// A relation's rights: a sequence's defaults are others than a table's.
const RELATION_RIGHTS: &str =
    concat!("CASE WHEN NOT ", identity!(), " THEN ", rights!("CASE c.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END", "c.relowner"), " END");

/// The rights of an identity column's sequence, in full.
const IDENTITY_RIGHTS: &str = concat!("CASE WHEN ", identity!(), " THEN ", sorted!("coalesce(c.relacl, acldefault('s', c.relowner))"), " END");

/// A column has no rights of its own until somebody grants some; what an extension granted is in its own list.
const COLUMN_RIGHTS: &str = concat!("CASE WHEN @ IS NULL THEN '' ELSE nullif(", sorted!("@"), ", 'none') END");

/// Schema `public` got its rights from initdb, and whoever made another one of that name gave it none: both are told in full.
const SCHEMA_RIGHTS: &str = concat!("CASE WHEN e.objid IS NULL THEN ", sorted!("coalesce(@, acldefault('n', c.nspowner))"), " END");

/// An index's expressions, as pg_dump words them: those of a constraint's index are in the constraint.
const INDEX: &str = "CASE WHEN @ IS NOT NULL THEN coalesce((SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conindid = c.indexrelid AND k.contype IN ('p', 'u', 'x') LIMIT 1), pg_get_indexdef(c.indexrelid)) END";

/// Columns of a constraint: a set for a check, in order otherwise.
const CONSTRAINED: &str = "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY CASE WHEN c.contype = 'c' THEN a.attname END, u.n) FROM unnest(@::int2[]) WITH ORDINALITY AS u (x, n) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.x)";

/// Rights on objects that initdb made, and what they were at first.
const SYSTEM_RIGHTS: &str = concat!(
    "(SELECT o.class, o.objid, o.objsubid, ",
    sorted!("o.acl"),
    " AS acl, (SELECT ",
    sorted!("u.usual"),
    " FROM (SELECT coalesce(p.initprivs, o.usual)) AS u (usual)) AS original FROM (
        SELECT 'pg_class'::regclass AS class, oid AS objid, 0 AS objsubid, relacl AS acl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, relowner) AS usual FROM pg_class WHERE oid < 16384
        UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl, acldefault('c', 10) FROM pg_attribute WHERE attrelid < 16384
        UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proacl, acldefault('f', proowner) FROM pg_proc WHERE oid < 16384
        UNION ALL SELECT 'pg_type'::regclass, oid, 0, typacl, acldefault('T', typowner) FROM pg_type WHERE oid < 16384
        UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanacl, acldefault('l', lanowner) FROM pg_language WHERE oid < 16384
        UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl, acldefault('n', nspowner) FROM pg_namespace WHERE oid < 16384 AND nspname <> 'public') AS o
    LEFT JOIN pg_init_privs p ON p.objoid = o.objid AND p.classoid = o.class AND p.objsubid = o.objsubid WHERE o.acl IS NOT NULL) c"
);
