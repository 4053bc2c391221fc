-- The rows of every table in an order that depends on nothing but their text; the values of sequences; large objects.
\ir settings.sql
SELECT format('SELECT %L', 'rows of ' || c.oid::regclass::text),
    format('COPY (SELECT %s FROM ONLY %s t %s) TO STDOUT', a.names, c.oid::regclass, 'ORDER BY ' || a.texts)
FROM pg_class c, LATERAL (
    SELECT string_agg(format('t.%I', attname), ', ' ORDER BY attname COLLATE "C") AS names, string_agg(format('t.%I::text COLLATE "C"', attname), ', ' ORDER BY attname COLLATE "C") AS texts
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a
WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence <> 't'
ORDER BY c.oid::regclass::text COLLATE "C"
\gexec
SELECT format('SELECT %L, last_value, is_called FROM %s', 'sequence ' || oid::regclass, oid::regclass)
FROM pg_class WHERE relkind = 'S' AND relpersistence <> 't' AND oid >= 16384 ORDER BY oid::regclass::text COLLATE "C"
\gexec
SELECT 'large object', m.oid, pg_get_userbyid(lomowner), (SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(coalesce(lomacl, acldefault('L', lomowner))) a),
    octet_length(lo_get(m.oid)), md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject')
FROM pg_largeobject_metadata m ORDER BY 2;
