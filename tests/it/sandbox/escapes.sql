-- A database whose every place that runs code in a restore tries to get out. Words between @ are the test's.
-- It does nothing but in a throwaway server. What succeeds, and what fails for another reason than a wall, is told in the error of the restore.
CREATE EXTENSION dblink;
CREATE EXTENSION postgres_fdw;
CREATE SERVER live FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '@SOCKET@', port '@PORT@', dbname 'postgres');
CREATE USER MAPPING FOR PUBLIC SERVER live OPTIONS (user 'postgres');
CREATE FOREIGN TABLE live_tables (relname name) SERVER live OPTIONS (schema_name 'pg_catalog', table_name 'pg_class');
CREATE TABLE sink (line text);

-- popen(3) of the GNU libc says that there is no memory whatever kept it from starting a shell: 53200.
CREATE FUNCTION attempts(OUT name text, OUT command text, OUT expected text) RETURNS SETOF record LANGUAGE sql AS $f$
    VALUES
    ('program', $c$COPY (SELECT 1) TO PROGRAM 'touch @OUT@/program'$c$, '42501 53200'),
    ('program-in', $c$COPY public.sink FROM PROGRAM 'touch @OUT@/program-in'$c$, '42501 53200'),
    ('write', $c$COPY (SELECT 1) TO '@OUT@/write'$c$, '42501'),
    ('write-repository', $c$COPY (SELECT 1) TO '@REPO@/app/written'$c$, '42501'),
    ('read', $c$COPY public.sink FROM '@SECRET@'$c$, '42501'),
    ('read-repository', $c$SELECT pg_read_file('@REPO@/app/history.jsonl')$c$, '42501'),
    ('read-file', $c$SELECT pg_read_file('@SECRET@')$c$, '42501'),
    ('read-binary', $c$SELECT pg_read_binary_file('@SECRET@')$c$, '42501'),
    ('list-repository', $c$SELECT pg_ls_dir('@REPO@')$c$, '42501'),
    ('list-scratch', $c$SELECT pg_ls_dir(current_setting('data_directory') || '/..')$c$, '42501'),
    ('list-processes', $c$SELECT pg_ls_dir('/proc')$c$, '42501'),
    ('environment', $c$SELECT pg_read_file('/proc/self/environ')$c$, '42501'),
    ('lo-export', $c$DO $d$DECLARE o oid := lo_from_bytea(0, 'x'); BEGIN PERFORM lo_export(o, '@OUT@/lo'); END$d$ $c$, '42501'),
    ('lo-import', $c$SELECT lo_import('@SECRET@')$c$, '42501'),
    ('dblink-socket', $c$SELECT public.dblink_connect('host=@SOCKET@ port=@PORT@ user=postgres dbname=postgres')$c$, '08001'),
    ('dblink-tcp', $c$SELECT public.dblink_connect('host=127.0.0.1 port=@PORT@ user=postgres dbname=postgres connect_timeout=2')$c$, '08001'),
    ('dblink-listener', $c$SELECT public.dblink_connect('host=127.0.0.1 port=@LISTENER@ user=postgres dbname=postgres connect_timeout=2')$c$, '08001'),
    ('postgres_fdw', $c$SELECT count(*) FROM public.live_tables$c$, '08001')
$f$;

-- A server that re-reads its settings can be made to run a program, and one that loads a library runs whatever it holds. Both write nothing but
-- in the server's own folder, which is allowed.
CREATE FUNCTION own_folder() RETURNS text LANGUAGE plpgsql AS $f$
DECLARE folder text := current_setting('data_directory'); said text := ''; library oid;
BEGIN
    IF length('@KEY@') > 0 THEN
        EXECUTE format('COPY (SELECT regexp_split_to_table(%L, ''\n'')) TO %L', '@KEY@', folder || '/server.key');
        EXECUTE format('COPY (SELECT regexp_split_to_table(%L, ''\n'')) TO %L', '@CERTIFICATE@', folder || '/server.crt');
        EXECUTE format('COPY (SELECT unnest(ARRAY[%L, %L, %L, %L])) TO %L', 'ssl = on', 'ssl_passphrase_command = ''touch @OUT@/passphrase''',
            'ssl_passphrase_command_supports_reload = on', 'archive_command = ''touch @OUT@/archive''', folder || '/postgresql.auto.conf');
        PERFORM pg_reload_conf(), pg_sleep(0.5);
    END IF;
    IF length('@LIBRARY@') > 0 THEN
        library := lo_from_bytea(0, decode('@LIBRARY@', 'hex'));
        PERFORM lo_export(library, folder || '/native.so'), lo_unlink(library);
        BEGIN
            EXECUTE format('LOAD %L', folder || '/native.so');
        EXCEPTION WHEN OTHERS THEN
            -- Its code has run before PostgreSQL finds out that it is no library of its kind.
        END;
        said := pg_read_file('native.txt');
        IF said NOT LIKE '%end' THEN said := said || ' native-ended-early'; END IF;
        said := replace(said, 'end', '');
    END IF;
    RETURN said;
END $f$;

CREATE FUNCTION escape(place text) RETURNS boolean LANGUAGE plpgsql AS $f$
DECLARE attempt record; found text := '';
BEGIN
    IF current_setting('cluster_name') <> 'kluis-throwaway' THEN RETURN true; END IF;
    FOR attempt IN SELECT * FROM public.attempts() LOOP
        BEGIN
            EXECUTE attempt.command;
            found := found || ' ' || attempt.name;
        EXCEPTION WHEN OTHERS THEN
            IF position(SQLSTATE IN attempt.expected) = 0 THEN found := found || ' ' || attempt.name || '=' || SQLSTATE; END IF;
        END;
    END LOOP;
    IF place = 'check' THEN found := found || public.own_folder(); END IF;
    IF found <> '' THEN
        -- What is raised is withheld, but not the server's own message about a setting that it does not know.
        PERFORM current_setting('escaped from ' || place || ':' || found);
    END IF;
    RETURN true;
END $f$;
-- Of a row, so that it is not computed when the table is made.
CREATE FUNCTION steady(place text, id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.escape(place); END';
