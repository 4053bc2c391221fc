-- What PostgreSQL words in another way once it was dumped and restored, in every place where an expression can stand; and trees of tables that
-- were altered after their children were made. All of it is restored right, and must be proven.

CREATE TABLE enum_like (id int PRIMARY KEY, status varchar(10) NOT NULL DEFAULT 'a' CHECK (status IN ('a', 'b')), kind char(3) CHECK (kind IN ('x', 'y', 'z')));
INSERT INTO enum_like VALUES (1, 'a', 'x'), (2, 'b', NULL);
ALTER TABLE enum_like ADD CONSTRAINT later CHECK (status IN ('a', 'b', 'c')) NOT VALID;
CREATE TABLE "Odd Name" ("Status" varchar(255) CHECK ("Status"::text = ANY (ARRAY['p'::varchar, 'q'::varchar]::text[])), n numeric(8,2) CHECK (n BETWEEN 1 AND 9));
INSERT INTO "Odd Name" VALUES ('p', 2);

CREATE VIEW v_in AS SELECT id FROM enum_like WHERE status IN ('a', 'b');
CREATE VIEW v_case AS SELECT CASE WHEN status IN ('a', 'b') THEN 1 ELSE 0 END AS yes, id FROM enum_like WHERE kind IN ('x', 'y');
CREATE VIEW v_over AS SELECT * FROM v_in WHERE id IN (SELECT id FROM enum_like WHERE status IN ('a'));
CREATE MATERIALIZED VIEW m_in AS SELECT count(*) FILTER (WHERE status IN ('a', 'c')) AS n FROM enum_like;
CREATE RULE r_in AS ON UPDATE TO enum_like WHERE old.status IN ('b', 'c') DO ALSO SELECT 1;

CREATE INDEX i_partial ON enum_like (id) WHERE status IN ('a', 'b');
CREATE INDEX i_expression ON enum_like ((status IN ('a', 'b')));
CREATE UNIQUE INDEX i_unique ON enum_like (id, (CASE WHEN kind IN ('x', 'y') THEN 1 ELSE 2 END)) WHERE kind IN ('x', 'z');
ALTER TABLE enum_like ADD CONSTRAINT no_two EXCLUDE USING btree (id WITH =) WHERE (status IN ('a', 'b'));
CREATE STATISTICS s_plain (ndistinct) ON id, status FROM enum_like;

ALTER TABLE enum_like ENABLE ROW LEVEL SECURITY;
CREATE POLICY p_in ON enum_like USING (status IN ('a', 'b')) WITH CHECK (kind IN ('x', 'y'));
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t_in BEFORE UPDATE ON enum_like FOR EACH ROW WHEN (new.status IN ('a', 'b')) EXECUTE FUNCTION nothing();
CREATE DOMAIN d_in AS varchar(10) DEFAULT 'a' CHECK (VALUE IN ('a', 'b'));
CREATE TABLE of_domain (d d_in DEFAULT 'b', e varchar(9) DEFAULT CASE WHEN 'x'::varchar IN ('x', 'y') THEN 'z' ELSE 'w' END, g boolean GENERATED ALWAYS AS (id IN (1, 2) AND t IN ('a', 'b')) STORED, id int, t varchar(3));
INSERT INTO of_domain (id, t) VALUES (1, 'a'), (3, 'c');
CREATE FUNCTION f_defaults(a varchar DEFAULT 'x', b boolean DEFAULT 'q'::varchar IN ('q', 'r')) RETURNS int LANGUAGE sql AS 'SELECT 1';

-- Inheritance, altered afterwards.
CREATE TABLE parent (a int, s varchar(5) CHECK (s IN ('a', 'b')));
CREATE TABLE child (x int, y text DEFAULT 'y', z int) INHERITS (parent);
ALTER TABLE parent ADD c text DEFAULT 'later';
ALTER TABLE parent RENAME a TO renamed;
ALTER TABLE parent ADD CONSTRAINT positive CHECK (renamed > 0);
INSERT INTO child VALUES (1, 'a', 7, 'z', 5, 'c');
CREATE TABLE second (z int, c text);
ALTER TABLE child INHERIT second;

CREATE TABLE grandchild (LIKE child INCLUDING ALL);
ALTER TABLE grandchild INHERIT child;
CREATE TABLE with_default (d int DEFAULT 4, e int DEFAULT 5);
CREATE TABLE without_default () INHERITS (with_default);
ALTER TABLE without_default ALTER d DROP DEFAULT, ALTER e SET DEFAULT NULL;
CREATE TABLE renamed_too (a int, b text);
CREATE TABLE of_it () INHERITS (renamed_too);
ALTER TABLE renamed_too RENAME b TO bb;
ALTER TABLE renamed_too ALTER a TYPE bigint;
ALTER TABLE renamed_too ADD d date, ADD e int NOT NULL DEFAULT 3;
INSERT INTO of_it VALUES (1, 'x', '2026-01-01', 4);
CREATE TABLE p_enum (id int, day date NOT NULL, status varchar(8) CHECK (status IN ('on', 'off'))) PARTITION BY RANGE (day);
CREATE TABLE p_1 PARTITION OF p_enum FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE p_2 (status varchar(8), id int, day date NOT NULL);
ALTER TABLE p_2 ADD CONSTRAINT p_enum_status_check CHECK (status IN ('on', 'off'));
ALTER TABLE p_enum ATTACH PARTITION p_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
ALTER TABLE p_enum ADD extra text DEFAULT 'e';
CREATE INDEX p_index ON p_enum (id) WHERE status IN ('on');
INSERT INTO p_enum VALUES (1, '2026-01-05', 'on'), (2, '2026-02-05', 'off');
CREATE TABLE lists (k varchar(4), v int) PARTITION BY LIST ((k IN ('a', 'b')));
CREATE TABLE lists_true PARTITION OF lists FOR VALUES IN (true);
INSERT INTO lists VALUES ('a', 1);
