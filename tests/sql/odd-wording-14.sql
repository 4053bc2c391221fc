-- From 14 on: bodies of functions as SQL, which are kept as they were understood; statistics on expressions; multiranges.
CREATE FUNCTION f_atomic(s varchar) RETURNS boolean BEGIN ATOMIC SELECT s IN ('a', 'b'); END;
CREATE FUNCTION f_return(s varchar) RETURNS int RETURN CASE WHEN s IN ('a', 'b') THEN 1 ELSE 2 END;
CREATE PROCEDURE p_atomic(n int) BEGIN ATOMIC DELETE FROM of_it WHERE a = n AND bb IN ('q'); END;
CREATE STATISTICS s_expression ON (status IN ('a', 'b')), id FROM enum_like;
CREATE TYPE spans AS RANGE (subtype = float8, multirange_type_name = many_spans);
CREATE TABLE uses_them (s spans, m many_spans, n int GENERATED ALWAYS AS (f_return('a'::varchar)) STORED);
