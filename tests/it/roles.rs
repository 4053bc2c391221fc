//! Roles: what `globals.sql.gz` makes of them is what the server had, and a drill sees where it is not.
//! Roles belong to a whole cluster, so these tests have clusters of their own.

use crate::drill::tamper::edit_globals;
use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::cluster::Cluster;
use crate::support::kluis::kluis;
use crate::support::new_folder;
use crate::support::repo::Repo;
use kluis::repository::names;

const ROLES: &str = "CREATE ROLE app_owner; CREATE ROLE app LOGIN PASSWORD 'pencil' CONNECTION LIMIT 7 VALID UNTIL '2031-05-06' IN ROLE app_owner; ALTER ROLE app SET work_mem = '7MB';
    CREATE ROLE auditor BYPASSRLS NOINHERIT; GRANT pg_monitor TO auditor WITH ADMIN OPTION; ALTER ROLE postgres SET log_lock_waits = on; ALTER ROLE postgres CONNECTION LIMIT 50;
    ALTER ROLE ALL SET statement_timeout = '99min'; ALTER ROLE ALL SET search_path = public, \"Odd\"";

/// What belongs to all databases.
const FOUND: &str = "SELECT json_agg(x ORDER BY x::text) FROM (SELECT to_jsonb(r) - 'oid' - 'rolpassword' AS x FROM pg_roles r WHERE rolname !~ '^pg_'
    UNION ALL SELECT jsonb_build_array(member::regrole, roleid::regrole, admin_option) FROM pg_auth_members WHERE member >= 16384
    UNION ALL SELECT jsonb_build_array(setrole, setconfig) FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = 0) AS found (x)";

#[test]
fn the_globals_bring_back_every_role_and_a_drill_sees_where_they_do_not() {
    for major in [13, 17] {
        let (Some(cluster), Some(other)) = (Cluster::own(major, &[]), Cluster::own(major, &[])) else { continue };
        let (database, repo) = (cluster.database("shop"), Repo::new());
        cluster.sql("postgres", &format!("{ROLES}; ALTER DATABASE {} OWNER TO app_owner", database.name));
        database.sql("CREATE TABLE t AS SELECT 1 AS i");
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let base = Base::read(&repo.newest(), String::new());
        assert!(
            !base.manifest.server.roles_moved && base.manifest.server.roles.iter().filter(|role| !role.name.starts_with("kluis")).count() == 5,
            "{:#?}",
            base.manifest.server
        );
        assert!(!serde_json::to_string(&base.manifest).unwrap().contains("99min"), "values of settings are no business of the manifest's");

        let drilled = |edit: &dyn Fn(String) -> String| {
            let repo = Repo::at(new_folder("roles"));
            let planted = repo.folder().join(&base.id);
            base.copy_to(&planted);
            edit_globals(&planted, |text| {
                let edited = edit(text.clone());
                assert_ne!(edited, text, "nothing was planted");
                edited
            });
            reseal(&base, &planted, Seal::Whole);
            kluis(&["drill"]).keeping(&repo).tools(&cluster).run()
        };
        let without =
            |words: &'static str| move |text: String| text.lines().filter(|line| !line.contains(words)).map(|line| format!("{line}\n")).collect::<String>();
        drilled(&|text| format!("{text}\n-- nothing\n")).done();
        let bad = |edit: &dyn Fn(String) -> String, words: &str| {
            let ended = drilled(edit);
            assert!(ended.code == Some(13) && ended.stdout.contains(words), "'{words}' was expected: {ended:#?}");
        };
        bad(&without("GRANT app_owner TO app"), "role 'app': it is not a member of the roles that it was a member of");
        bad(&without("GRANT pg_monitor TO auditor"), "role 'auditor': it is not a member");
        bad(
            &|text| text.replace("ALTER ROLE auditor WITH NOSUPERUSER", "ALTER ROLE auditor WITH SUPERUSER"),
            "role 'auditor': its attributes are not those that it had",
        );
        bad(&without("ALTER ROLE app SET work_mem"), "role 'app': its settings are not those that it had");
        bad(&|text| text.replace("CONNECTION LIMIT 50", "CONNECTION LIMIT 51"), "role 'postgres': its attributes");
        bad(&without("ALTER ROLE ALL SET"), "the setting of all roles is not made by the globals");
        bad(&|text| format!("{text}\nCREATE ROLE eve SUPERUSER LOGIN;\n"), "role 'eve' is made by the globals, and the server had none of that name");

        // A label of a role is in the globals, and its provider is nowhere.
        cluster.sql("postgres", "SET allow_system_table_mods = on; INSERT INTO pg_shseclabel SELECT oid, 1260, 'some provider', 'it''s secret' FROM pg_authid WHERE rolname = 'app'");
        let labelled = Repo::new();
        kluis(&["backup"]).of(&database).keeping(&labelled).run().done();
        let ended = kluis(&["drill"]).keeping(&labelled).tools(&cluster).run();
        assert!(
            ended.code == Some(3) && ended.stdout.contains("security label without its provider: ROLE app, of the provider \"some provider\""),
            "{ended:#?}"
        );

        let globals = std::process::Command::new("gunzip").arg("-c").arg(repo.newest().join(names::GLOBALS)).output().unwrap().stdout;
        other.sql_with("postgres", &["-v", "ON_ERROR_STOP=0"], &globals);
        assert_eq!(other.value("postgres", FOUND), cluster.value("postgres", FOUND));
    }
}
