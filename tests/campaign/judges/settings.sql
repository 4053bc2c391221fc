-- What a database sets for its sessions must not change what a judge reads.
\set ON_ERROR_STOP 1
\pset format unaligned
\pset tuples_only on
\o /dev/null
SELECT set_config(name, value, false) FROM (VALUES
    ('search_path', ''), ('quote_all_identifiers', 'off'), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('bytea_output', 'hex'),
    ('extra_float_digits', '3'), ('lc_monetary', 'C'), ('xmloption', 'content'), ('client_encoding', 'UTF8'), ('standard_conforming_strings', 'on'), ('array_nulls', 'on'),
    ('statement_timeout', '0'), ('lock_timeout', '0'), ('row_security', 'on'), ('default_transaction_read_only', 'off'), ('enable_seqscan', 'on'), ('transform_null_equals', 'off'),
    ('backslash_quote', 'safe_encoding'), ('session_replication_role', 'origin')
) AS s(name, value);
\o
