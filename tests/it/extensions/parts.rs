//! Databases that extensions live in, each with data of its own kind.
//! It owns what is made of an extension and which server libraries it wants; it leaves backing up and restoring to the parent.

use crate::support::cluster::{Cluster, Database, has_extension};

/// An extension in use.
pub struct Part {
    /// What it is called here.
    pub name: &'static str,
    /// The extensions that must be there.
    pub needs: &'static [&'static str],
    /// The libraries that the server preloads for it.
    pub preload: &'static [&'static str],
    /// Makes it.
    pub fill: fn(&Database),
}

/// PostgreSQL's own extensions.
pub const CONTRIB: Part = Part { name: "contrib", needs: &["hstore"], preload: &["pg_stat_statements"], fill: contrib };
/// Geometry, topology and rasters.
pub const POSTGIS: Part = Part { name: "postgis", needs: &["postgis", "postgis_topology", "postgis_raster"], preload: &[], fill: postgis };
/// Vectors and both of their indexes.
pub const VECTOR: Part = Part { name: "vector", needs: &["vector"], preload: &[], fill: vector };
/// Jobs.
pub const CRON: Part = Part { name: "pg_cron", needs: &["pg_cron"], preload: &["pg_cron"], fill: cron };
/// Partitions that are kept up.
pub const PARTMAN: Part = Part { name: "pg_partman", needs: &["pg_partman"], preload: &["pg_partman_bgw"], fill: partman };
/// Settings of a library on database and roles.
pub const PGAUDIT: Part = Part { name: "pgaudit", needs: &["pgaudit"], preload: &["pgaudit"], fill: pgaudit };
/// Hypertables. Debian's build has no compression and no continuous aggregates: their licence is another one.
pub const TIMESCALEDB: Part = Part { name: "timescaledb", needs: &["timescaledb"], preload: &["timescaledb"], fill: timescaledb };

