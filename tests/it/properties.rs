//! What belongs to the database itself: settings, rights, tablespace, label, whether it is a template. Into each database it comes back as it was.

use crate::drill::tamper::edit_manifest;
use crate::malformed::damage::{Base, Seal, reseal};
use crate::support::cluster::{Cluster, Database, MAJORS};
use crate::support::kluis::{Ended, kluis};
use crate::support::repo::{Repo, manifest};
use crate::support::{new_folder, unique};
use kluis::exception::Class;
use kluis::manifest::{Proof, Verdict};
use kluis::postgres::quote::{quote_ident, quote_literal};
use kluis::repository::names;
use std::process::Command;

/// Values of the lists that a database can have, as they are typed. What a session loads would keep everybody out if it were the database's own.
const LISTS: &[&str] = &[
    "search_path = ''",
    "search_path = '', public",
    r#"search_path = "$user", 'with space', 'com,ma', 'quo''te', 'dou"ble', 'Upper', 'back\slash', public"#,
    r#"search_path = 'ünï "x", y'"#,
    "temp_tablespaces = ''",
    "temp_tablespaces = '', pg_default",
    "local_preload_libraries = ''",
    "local_preload_libraries = 'odd name', 'a,b', 'x\"y', plain",
    "session_preload_libraries = ''",
    "session_preload_libraries = 'odd name', 'a,b', 'x\"y', plain, 'Upper/x'",
];

/// Other settings, of odd values.
const OTHERS: &[&str] = &[
    "work_mem = '7MB'",
    r#"application_name = 'it''s \ "x", y'"#,
    "application_name = ''",
    "datestyle = 'SQL, DMY'",
    "TIME ZONE INTERVAL '-02:30' HOUR TO MINUTE",
    "timezone = 'Europe/Amsterdam'",
    "default_text_search_config = 'pg_catalog.dutch'",
    "lc_messages = 'C'",
    "seq_page_cost = 1.25",
    "my.own = ''",
    "my.own = 'a=b, \"c\" ''d'''",
    "\"my\".\"Odd\" = 'x'",
    "role = 'none'",
    "statement_timeout = 60000",
];

/// The settings of a database, for itself and for roles in it, as the catalogue has them; their order means nothing.
fn settings(database: &Database) -> String {
    database.cluster.value(
        "postgres",
        &format!(
            "SELECT json_agg(json_build_array(setrole::regrole, (SELECT array_agg(one ORDER BY one) FROM unnest(setconfig) AS one)) ORDER BY setrole::regrole::text) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = {}",
            quote_literal(&database.name)
        ),
    )
}

fn restored(repo: &Repo, cluster: &Cluster, arguments: &[&str]) -> (Database, Ended) {
    let new = Database { cluster: cluster.clone(), name: unique("new one") };
    let ended = kluis(&[&["restore", "latest", "--create", "--to", &new.url()], arguments].concat()).keeping(repo).into(cluster).run();
    (new, ended)
}

fn proof(repo: &Repo) -> Proof {
    Proof::parse(&std::fs::read(repo.newest().join(names::PROOF)).expect("there is a proof")).expect("the proof can be read")
}

