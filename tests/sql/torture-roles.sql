-- Roles for torture.sql. Run it first, once per cluster, in the database postgres:
--
--   psql -X -v ON_ERROR_STOP=1 -d postgres -f torture-roles.sql
--
-- Idempotent: a second run changes nothing. Plain SQL, no psql meta-commands.
-- Nothing here belongs to a database (no ALTER ROLE ... IN DATABASE).
-- The password of every LOGIN role below is  kluis-canary-password : a test can
-- search for that string in logs, process lists, manifests and archives.

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET client_min_messages = warning;
SET password_encryption = 'scram-sha-256';
SET synchronous_commit = off;

DO $roles$
DECLARE
  r record;
BEGIN
  FOR r IN
    SELECT * FROM (VALUES
      ('kluis_owner',                       'NOLOGIN'),
      ('kluis_reader',                      'NOLOGIN NOINHERIT'),
      ('kluis_writer',                      'NOLOGIN'),
      ('kluis_group',                       'NOLOGIN'),
      -- plain text password: the server makes a SCRAM verifier with a random salt
      ('kluis_login',                       $$LOGIN PASSWORD 'kluis-canary-password'$$),
      -- the same password as a fixed SCRAM verifier: the same text in every cluster
      ('kluis_scram',                       $$LOGIN PASSWORD 'SCRAM-SHA-256$4096:a2x1aXMtdG9ydHVyZS0xNg==$l8jm9t/bssbIJlrxKBOp90PvyL8dNjONYltHN9wwJsc=:ey2MlmqIoZBprSwViqGKRrj9AR6LZYFEmriL8IR1QC0='$$),
      ('kluis_admin',                       $$LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS CONNECTION LIMIT 5 PASSWORD 'kluis-canary-password' VALID UNTIL '2099-12-31 23:59:59+00'$$),
      ('kluis_expired',                     $$LOGIN CONNECTION LIMIT 0 PASSWORD NULL VALID UNTIL '1999-12-31 23:59:59+00'$$),
      ('kluis_forever',                     $$NOLOGIN VALID UNTIL 'infinity'$$),
      ('kluis "double" quote',              'NOLOGIN'),
      ('kluis ''single'' quote',            $$LOGIN PASSWORD 'kluis-canary-password'$$),
      ('kluis space role ',                 'NOLOGIN'),
      (E'kluis\nnewline',                   'NOLOGIN'),
      (E'kluis\n\\! touch /tmp/kluis-pwned-role\n', 'NOLOGIN'),
      (E'kluis_ünïcödé_日本語_🦀',          'NOLOGIN'),
      (E'Kluis.UPPER;-- $1 \\ =/*',         'NOLOGIN'),
      ('kluis_' || repeat('r', 57),         'NOLOGIN'),
      ('user',                              'NOLOGIN')
    ) AS v(name, options)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r.name) THEN
      EXECUTE format('CREATE ROLE %I %s', r.name, r.options);
    END IF;
    EXECUTE format('COMMENT ON ROLE %I IS %L', r.name,
                   'torture role: ' || r.name || E'\n\\. ''quoted'' "double" \\N');
  END LOOP;
END
$roles$;

-- Memberships: plain, with admin option, a chain, and through an odd name.
GRANT kluis_group TO kluis_login;
GRANT kluis_group TO kluis_admin WITH ADMIN OPTION;
GRANT kluis_reader TO kluis_group;
GRANT kluis_writer TO "kluis ""double"" quote" WITH ADMIN OPTION;
GRANT "kluis ""double"" quote" TO "kluis 'single' quote";
GRANT kluis_reader TO U&"kluis\000Anewline" WITH ADMIN OPTION;
GRANT kluis_owner TO "kluis_ünïcödé_日本語_🦀";
GRANT pg_monitor TO kluis_admin;

-- What only newer majors have.
DO $new$
DECLARE
  v int := current_setting('server_version_num')::int;
BEGIN
  IF v >= 150000 THEN
    EXECUTE 'GRANT SET, ALTER SYSTEM ON PARAMETER log_min_duration_statement TO kluis_admin WITH GRANT OPTION';
    EXECUTE 'GRANT SET ON PARAMETER kluis.custom TO kluis_reader';
  END IF;
  IF v >= 160000 THEN
    EXECUTE 'GRANT kluis_reader TO kluis_scram WITH ADMIN FALSE, INHERIT FALSE, SET TRUE';
    EXECUTE 'GRANT kluis_writer TO kluis_scram WITH ADMIN TRUE, INHERIT TRUE, SET FALSE';
  ELSE
    EXECUTE 'GRANT kluis_reader TO kluis_scram';
    EXECUTE 'GRANT kluis_writer TO kluis_scram WITH ADMIN OPTION';
  END IF;
END
$new$;

-- Settings of roles: lists, odd names, quotes, an empty list.
ALTER ROLE kluis_login SET search_path = "Sch.ema ""x""", public, 'pg_catalog';
ALTER ROLE kluis_login SET work_mem = '7MB';
ALTER ROLE kluis_login SET "kluis.custom" = E'it''s "here"\nand \\ there';
ALTER ROLE kluis_reader SET default_transaction_read_only = on;
ALTER ROLE kluis_reader SET search_path = '';
ALTER ROLE kluis_writer SET DateStyle = 'German, DMY';
ALTER ROLE "kluis 'single' quote" SET statement_timeout = '90s';
-- A pg_dumpall from before CVE-2025-8715 was fixed (13.22, 14.19, 15.14, 16.10, 17.6) puts the name of a role with settings into a comment as it
-- stands: a line break in it ends the comment, and what follows is no SQL. Nothing restores such globals.
SELECT v / 10000 >= 18 OR v % 10000 >= CASE v / 10000 WHEN 13 THEN 22 WHEN 14 THEN 19 WHEN 15 THEN 14 WHEN 16 THEN 10 ELSE 6 END AS line_breaks_are_safe
  FROM (SELECT current_setting('server_version_num')::int AS v) AS server \gset
\if :line_breaks_are_safe
ALTER ROLE U&"kluis\000Anewline" SET application_name = E'a\nb';
\endif
ALTER ROLE "kluis_ünïcödé_日本語_🦀" SET application_name = 'ünï 🦀';