/// The version of an extension that the server would install.
fn version(database: &Database, extension: &str) -> (u32, u32) {
    let text = database.value(&format!("SELECT default_version FROM pg_available_extensions WHERE name = '{extension}'"));
    let mut numbers = text.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn contrib(database: &Database) {
    // Each in a schema that is not on the search path, so that nothing of it is found by accident.
    const EACH: &[(&str, &str)] = &[
        ("hstore", "CREATE TABLE hstores (v x.hstore); INSERT INTO hstores VALUES ('a=>1'); CREATE INDEX ON hstores USING gin (v)"),
        ("citext", "CREATE TABLE citexts (v x.citext PRIMARY KEY); INSERT INTO citexts VALUES ('Ab')"),
        ("ltree", "CREATE TABLE ltrees (v x.ltree); INSERT INTO ltrees VALUES ('a.b'); CREATE INDEX ON ltrees USING gist (v)"),
        ("cube", "CREATE TABLE cubes (v x.cube); INSERT INTO cubes VALUES ('(1,2)'); CREATE INDEX ON cubes USING gist (v)"),
        ("earthdistance", "CREATE TABLE earths (v x.earth); INSERT INTO earths VALUES ('(6378168,0,0)')"),
        ("seg", "CREATE TABLE segs (v x.seg PRIMARY KEY); INSERT INTO segs VALUES ('1.0 .. 2.0')"),
        ("isn", "CREATE TABLE isbns (v x.isbn PRIMARY KEY); INSERT INTO isbns VALUES ('1-58488-540-8')"),
        ("intarray", "CREATE TABLE arrays (v int[]); INSERT INTO arrays VALUES ('{1,2}'); CREATE INDEX ON arrays USING gist (v x.gist__int_ops)"),
        ("pg_trgm", "CREATE TABLE words (v text); INSERT INTO words VALUES ('abcdef'); CREATE INDEX ON words USING gin (v x.gin_trgm_ops)"),
        (
            "btree_gist",
            "CREATE TABLE stays (room int, days daterange, EXCLUDE USING gist (room WITH =, days WITH &&)); INSERT INTO stays VALUES (1, '[2026-01-01,2026-01-03)')",
        ),
        ("btree_gin", "CREATE TABLE gins (v int); INSERT INTO gins VALUES (1); CREATE INDEX ON gins USING gin (v)"),
        ("bloom", "CREATE TABLE blooms (a int, b int); INSERT INTO blooms VALUES (1, 2); CREATE INDEX ON blooms USING bloom (a, b)"),
        ("pgcrypto", "CREATE TABLE digests (v text, d bytea GENERATED ALWAYS AS (x.digest(v, 'sha256')) STORED); INSERT INTO digests VALUES ('a')"),
        (
            "unaccent",
            "CREATE TEXT SEARCH CONFIGURATION plain (COPY = pg_catalog.simple); ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR word WITH x.unaccent, simple",
        ),
        ("dict_int", "CREATE TEXT SEARCH DICTIONARY numbers (TEMPLATE = x.intdict_template, MAXLEN = 4)"),
        ("tablefunc", "CREATE VIEW crossed AS SELECT * FROM x.crosstab('SELECT 1, 2, 3') AS c (a int, b int)"),
        (
            "lo",
            "CREATE TABLE pictures (v x.lo); CREATE TRIGGER gone BEFORE UPDATE OR DELETE ON pictures FOR EACH ROW EXECUTE FUNCTION x.lo_manage(v); INSERT INTO pictures VALUES (lo_from_bytea(0, 'abc'))",
        ),
        (
            "moddatetime",
            "CREATE TABLE dated (id int, at timestamp); CREATE TRIGGER dated BEFORE UPDATE ON dated FOR EACH ROW EXECUTE FUNCTION x.moddatetime(at); INSERT INTO dated VALUES (1, '2026-01-01')",
        ),
        ("file_fdw", "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/nowhere')"),
        ("postgres_fdw", "CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere'); CREATE FOREIGN TABLE theirs (id int) SERVER other"),
        ("dblink", "CREATE VIEW linked AS SELECT * FROM x.dblink('host=/nowhere', 'SELECT 1') AS l (id int)"),
        ("pg_stat_statements", "CREATE VIEW slow AS SELECT query FROM x.pg_stat_statements"),
        ("uuid-ossp", "CREATE TABLE ids (id uuid DEFAULT x.uuid_generate_v4()); INSERT INTO ids VALUES ('00000000-0000-4000-8000-000000000000')"),
    ];
    database.sql("CREATE SCHEMA x");
    for (extension, sql) in EACH {
        if has_extension(database.cluster.bin(), extension) {
            database.sql(&format!("CREATE EXTENSION \"{extension}\" SCHEMA x; {sql}"));
        }
    }
}

fn postgis(database: &Database) {
    database.sql(
        "CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology; CREATE EXTENSION postgis_raster;
        INSERT INTO spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) SELECT 998999, 'kluis', 1, srtext, proj4text FROM spatial_ref_sys WHERE srid = 28992;
        CREATE TABLE places (id int PRIMARY KEY, at geometry(Point, 28992), around geography(Polygon, 4326), ours geometry(Point, 998999));
        INSERT INTO places SELECT i, ST_SetSRID(ST_MakePoint(i, 2 * i), 28992), 'POLYGON((0 0,0 1,1 1,0 0))'::geography, ST_SetSRID(ST_MakePoint(i, i), 998999) FROM generate_series(1, 500) i;
        CREATE INDEX ON places USING gist (at); CREATE INDEX ON places USING gist (around);
        CREATE MATERIALIZED VIEW hull AS SELECT ST_ConvexHull(ST_Collect(at)) AS hull FROM places;
        SELECT topology.CreateTopology('town', 28992); CREATE TABLE streets (id int PRIMARY KEY);
        SELECT topology.AddTopoGeometryColumn('town', 'public', 'streets', 'shape', 'LINE');
        INSERT INTO streets (id, shape) SELECT i, topology.toTopoGeom(ST_SetSRID(ST_MakeLine(ST_MakePoint(0, i), ST_MakePoint(10, i)), 28992), 'town', 1) FROM generate_series(1, 5) i;
        CREATE TABLE grids (id serial PRIMARY KEY, rast raster);
        INSERT INTO grids (rast) SELECT ST_AddBand(ST_MakeEmptyRaster(10, 10, i, i, 1, -1, 0, 0, 28992), '8BUI'::text, i, 0) FROM generate_series(1, 5) i;
        CREATE INDEX ON grids USING gist (ST_ConvexHull(rast)); SELECT AddRasterConstraints('grids'::name, 'rast'::name)",
    );
}