#[test]
fn settings_of_every_kind_come_back() {
    for major in MAJORS {
        let Some(cluster) = Cluster::of(major) else { continue };
        let role = unique("set \"role\"");
        let (database, repo) = (cluster.database_with(&unique("set \"db\""), ""), Repo::new());
        let (name, quoted) = (quote_ident(&database.name), quote_ident(&role));
        let mut script = format!("CREATE ROLE {quoted};");
        let mut roles = vec![quoted.clone()];
        for setting in LISTS.iter().chain(OTHERS) {
            let own = format!("{role} {}", roles.len());
            script.push_str(&format!("CREATE ROLE {0}; ALTER ROLE {0} IN DATABASE {name} SET {setting};", quote_ident(&own)));
            roles.push(quote_ident(&own));
            if !setting.contains("preload") && !setting.contains("role") {
                script.push_str(&format!("ALTER DATABASE {name} SET {setting};"));
            }
        }
        // Lists that nobody typed, but a session had: no elements at all, and names that are not quoted.
        script.push_str(&format!(
            "BEGIN; SELECT set_config('search_path', '', false), set_config('session_preload_libraries', '', false), set_config('temp_tablespaces', '', false);
            ALTER ROLE {quoted} IN DATABASE {name} SET search_path FROM CURRENT; ALTER ROLE {quoted} IN DATABASE {name} SET session_preload_libraries FROM CURRENT;
            ALTER ROLE {quoted} IN DATABASE {name} SET temp_tablespaces FROM CURRENT; COMMIT;"
        ));
        cluster.sql("postgres", &script);
        database.sql("CREATE TABLE public.t (id int)");
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let (new, ended) = restored(&repo, &cluster, &[]);
        ended.done();
        let before = settings(&database);
        assert!(before.contains("search_path=\\\"\\\"") && before.contains("session_preload_libraries=\""), "{before}");
        assert_eq!(settings(&new), before, "{major}");
        // As RESTORE.md says, by psql.
        let notes = std::fs::read_to_string(repo.newest().join("RESTORE.md")).unwrap();
        let (_, own) = notes.split_once("without it, in psql:\n").expect("the notes have the database's own statements");
        let (own, _) = own.split_once("\n### ").unwrap();
        let by_hand = cluster.database_with(&format!("{}_restored", database.name), "");
        // Those by which values are computed stand among the commands, behind that which makes the database.
        let early: Vec<&str> = notes.lines().map(str::trim_start).filter(|line| line.starts_with("psql ") && line.contains(" SET ")).collect();
        assert!(!early.is_empty() && !own.contains("datestyle") && own.contains("work_mem"), "{notes}");
        let mut shell = Command::new("bash");
        shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", cluster.bin().display())).env("LC_ALL", "C");
        shell.args(["-e", "-c", &format!("host={} port={} user=postgres\n{}", cluster.socket().display(), cluster.port(), early.join("\n"))]);
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        cluster.sql("postgres", own);
        assert_eq!(settings(&by_hand), before, "{major}");
        if [13, 18].contains(&major) {
            let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
            assert!(drilled.code == Some(0) && proof(&repo).proven(), "{major}: {drilled:#?}");
        }
    }
}

/// What the catalogue says of a database itself, without its name.
fn own(database: &Database) -> String {
    database.cluster.value(
        "postgres",
        &format!(
            "SELECT json_build_array(pg_get_userbyid(datdba), datistemplate, datconnlimit, spcname, shobj_description(d.oid, 'pg_database'),
                (SELECT json_agg(json_build_array(grantor::regrole, grantee::regrole, privilege_type, is_grantable) ORDER BY grantor::regrole::text, grantee::regrole::text, privilege_type) FROM aclexplode(datacl)),
                (SELECT json_agg(json_build_array(provider, label) ORDER BY 1) FROM pg_shseclabel l WHERE l.objoid = d.oid AND l.classoid = 1262))
            FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = {}",
            quote_literal(&database.name)
        ),
    )
}

#[test]
fn rights_with_their_grantors_tablespace_and_template_come_back() {
    for major in [13, 15, 18] {
        let Some(cluster) = Cluster::of(major) else { continue };
        let (owner, first, second, third) = (unique("owner"), unique("z_first"), unique("second"), unique("a_third"));
        let (space, repo) = (unique("space"), Repo::new());
        let folder = new_folder("space");
        std::os::unix::fs::chown(&folder, crate::support::server_user().map(|(uid, _)| uid), None).unwrap();
        cluster.sql("postgres", &format!("CREATE TABLESPACE {space} LOCATION '{}'", folder.display()));
        let database = cluster.database_with(&unique("own"), &format!("TABLESPACE {space}"));
        let name = &database.name;
        cluster.sql(
            "postgres",
            &format!(
                "CREATE ROLE {owner}; CREATE ROLE {first}; CREATE ROLE {second}; CREATE ROLE {third}; ALTER DATABASE {name} OWNER TO {owner};
                REVOKE CREATE ON DATABASE {name} FROM {owner}; REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT TEMP ON DATABASE {name} TO PUBLIC;
                GRANT CONNECT ON DATABASE {name} TO {first} WITH GRANT OPTION; SET ROLE {first}; GRANT CONNECT ON DATABASE {name} TO {second} WITH GRANT OPTION;
                SET ROLE {second}; GRANT CONNECT ON DATABASE {name} TO {third}; RESET ROLE;
                COMMENT ON DATABASE {name} IS 'it''s \\ own'; ALTER DATABASE {name} IS_TEMPLATE true; ALTER DATABASE {name} CONNECTION LIMIT 12"
            ),
        );
        database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let before = own(&database);
        let (new, ended) = restored(&repo, &cluster, &[]);
        ended.done();
        assert_eq!(own(&new), before, "{major}");
        let notes = std::fs::read_to_string(repo.newest().join("RESTORE.md")).unwrap();
        assert!(notes.contains(&format!("--tablespace={space}")) && notes.contains("IS_TEMPLATE true"), "{notes}");
        // A template can be replaced: by itself, and in the drill, which has to drop nothing that it was not asked to.
        kluis(&["restore", "latest", "--clean", "--yes", "--to", &new.url()]).keeping(&repo).into(&cluster).run().done();
        assert_eq!(own(&new), before, "{major}");
        // Somebody is in it: it is left as it was.
        let guest = new.session();
        kluis(&["restore", "latest", "--clean", "--yes", "--to", &new.url()]).keeping(&repo).into(&cluster).run().failed(1, &["cannot drop database"]);
        drop(guest);
        assert_eq!(own(&new), before, "{major}");
        let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
        assert!(drilled.code == Some(0) && proof(&repo).exceptions.is_empty(), "{major}: {drilled:#?}");
        cluster.sql(
            "postgres",
            &format!(
                "ALTER DATABASE {name} IS_TEMPLATE false; DROP DATABASE {name}; ALTER DATABASE {0} IS_TEMPLATE false; DROP DATABASE {0}",
                quote_ident(&new.name)
            ),
        );
    }
}

