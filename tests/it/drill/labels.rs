//! Security labels whose provider is on no machine but the source: the database comes back without them, and each is told.
//! It owns labels of what a database holds; those of the database itself are in `properties`.
//! Invariant: no provider has to be loaded: rows of pg_seclabel are planted as if one had been here.

use super::{drill, proof};
use crate::support::cluster::{Cluster, Database};
use crate::support::kluis::kluis;
use crate::support::repo::Repo;
use crate::support::unique;
use kluis::exception::{Class, Exception};

/// A database with a label on each sort of thing.
fn labelled(cluster: &Cluster) -> Database {
    let database = cluster.database("labelled");
    database.sql(
        "CREATE TABLE \"t IS\" (id int PRIMARY KEY); INSERT INTO \"t IS\" VALUES (1); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
        SELECT lo_from_bytea(4711, 'x'); CREATE PUBLICATION pub FOR TABLE \"t IS\"; SET allow_system_table_mods = on;
        INSERT INTO pg_seclabel SELECT '\"t IS\"'::regclass, 'pg_class'::regclass, n, 'some provider', 'it''s secret' FROM generate_series(0, 1) n;
        INSERT INTO pg_seclabel VALUES ('f'::regproc, 'pg_proc'::regclass, 0, 'some provider', 'secret'), (4711, 'pg_largeobject'::regclass, 0, 'other', 'secret');
        INSERT INTO pg_seclabel SELECT oid, 'pg_publication'::regclass, 0, 'other', 'secret' FROM pg_publication",
    );
    database
}

/// What has a label, as the server names it, with the label's provider.
const LABELS: &[(&str, &str)] = &[
    ("COLUMN public.\"t IS\".id", "some provider"),
    ("FUNCTION public.f()", "some provider"),
    ("LARGE OBJECT 4711", "other"),
    ("PUBLICATION pub", "other"),
    ("TABLE public.\"t IS\"", "some provider"),
];

#[test]
fn a_label_whose_provider_is_not_here_stops_no_restore() {
    for cluster in [13, 18].into_iter().filter_map(Cluster::of) {
        let (database, repo) = (labelled(&cluster), Repo::new());
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let new = Database { cluster: cluster.clone(), name: unique("unlabelled") };
        let told: Vec<String> =
            LABELS.iter().map(|(object, provider)| format!("{object} was not given its security label of the provider \"{provider}\"")).collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let ended = kluis(&["restore", "latest", "--create", "--to", &new.url()]).keeping(&repo).into(&cluster).run().warned(&told);
        assert!(!ended.stderr.contains("secret"), "{ended:#?}");
        assert_eq!(new.value("SELECT count(*) FROM \"t IS\", pg_publication_tables, pg_largeobject_metadata"), "1");
    }
}

#[test]
fn a_label_whose_provider_is_not_here_is_an_exception() {
    for cluster in [13, 18].into_iter().filter_map(Cluster::of) {
        let (database, repo) = (labelled(&cluster), Repo::new());
        kluis(&["backup"]).of(&database).keeping(&repo).run().done();
        let drilled = drill(&repo, &cluster).run();
        let expected: Vec<Exception> =
            LABELS.iter().map(|(object, provider)| Exception::new(Class::SecurityLabel, format!("{object}, of the provider \"{provider}\""))).collect();
        assert!(proof(&repo.newest()).proven() && proof(&repo.newest()).exceptions == expected, "{drilled:#?} {:#?}", proof(&repo.newest()));
    }
}
