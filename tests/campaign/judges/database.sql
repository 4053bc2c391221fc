-- The database's own properties, where only a restore that creates it brings them back.
\ir settings.sql
SELECT 'database', pg_get_userbyid(datdba), datconnlimit, datistemplate, datallowconn, datcollate, datctype, pg_encoding_to_char(encoding), shobj_description(oid, 'pg_database'),
    (SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(coalesce(datacl, acldefault('d', datdba))) a)
FROM pg_database WHERE datname = current_database();
SELECT 'setting', coalesce(r.rolname, ''), (SELECT string_agg(x, E'\n' ORDER BY x COLLATE "C") FROM unnest(setconfig) x)
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = current_database() ORDER BY 2;
