//! Which libraries a server and its sessions preload.
//! It owns the query; what follows from the answer is `extensions`' to say.
//! Invariant: what the role may not read is unknown, never "none".

use super::session::Session;
use crate::error::Result;
use crate::extensions::libraries;

/// The libraries that a server preloads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preload {
    /// Those of the server itself, in order. None: the role may not read the setting (it is for superusers and members of pg_read_all_settings).
    pub shared: Option<Vec<String>>,
    /// Those of sessions in this database, by settings of the server, the database and roles, as far as the role may read them.
    pub sessions: Vec<String>,
}

/// Reads them.
pub fn of(session: &mut Session) -> Result<Preload> {
    let rows = session.query(
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'shared_preload_libraries'
         UNION ALL SELECT 'session', reset_val FROM pg_catalog.pg_settings
            WHERE name OPERATOR(pg_catalog.=) ANY (ARRAY['session_preload_libraries', 'local_preload_libraries'])
         UNION ALL SELECT 'session', pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') OPERATOR(pg_catalog.+) 1)
            FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase,
                pg_catalog.unnest(s.setconfig) AS setting
            WHERE (s.setdatabase OPERATOR(pg_catalog.=) 0::pg_catalog.oid OR d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
                AND pg_catalog.split_part(setting, '=', 1) OPERATOR(pg_catalog.=) ANY (ARRAY['session_preload_libraries', 'local_preload_libraries'])",
    )?;
    let mut preload = Preload::default();
    for row in rows.iter() {
        let (Some(Some(which)), Some(Some(list))) = (row.first(), row.get(1)) else { continue };
        if which == "session" {
            let new: Vec<String> = libraries(list).into_iter().filter(|library| !preload.sessions.contains(library)).collect();
            preload.sessions.extend(new);
        } else {
            preload.shared = Some(libraries(list));
        }
    }
    preload.sessions.sort();
    Ok(preload)
}
