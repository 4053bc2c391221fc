//! What belongs to a database itself, as statements: rights, settings, the connection limit, the comment. `CREATE DATABASE` brings back none of it.
//! It owns reading them from the catalogue; it leaves carrying them out to the restore. The owner is told elsewhere.
//! Invariant: a statement is whole but for the database's name, which may be another one when it is carried out.

use super::catalogue::cell;
use super::quote::quote_literal;
use super::session::Session;
use crate::error::Result;
use crate::manifest::Property;

/// The properties of the database of that name, in the order in which they have to be carried out.
pub fn of(session: &mut Session, name: &str) -> Result<Vec<Property>> {
    let rows = session.query(&format!(
        "WITH d AS (SELECT * FROM pg_catalog.pg_database WHERE datname = {}), acl AS (SELECT a.* FROM d, pg_catalog.aclexplode(d.datacl) a)
         SELECT parts[1], parts[2], late FROM (
            SELECT 1, 0, ARRAY['ALTER DATABASE ', ' CONNECTION LIMIT ' || datconnlimit], true FROM d WHERE datconnlimit <> -1
            UNION ALL SELECT 2, 0, ARRAY['COMMENT ON DATABASE ', pg_catalog.format(' IS %L', description)], false
                FROM d JOIN pg_catalog.pg_shdescription s ON s.objoid = d.oid AND s.classoid = 1262
            UNION ALL SELECT 3, 0, ARRAY['REVOKE ALL ON DATABASE ', ' FROM PUBLIC'], false FROM d WHERE datacl IS NOT NULL
            UNION ALL SELECT 4, 0, ARRAY[pg_catalog.format('GRANT %s ON DATABASE ', privilege_type), pg_catalog.format(' TO %s%s',
                CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END,
                CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)], false FROM acl
            UNION ALL SELECT 5, number, ARRAY[CASE WHEN setrole = 0 THEN 'ALTER DATABASE ' ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE ', pg_catalog.pg_get_userbyid(setrole)) END,
                pg_catalog.format(' SET %I TO %s', pg_catalog.split_part(setting, '=', 1),
                -- Lists keep their own quoting; everything else is one string (dumputils.c, `variable_is_guc_list_quote`).
                CASE WHEN pg_catalog.split_part(setting, '=', 1) IN ('search_path', 'session_preload_libraries', 'local_preload_libraries', 'temp_tablespaces', 'unix_socket_directories')
                    THEN pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
                    ELSE pg_catalog.quote_literal(pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)) END)], true
                FROM d JOIN pg_catalog.pg_db_role_setting s ON s.setdatabase = d.oid, pg_catalog.unnest(setconfig) WITH ORDINALITY AS u (setting, number)
         ) AS found (place, number, parts, late) ORDER BY place, found.parts[1], number, found.parts[2]",
        quote_literal(name)
    ))?;
    rows.rows.iter().map(|row| Ok(Property { before: cell(row, 0)?.to_owned(), after: cell(row, 1)?.to_owned(), setting: cell(row, 2)? == "t" })).collect()
}
