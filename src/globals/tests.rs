//! What pg_dumpall writes, of 13 to 18, and odd names and values in it.

use super::*;

#[test]
fn settings_of_roles() {
    for (statement, expected) in [
        ("ALTER ROLE bob SET work_mem TO '1MB';", true),
        ("ALTER ROLE \"we \"\"ird\" SET x.y TO 'z';", true),
        ("ALTER ROLE bob IN DATABASE app SET role TO 'z';", true),
        ("ALTER ROLE bob WITH SUPERUSER;", false),
        ("ALTER ROLE \"a SET b\" WITH LOGIN;", false),
        ("ALTER ROLE \"a", false),
        ("CREATE ROLE bob;", false),
    ] {
        assert_eq!(is_setting(statement.as_bytes()), expected, "{statement}");
    }
}

#[test]
fn roles_with_all_that_belongs_to_them() {
    let text = r#"SET default_transaction_read_only = off;
        SET client_encoding = 'SQL_ASCII';
        CREATE ROLE "we ""ird; TO";
        ALTER ROLE "we ""ird; TO" WITH NOSUPERUSER NOINHERIT NOCREATEROLE CREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 7 PASSWORD 'SCRAM-SHA-256$4096:a''b' VALID UNTIL '2030-01-01 00:00:00+00';
        COMMENT ON ROLE "we ""ird; TO" IS E'it''s \\ ; SET x';
        CREATE ROLE grp; ALTER ROLE grp WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
        SECURITY LABEL FOR "dum my" ON ROLE grp IS 'x';
        ALTER ROLE grp SET search_path TO 'a', '$user';
        ALTER ROLE grp SET "odd.name" TO 'b;c';
        GRANT grp TO "we ""ird; TO" WITH ADMIN OPTION, INHERIT FALSE, SET FALSE GRANTED BY postgres;
        GRANT pg_read_all_data TO grp;
        GRANT SET ON PARAMETER log_statement TO grp;
        SET SESSION AUTHORIZATION grp; GRANT ALTER SYSTEM ON PARAMETER work_mem TO "we ""ird; TO" WITH GRANT OPTION; RESET SESSION AUTHORIZATION;
        ALTER ROLE ALL SET work_mem TO '3MB'; SELECT pg_catalog.set_config('search_path', '', false); ALTER ROLE ALL SET search_path FROM CURRENT;
        CREATE TABLESPACE fast OWNER grp LOCATION '/x'; GRANT ALL ON TABLESPACE fast TO grp;"#;
    let found = Globals::parse(text.as_bytes()).unwrap();
    assert_eq!((found.encoding.as_str(), found.roles.len(), found.tablespaces.as_slice()), ("SQL_ASCII", 2, ["fast".to_owned()].as_slice()));
    let (odd, group) = (&found.roles[0], found.role("grp").unwrap());
    assert_eq!(odd.name, "we \"ird; TO");
    assert_eq!((odd.may, odd.connections), ([false, false, false, true, true, false, false], 7));
    assert_eq!(odd.password.as_ref().unwrap().expose(), "'SCRAM-SHA-256$4096:a''b'");
    assert_eq!((odd.valid_until.as_deref(), odd.comment.as_deref()), (Some("'2030-01-01 00:00:00+00'"), Some(r"E'it''s \\ ; SET x'")));
    assert_eq!(group.settings, [("search_path".to_owned(), "'a', '$user'".to_owned()), ("\"odd.name\"".to_owned(), "'b;c'".to_owned())]);
    assert_eq!(group.labels, [("\"dum my\"".to_owned(), "'x'".to_owned())]);
    assert_eq!(found.everybody[0], ("work_mem".to_owned(), "ALTER ROLE ALL SET work_mem TO '3MB';".to_owned()));
    assert!(found.everybody[1].1.starts_with("SELECT pg_catalog.set_config") && found.everybody[1].1.ends_with("FROM CURRENT;"));
    let first = &found.memberships[0];
    assert_eq!((first.role.as_str(), first.member.as_str(), first.grantor.as_deref()), ("grp", "we \"ird; TO", Some("postgres")));
    assert_eq!((first.admin, first.inherit, first.set), (true, Some(false), false));
    assert_eq!((found.memberships[1].admin, found.memberships[1].inherit, found.memberships[1].set), (false, None, true));
    assert_eq!(found.rights.iter().map(|right| right.grantee.as_str()).collect::<Vec<_>>(), ["grp", "we \"ird; TO"]);
    assert!(
        found.rights[1].statement.starts_with("SET SESSION AUTHORIZATION \"grp\"; GRANT ALTER")
            && found.rights[1].statement.ends_with("RESET SESSION AUTHORIZATION;")
    );
    assert!(!format!("{found:?}").contains("SCRAM"), "a password is not printed");
}

#[test]
fn what_is_not_understood_is_an_error_without_its_values() {
    for text in [
        "DROP ROLE bob;",
        "CREATE ROLE bob; ALTER ROLE bob WITH FLYING PASSWORD 'secret';",
        "ALTER ROLE nobody WITH LOGIN PASSWORD 'secret';",
        "GRANT a TO b WITH secret OPTION;",
        "CREATE ROLE 'secret';",
        "CREATE ROLE bob",
    ] {
        let error = Globals::parse(text.as_bytes()).unwrap_err();
        assert!(!error.chain().contains("secret"), "{text}: {}", error.chain());
    }
    assert!(Globals::parse(b"CREATE ROLE \xff;").is_err());
}
