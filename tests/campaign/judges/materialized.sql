-- The rows of every filled materialized view, which a restore makes anew, in an order that depends on nothing but their text.
\ir settings.sql
SELECT format('SELECT %L', 'rows of ' || c.oid::regclass::text),
    format('COPY (SELECT %s FROM %s t %s) TO STDOUT', a.names, c.oid::regclass, 'ORDER BY ' || a.texts)
FROM pg_class c, LATERAL (
    SELECT string_agg(format('t.%I', attname), ', ' ORDER BY attname COLLATE "C") AS names, string_agg(format('t.%I::text COLLATE "C"', attname), ', ' ORDER BY attname COLLATE "C") AS texts
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a
WHERE c.oid >= 16384 AND c.relkind = 'm' AND c.relispopulated AND c.relpersistence <> 't'
ORDER BY c.oid::regclass::text COLLATE "C"
\gexec
