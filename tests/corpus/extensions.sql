-- Extensions, each with data: one database a name. What is not installed for a major is a skip.
--- hstore
CREATE EXTENSION hstore; CREATE TABLE t (id int PRIMARY KEY, h hstore); INSERT INTO t SELECT i, hstore('k' || i, 'v"' || i) FROM generate_series(1, 50) i; CREATE INDEX ON t USING gin (h); CREATE INDEX ON t USING gist (h) WHERE h ? 'k1';
--- citext
CREATE EXTENSION citext; CREATE TABLE t (id int PRIMARY KEY, e citext UNIQUE CHECK (e IN ('a', 'B', 'c') OR e <> '')); INSERT INTO t VALUES (1, 'Ab'), (2, 'cD'); CREATE INDEX ON t (lower(e)); CREATE VIEW v AS SELECT * FROM t WHERE e IN ('ab', 'x');
--- ltree
CREATE EXTENSION ltree; CREATE TABLE t (p ltree PRIMARY KEY); INSERT INTO t VALUES ('Top'), ('Top.Science'), ('Top.Science.Astronomy'); CREATE INDEX ON t USING gist (p);
--- pg_trgm
CREATE EXTENSION pg_trgm; CREATE TABLE t (id serial, w text); INSERT INTO t (w) SELECT md5(i::text) FROM generate_series(1, 100) i; CREATE INDEX ON t USING gin (w gin_trgm_ops); CREATE INDEX ON t USING gist (w gist_trgm_ops);
--- btree_gist
CREATE EXTENSION btree_gist; CREATE TABLE t (room int, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&)); INSERT INTO t VALUES (1, '[2026-01-01,2026-01-02)'), (1, '[2026-01-02,2026-01-03)'), (2, '[2026-01-01,2026-01-05)');
--- btree_gin
CREATE EXTENSION btree_gin; CREATE TABLE t (a int, b text, j jsonb); INSERT INTO t SELECT i, i::text, '{"a":1}' FROM generate_series(1, 50) i; CREATE INDEX ON t USING gin (a, b, j);
--- cube
CREATE EXTENSION cube; CREATE TABLE t (c cube); INSERT INTO t VALUES ('(1,2,3)'), ('(0,0),(1.5,1)'); CREATE INDEX ON t USING gist (c);
--- earthdistance
CREATE EXTENSION cube; CREATE EXTENSION earthdistance; CREATE TABLE t (lat float8, lon float8); INSERT INTO t VALUES (52.1, 4.3), (0, 0); CREATE VIEW v AS SELECT ll_to_earth(lat, lon) AS e FROM t;
--- intarray
CREATE EXTENSION intarray; CREATE TABLE t (a int[]); INSERT INTO t VALUES ('{1,2,3}'), ('{}'); CREATE INDEX ON t USING gist (a gist__int_ops); CREATE INDEX ON t USING gin (a gin__int_ops);
--- isn
CREATE EXTENSION isn; CREATE TABLE t (i isbn13 PRIMARY KEY, e ean13); INSERT INTO t VALUES ('978-0-393-04002-9', '9780393040029');
--- seg
CREATE EXTENSION seg; CREATE TABLE t (s seg); INSERT INTO t VALUES ('1.5 .. 2.5'), ('~3'); CREATE INDEX ON t USING gist (s);
--- uuid-ossp
CREATE EXTENSION "uuid-ossp"; CREATE TABLE t (id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), n int); INSERT INTO t (n) SELECT generate_series(1, 20);
--- pgcrypto
CREATE EXTENSION pgcrypto; CREATE TABLE t (id uuid DEFAULT gen_random_uuid(), h bytea GENERATED ALWAYS AS (digest(w, 'sha256')) STORED, w text); INSERT INTO t (w) VALUES ('a'), ('b');
--- unaccent
CREATE EXTENSION unaccent; CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple); ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple; CREATE TABLE t (w text); INSERT INTO t VALUES ('Hôtel'); CREATE INDEX ON t USING gin (to_tsvector('public.plain'::regconfig, w));
--- fuzzystrmatch
CREATE EXTENSION fuzzystrmatch; CREATE TABLE t (w text); INSERT INTO t VALUES ('word'); CREATE INDEX ON t (soundex(w)); CREATE VIEW v AS SELECT levenshtein(w, 'world') AS d FROM t;
--- tablefunc
CREATE EXTENSION tablefunc; CREATE TABLE t (k text, c text, v int); INSERT INTO t VALUES ('a', 'x', 1), ('a', 'y', 2); CREATE VIEW v AS SELECT * FROM crosstab('SELECT k, c, v FROM public.t ORDER BY 1, 2') AS (k text, x int, y int);
--- lo
CREATE EXTENSION lo; CREATE TABLE t (id int, image lo); CREATE TRIGGER t BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION lo_manage(image); INSERT INTO t VALUES (1, lo_from_bytea(0, 'x'));
--- bloom
CREATE EXTENSION bloom; CREATE TABLE t (a int, b int); INSERT INTO t SELECT i, -i FROM generate_series(1, 100) i; CREATE INDEX ON t USING bloom (a, b) WITH (length = 80);
--- dict_int
CREATE EXTENSION dict_int; CREATE TEXT SEARCH CONFIGURATION numbers (COPY = simple); ALTER TEXT SEARCH DICTIONARY intdict (MAXLEN = 4); ALTER TEXT SEARCH CONFIGURATION numbers ALTER MAPPING FOR int WITH intdict;
--- dict_xsyn
CREATE EXTENSION dict_xsyn; CREATE TEXT SEARCH CONFIGURATION x (COPY = simple);
--- autoinc
CREATE EXTENSION autoinc; CREATE SEQUENCE next_id START -2 MINVALUE -2; CREATE TABLE ids (id int4, idesc text); CREATE TRIGGER ids_nextid BEFORE INSERT OR UPDATE ON ids FOR EACH ROW EXECUTE FUNCTION autoinc (id, next_id); INSERT INTO ids VALUES (0, 'first'), (NULL, 'second');
--- insert_username
CREATE EXTENSION insert_username; CREATE TABLE t (n text, who text NOT NULL); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION insert_username (who); INSERT INTO t VALUES ('a', 'x');
--- moddatetime
CREATE EXTENSION moddatetime; CREATE TABLE t (n text, at timestamp DEFAULT '2026-01-01'); CREATE TRIGGER t BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION moddatetime (at); INSERT INTO t VALUES ('a');
--- refint
CREATE EXTENSION refint; CREATE TABLE a (id int4 NOT NULL); CREATE UNIQUE INDEX ai ON a (id); CREATE TABLE b (refb int4); CREATE TRIGGER bt BEFORE INSERT OR UPDATE ON b FOR EACH ROW EXECUTE FUNCTION check_primary_key ('refb', 'a', 'id'); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);
--- tcn
CREATE EXTENSION tcn; CREATE TABLE t (id int PRIMARY KEY); CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION triggered_change_notification(); INSERT INTO t VALUES (1);
--- xml2
CREATE EXTENSION xml2; CREATE TABLE t (d text); INSERT INTO t VALUES ('<a>1</a>'); CREATE VIEW v AS SELECT xpath_string(d, '/a') AS a FROM t;
--- postgres_fdw
CREATE EXTENSION postgres_fdw; CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid', dbname 'x'); CREATE USER MAPPING FOR PUBLIC SERVER away OPTIONS (user 'u', password 'p'); CREATE FOREIGN TABLE f (id int OPTIONS (column_name 'ID'), n text) SERVER away OPTIONS (schema_name 's', table_name 't');
--- file_fdw
CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE passwd (line text) SERVER files OPTIONS (filename '/nowhere', format 'text');
--- dblink
CREATE EXTENSION dblink; CREATE VIEW v AS SELECT * FROM dblink('host=nowhere.invalid', 'SELECT 1') AS (a int);
--- pg_stat_statements
CREATE EXTENSION pg_stat_statements; CREATE TABLE t AS SELECT 1 AS a;
--- tsm_system_rows
CREATE EXTENSION tsm_system_rows; CREATE TABLE t AS SELECT generate_series(1, 100) AS a; CREATE VIEW v AS SELECT count(*) FROM t TABLESAMPLE system_rows(1000);
--- amcheck
CREATE EXTENSION amcheck; CREATE TABLE t AS SELECT generate_series(1, 100) AS a; CREATE INDEX ON t (a);
--- pageinspect
CREATE EXTENSION pageinspect; CREATE EXTENSION pgstattuple; CREATE EXTENSION pg_buffercache; CREATE TABLE t AS SELECT 1 AS a;
--- plpython3u
CREATE EXTENSION plpython3u; CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpython3u IMMUTABLE AS 'return a + 1'; CREATE TABLE t (a int, b int GENERATED ALWAYS AS (f(a)) STORED); INSERT INTO t (a) VALUES (1), (2);
--- plperl
CREATE EXTENSION plperl; CREATE FUNCTION f(text) RETURNS text LANGUAGE plperl IMMUTABLE AS 'return lc($_[0]);'; CREATE TABLE t (a text CHECK (f(a) <> 'q')); INSERT INTO t VALUES ('A'); CREATE INDEX ON t (f(a));
--- pltcl
CREATE EXTENSION pltcl; CREATE FUNCTION f(int) RETURNS int LANGUAGE pltcl IMMUTABLE AS 'return [expr $1 + 1]'; CREATE TABLE t (a int CHECK (f(a) > 0)); INSERT INTO t VALUES (1);
--- vector
CREATE EXTENSION vector; CREATE TABLE t (id bigserial PRIMARY KEY, e vector(3)); INSERT INTO t (e) SELECT ('[' || i || ',2,3]')::vector FROM generate_series(1, 60) i; CREATE INDEX ON t USING ivfflat (e vector_l2_ops) WITH (lists = 4);
--- postgis
CREATE EXTENSION postgis; CREATE TABLE places (id serial PRIMARY KEY, g geometry(Point, 4326), w geography); INSERT INTO places (g, w) SELECT ST_SetSRID(ST_MakePoint(4 + i / 10.0, 52), 4326), ST_MakePoint(4, 52)::geography FROM generate_series(1, 20) i; CREATE INDEX ON places USING gist (g); CREATE VIEW far AS SELECT id, ST_Buffer(g, 1) AS b FROM places;
--- postgis_topology
CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology; SELECT topology.CreateTopology('roads', 28992); SELECT topology.TopoGeo_AddPoint('roads', ST_SetSRID(ST_MakePoint(1, 2), 28992));
--- pg_partman
CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman; CREATE TABLE public.log (id bigint, at timestamptz NOT NULL DEFAULT '2026-01-01') PARTITION BY RANGE (at);
DO $$ DECLARE old boolean := (SELECT extversion ~ '^[34]\.' FROM pg_extension WHERE extname = 'pg_partman'); BEGIN PERFORM partman.create_parent(p_parent_table := 'public.log', p_control := 'at', p_type := CASE WHEN old THEN 'native' ELSE 'range' END, p_interval := CASE WHEN old THEN 'monthly' ELSE '1 month' END, p_start_partition := '2026-01-01'); END $$;
INSERT INTO log SELECT i, '2026-01-01 00:00+00'::timestamptz + i * interval '3 days' FROM generate_series(1, 30) i;