#[test]
fn the_template_that_every_server_has_is_drilled() {
    let Some(cluster) = Cluster::own(16, &[]) else { return };
    let (database, repo) = (Database { cluster: cluster.clone(), name: "template1".into() }, Repo::new());
    database.sql("CREATE TABLE for_everybody (id int); ALTER DATABASE template1 SET work_mem = '7MB'");
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let drilled = kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
    assert!(drilled.code == Some(0) && proof(&repo).proven(), "{drilled:#?}");
}

#[test]
fn a_label_without_its_provider_silences_nothing_else() {
    let Some(cluster) = Cluster::of(17) else { return };
    let (database, repo) = (cluster.database("labelled"), Repo::new());
    // As if a provider had been here: no package has one that is loaded so easily.
    cluster.sql(
        "postgres",
        &format!(
            "INSERT INTO pg_shseclabel SELECT oid, 1262, 'some provider', 'it''s secret' FROM pg_database WHERE datname = '{0}';
            ALTER DATABASE {0} SET work_mem = '7MB'",
            database.name
        ),
    );
    kluis(&["backup"]).of(&database).keeping(&repo).run().done();
    let labels: Vec<String> = manifest(&repo.newest()).database.properties.iter().map(|property| property.statement("d")).collect();
    assert!(labels.contains(&"SECURITY LABEL FOR \"some provider\" ON DATABASE d IS 'it''s secret'".to_owned()), "{labels:?}");
    let (_, ended) = restored(&repo, &cluster, &[]);
    ended.warned(&["SECURITY LABEL FOR \"some provider\""]);
    kluis(&["drill"]).keeping(&repo).tools(&cluster).run();
    let found: Vec<(Class, String)> = proof(&repo).exceptions.into_iter().map(|exception| (exception.class, exception.object)).collect();
    assert_eq!(found, [(Class::SecurityLabel, format!("database {}, of the provider \"some provider\"", database.name))]);
    assert!(proof(&repo).proven());

    // What the server refuses is the backup's fault, and so is what comes out otherwise, whatever else could not be given.
    let plants = [
        (" SET work_mem TO 'odd'", "was not given what it had (ALTER DATABASE SET work_mem)"),
        (" SET work_mem TO 7168", "lacks what the snapshot's had: ALTER DATABASE SET work_mem"),
        (" SET work_mem TO 7168", "has what the snapshot's had not: ALTER DATABASE SET work_mem"),
    ];
    for (after, words) in plants {
        let (base, planted) = (Base::read(&repo.newest(), String::new()), Repo::at(new_folder("planted")));
        let folder = planted.folder().join(&base.id);
        base.copy_to(&folder);
        edit_manifest(&folder, |manifest| {
            let properties = manifest["database"]["properties"].as_array_mut().unwrap();
            properties.iter_mut().find(|property| property["after"] == " SET work_mem TO '7MB'").unwrap()["after"] = after.into();
        });
        reseal(&base, &folder, Seal::Whole);
        let drilled = kluis(&["drill"]).keeping(&planted).tools(&cluster).run();
        assert!(drilled.code == Some(13) && drilled.stdout.contains(words), "{after}: {drilled:#?}");
        assert_eq!(proof(&planted).verdict, Verdict::Bad);
    }
    cluster.sql("postgres", "DELETE FROM pg_shseclabel");
}