fn vector(database: &Database) {
    database.sql(
        "CREATE EXTENSION vector; CREATE TABLE items (id bigserial PRIMARY KEY, embedding vector(3));
        INSERT INTO items (embedding) SELECT ARRAY[i, i % 7, i % 11]::vector FROM generate_series(1, 500) i;
        CREATE INDEX ON items USING hnsw (embedding vector_l2_ops); CREATE INDEX ON items USING ivfflat (embedding vector_cosine_ops) WITH (lists = 10)",
    );
}

fn cron(database: &Database) {
    // As often as this version can. The command would leave a trace outside of every database.
    let often = if version(database, "pg_cron") >= (1, 5) { "1 second" } else { "* * * * *" };
    database.sql(&format!(
        "CREATE EXTENSION pg_cron; SELECT cron.schedule('trace', '{often}', $$COPY (SELECT 1) TO PROGRAM 'touch {trace}'$$);
        SELECT cron.schedule('nightly', '0 3 * * *', 'VACUUM');
        INSERT INTO cron.job_run_details (jobid, runid, command, status) SELECT 1, i, 'VACUUM', 'succeeded' FROM generate_series(1, 5) i",
        trace = trace(&database.cluster).display()
    ));
}

/// The file that a job leaves if it runs.
pub fn trace(cluster: &Cluster) -> std::path::PathBuf {
    cluster.socket().join("a-job-ran")
}

fn partman(database: &Database) {
    let create = if version(database, "pg_partman") >= (5, 0) {
        "partman.create_parent(p_parent_table := 'public.logs', p_control := 'at', p_interval := '1 day')"
    } else {
        "partman.create_parent('public.logs', 'at', 'native', 'daily')"
    };
    database.sql(&format!(
        "CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman;
        CREATE TABLE logs (at timestamptz NOT NULL, note text) PARTITION BY RANGE (at); SELECT {create};
        INSERT INTO logs SELECT now() + i * interval '1 hour', 'note ' || i FROM generate_series(-48, 48) i"
    ));
}

fn pgaudit(database: &Database) {
    let (role, name) = (crate::support::unique("audited"), kluis::postgres::quote::quote_ident(&database.name));
    database.sql(&format!(
        "CREATE EXTENSION pgaudit; CREATE ROLE {role}; CREATE TABLE accounts (id int); INSERT INTO accounts VALUES (1); GRANT SELECT ON accounts TO {role};
        ALTER DATABASE {name} SET pgaudit.log = 'ddl, write'; ALTER ROLE {role} SET pgaudit.log_relation = on; ALTER ROLE {role} IN DATABASE {name} SET pgaudit.role = 'auditor'"
    ));
}

fn timescaledb(database: &Database) {
    database.sql(
        "CREATE EXTENSION timescaledb; CREATE TABLE devices (id int PRIMARY KEY, name text); INSERT INTO devices SELECT i, 'device ' || i FROM generate_series(1, 5) i;
        CREATE TABLE metrics (at timestamptz NOT NULL, device int NOT NULL REFERENCES devices, value float8 CHECK (value >= 0));
        SELECT create_hypertable('metrics', 'at', chunk_time_interval => interval '1 day'); CREATE INDEX ON metrics (device, at DESC);
        INSERT INTO metrics SELECT '2026-01-01'::timestamptz + i * interval '10 minutes', 1 + i % 5, i FROM generate_series(1, 2000) i;
        CREATE TABLE spread (at timestamptz NOT NULL, device int NOT NULL, value float8, PRIMARY KEY (device, at));
        SELECT create_hypertable('spread', 'at', 'device', 3, chunk_time_interval => interval '7 days');
        INSERT INTO spread SELECT '2026-01-01'::timestamptz + i * interval '1 hour', i % 9, i FROM generate_series(1, 1000) i;
        CREATE VIEW daily AS SELECT time_bucket('1 day', at) AS day, avg(value) FROM metrics GROUP BY 1; SELECT drop_chunks('metrics', '2026-01-03'::timestamptz)",
    );
}
