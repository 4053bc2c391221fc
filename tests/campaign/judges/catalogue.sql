-- What the catalogue says of every object, in names and not in numbers, a line each. Expressions are left to pg_dump: PostgreSQL words them in another
-- way once they were restored. Written from the manual's chapter on system catalogues, without a look at Kluis's own inventory.
\ir settings.sql
CREATE FUNCTION pg_temp.rights(list aclitem[]) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(list) a $$;
CREATE FUNCTION pg_temp.sorted(list text[]) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(a, E'\x1f' ORDER BY a COLLATE "C") FROM unnest(list) a WHERE a !~ '^pg_attver=' $$; -- which some builds keep there
CREATE FUNCTION pg_temp.names(relation oid, numbers int2[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(coalesce(attname, '(expression)'), ',' ORDER BY n) FROM unnest(numbers) WITH ORDINALITY u(number, n) LEFT JOIN pg_catalog.pg_attribute ON attrelid = relation AND attnum = number $$;
CREATE TEMP VIEW mine AS SELECT c.* , c.oid AS id, c.oid::regclass::text AS name FROM pg_class c WHERE c.oid >= 16384 AND relpersistence <> 't' AND relnamespace <> 'pg_toast'::regnamespace
    AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c', 'i', 'I');

SELECT ROW('schema', nspname, pg_get_userbyid(nspowner), pg_temp.rights(coalesce(nspacl, acldefault('n', nspowner)))) FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)';
SELECT ROW('relation', name, relkind, pg_get_userbyid(relowner), relpersistence, relreplident, relrowsecurity, relforcerowsecurity, relispartition, relispopulated,
    CASE relkind WHEN 'S' THEN pg_temp.rights(coalesce(relacl, acldefault('s', relowner))) WHEN 'c' THEN '' WHEN 'i' THEN '' WHEN 'I' THEN '' ELSE pg_temp.rights(coalesce(relacl, acldefault('r', relowner))) END,
    pg_temp.sorted(reloptions), (SELECT pg_temp.sorted(t.reloptions) FROM pg_class t WHERE t.oid = m.reltoastrelid), (SELECT amname FROM pg_am WHERE oid = relam), reltablespace,
    CASE WHEN reloftype <> 0 THEN format_type(reloftype, NULL) END) FROM mine m;
SELECT ROW('bound', name, pg_get_expr(relpartbound, id)) FROM mine WHERE relispartition AND relkind <> 'i' AND relkind <> 'I';
SELECT ROW('column', m.name, attname, CASE WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = m.id) THEN NULL ELSE (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = m.id AND b.attnum > 0 AND b.attnum < a.attnum AND NOT b.attisdropped) END,
    format_type(atttypid, atttypmod), CASE WHEN attcollation <> 0 THEN attcollation::regcollation::text END, attnotnull,
    -- A child without the default of its parent is dumped with DEFAULT NULL, which is the same.
    EXISTS (SELECT FROM pg_attrdef WHERE adrelid = m.id AND adnum = attnum AND pg_get_expr(adbin, adrelid) !~ '^\(*NULL'), attgenerated, attidentity, attstorage, to_jsonb(a) ->> 'attcompression',
    nullif(coalesce(to_jsonb(a) ->> 'attstattarget', '-1'), '-1'), pg_temp.rights(attacl), pg_temp.sorted(attoptions), pg_temp.sorted(attfdwoptions))
FROM mine m JOIN pg_attribute a ON attrelid = m.id WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c');
SELECT ROW('statistics target of an index', name, attnum, attstattarget) FROM mine m JOIN pg_attribute a ON attrelid = m.id WHERE relkind IN ('i', 'I') AND coalesce(attstattarget, -1) <> -1;
SELECT ROW('constraint', CASE WHEN conrelid <> 0 THEN conrelid::regclass::text ELSE format_type(contypid, NULL) END, conname, contype, condeferrable, condeferred, convalidated, CASE WHEN contype IN ('c', 'n') THEN connoinherit END,
    to_jsonb(c) ->> 'conenforced', to_jsonb(c) ->> 'conperiod', pg_temp.names(conrelid, conkey), confrelid::regclass, pg_temp.names(confrelid, confkey), confupdtype, confdeltype, confmatchtype,
    pg_temp.names(conrelid, (SELECT array_agg(x::int2) FROM jsonb_array_elements_text(nullif(to_jsonb(c) -> 'confdelsetcols', 'null'::jsonb)) x)),
    -- A foreign key of a partition that follows from its parent's may have another name.
    CASE WHEN contype = 'f' AND conparentid <> 0 THEN 'of its parent' END, conexclop::regoperator[])
FROM pg_constraint c WHERE c.oid >= 16384 AND NOT (contype = 'f' AND conparentid <> 0) AND contype <> 't' AND NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = conrelid AND relpersistence = 't');
SELECT ROW('index', m.name, i.indrelid::regclass, indisunique, to_jsonb(i) ->> 'indnullsnotdistinct', indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid, indisreplident, indnkeyatts,
    pg_temp.names(indrelid, indkey::int2[]), indoption, (SELECT array_agg(n.nspname || '.' || opcname ORDER BY o) FROM unnest(indclass) WITH ORDINALITY u(c, o) JOIN pg_opclass ON pg_opclass.oid = c JOIN pg_namespace n ON n.oid = opcnamespace),
    (SELECT array_agg(CASE WHEN c <> 0 THEN c::regcollation::text END ORDER BY o) FROM unnest(indcollation) WITH ORDINALITY u(c, o)), indpred IS NULL,
    (SELECT conname FROM pg_constraint WHERE conindid = m.id AND contype IN ('p', 'u', 'x') AND conrelid = indrelid))
FROM mine m JOIN pg_index i ON indexrelid = m.id;
SELECT ROW('inheritance', inhrelid::regclass, inhparent::regclass, (SELECT count(*) FROM pg_inherits j WHERE j.inhrelid = i.inhrelid AND j.inhseqno < i.inhseqno)) FROM pg_inherits i;
SELECT ROW('trigger', tgrelid::regclass, tgname, tgfoid::regprocedure, tgtype, tgenabled, tgconstrrelid::regclass, tgdeferrable, tginitdeferred, tgargs, tgoldtable, tgnewtable, pg_temp.names(tgrelid, tgattr::int2[]), tgqual IS NULL)
FROM pg_trigger WHERE NOT tgisinternal;
SELECT ROW('trigger of a constraint', tgrelid::regclass, (SELECT conname FROM pg_constraint WHERE oid = tgconstraint AND conparentid = 0), tgtype, tgfoid::regprocedure, tgenabled) FROM pg_trigger
WHERE tgisinternal AND EXISTS (SELECT FROM pg_constraint WHERE oid = tgconstraint AND conparentid = 0);
SELECT ROW('rule', ev_class::regclass, rulename, ev_type, ev_enabled, is_instead) FROM pg_rewrite WHERE oid >= 16384;
SELECT ROW('policy', polrelid::regclass, polname, polcmd, polpermissive, (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END, ',' ORDER BY 1) FROM unnest(polroles) r), polqual IS NULL, polwithcheck IS NULL) FROM pg_policy;
SELECT ROW('sequence', m.name, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle,
    (SELECT d.deptype::text || ' ' || refobjid::regclass || '.' || attname FROM pg_depend d JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = m.id AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
FROM mine m JOIN pg_sequence ON seqrelid = m.id;
SELECT ROW('type', format_type(t.oid, NULL), typtype, pg_get_userbyid(typowner), pg_temp.rights(coalesce(typacl, acldefault('T', typowner))), typcategory, typispreferred, typdelim, typnotnull, typdefault IS NULL, typndims, typstorage,
    CASE WHEN typbasetype <> 0 THEN format_type(typbasetype, typtypmod) END, CASE WHEN typcollation <> 0 THEN typcollation::regcollation::text END,
    (SELECT string_agg(enumlabel, E'\x1f' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
FROM pg_type t WHERE t.oid >= 16384 AND typtype IN ('e', 'd', 'r', 'm', 'b') AND typcategory <> 'A' AND NOT EXISTS (SELECT FROM pg_namespace WHERE pg_namespace.oid = typnamespace AND nspname ~ '^pg_temp');
SELECT ROW('range', format_type(rngtypid, NULL), format_type(rngsubtype, NULL), to_jsonb(r) ->> 'rngmultitypid' IS NULL, CASE WHEN rngcollation <> 0 THEN rngcollation::regcollation::text END, (SELECT opcname FROM pg_opclass WHERE oid = rngsubopc), rngcanonical, rngsubdiff)
FROM pg_range r WHERE rngtypid >= 16384;
SELECT ROW('function', p.oid::regprocedure, prokind, pg_get_userbyid(proowner), (SELECT lanname FROM pg_language WHERE oid = prolang), procost, prorows, CASE WHEN provariadic <> 0 THEN format_type(provariadic, NULL) END, prosecdef, proleakproof, proisstrict,
    proretset, provolatile, proparallel, pronargdefaults, format_type(prorettype, NULL), proargmodes, proargnames, CASE WHEN to_jsonb(p) ->> 'prosqlbody' IS NULL THEN prosrc END, probin, proconfig,
    pg_temp.rights(coalesce(proacl, acldefault('f', proowner))), pg_get_function_arguments(p.oid) IS NULL)
FROM pg_proc p WHERE p.oid >= 16384
    -- A range's constructors have the name that it had when it was made.
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i' AND d.refclassid = 'pg_type'::regclass) AND NOT EXISTS (SELECT FROM pg_namespace WHERE pg_namespace.oid = pronamespace AND nspname ~ '^pg_temp');
SELECT ROW('aggregate', aggfnoid::regprocedure, aggkind, aggnumdirectargs, aggtransfn, aggfinalfn, aggcombinefn, aggsortop::regoperator, format_type(aggtranstype, NULL), agginitval, aggfinalmodify) FROM pg_aggregate WHERE aggfnoid >= 16384;
SELECT ROW('operator', o.oid::regoperator, pg_get_userbyid(oprowner), oprcanmerge, oprcanhash, oprresult::regtype, oprcom::regoperator, oprnegate::regoperator, oprcode, oprrest, oprjoin) FROM pg_operator o WHERE o.oid >= 16384 AND oprcode <> 0;
SELECT ROW('class', x.identity, pg_get_userbyid(opcowner), opcintype::regtype, opcdefault, opckeytype::regtype, (SELECT opfname FROM pg_opfamily WHERE oid = opcfamily)) FROM pg_opclass c, pg_identify_object('pg_opclass'::regclass, c.oid, 0) x WHERE c.oid >= 16384;
SELECT ROW('family', x.identity, pg_get_userbyid(opfowner)) FROM pg_opfamily c, pg_identify_object('pg_opfamily'::regclass, c.oid, 0) x WHERE c.oid >= 16384;
SELECT ROW('operator of a family', x.identity, amopopr::regoperator, amopstrategy) FROM pg_amop a, pg_identify_object('pg_opfamily'::regclass, amopfamily, 0) x WHERE a.oid >= 16384;
SELECT ROW('function of a family', x.identity, amproc, amprocnum) FROM pg_amproc a, pg_identify_object('pg_opfamily'::regclass, amprocfamily, 0) x WHERE a.oid >= 16384;
SELECT ROW('cast', castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod) FROM pg_cast WHERE oid >= 16384;
-- Its encoding is that of its model, or the database's where the dump spells it out.
SELECT ROW('collation', x.identity, pg_get_userbyid(collowner), collprovider, collisdeterministic, to_jsonb(c) - 'oid' - 'collnamespace' - 'collowner' - 'collversion' - 'collencoding') FROM pg_collation c, pg_identify_object('pg_collation'::regclass, c.oid, 0) x WHERE c.oid >= 16384;
SELECT ROW('conversion', x.identity, pg_get_userbyid(conowner), conforencoding, contoencoding, conproc, condefault) FROM pg_conversion c, pg_identify_object('pg_conversion'::regclass, c.oid, 0) x WHERE c.oid >= 16384;
SELECT ROW('language', lanname, pg_get_userbyid(lanowner), lanpltrusted, pg_temp.rights(coalesce(lanacl, acldefault('l', lanowner)))) FROM pg_language;
SELECT ROW('method', amname, amhandler, amtype) FROM pg_am WHERE oid >= 16384;
SELECT ROW('wrapper', fdwname, pg_get_userbyid(fdwowner), fdwhandler, fdwvalidator, pg_temp.sorted(fdwoptions), pg_temp.rights(coalesce(fdwacl, acldefault('F', fdwowner)))) FROM pg_foreign_data_wrapper;
SELECT ROW('server', srvname, pg_get_userbyid(srvowner), (SELECT fdwname FROM pg_foreign_data_wrapper WHERE oid = srvfdw), srvtype, srvversion, pg_temp.sorted(srvoptions), pg_temp.rights(coalesce(srvacl, acldefault('S', srvowner)))) FROM pg_foreign_server;
SELECT ROW('mapping', usename, srvname, pg_temp.sorted(umoptions)) FROM pg_user_mappings;
SELECT ROW('foreign table', ftrelid::regclass, (SELECT srvname FROM pg_foreign_server WHERE oid = ftserver), pg_temp.sorted(ftoptions)) FROM pg_foreign_table;
SELECT ROW('event trigger', evtname, evtevent, pg_get_userbyid(evtowner), evtfoid::regprocedure, evtenabled, evttags) FROM pg_event_trigger;
SELECT ROW('publication', pubname, pg_get_userbyid(pubowner), to_jsonb(p) - 'oid' - 'pubowner') FROM pg_publication p;
SELECT ROW('table of a publication', x.identity, to_jsonb(p) ->> 'prqual' IS NULL, pg_temp.names(prrelid, string_to_array(translate(to_jsonb(p) ->> 'prattrs', '[] ', ''), ',')::int2[])) FROM pg_publication_rel p, pg_identify_object('pg_publication_rel'::regclass, p.oid, 0) x;
SELECT ROW('extended statistics', x.identity, stxrelid::regclass, pg_get_userbyid(stxowner), pg_temp.names(stxrelid, (SELECT array_agg(k ORDER BY k) FROM unnest(stxkeys::int2[]) k)), stxkind, nullif(coalesce(to_jsonb(s) ->> 'stxstattarget', '-1'), '-1'))
FROM pg_statistic_ext s, pg_identify_object('pg_statistic_ext'::regclass, s.oid, 0) x;
SELECT ROW('configuration', c.oid::regconfig, pg_get_userbyid(cfgowner), (SELECT prsname FROM pg_ts_parser WHERE oid = cfgparser)) FROM pg_ts_config c WHERE c.oid >= 16384;
SELECT ROW('mapping of a configuration', mapcfg::regconfig, maptokentype, mapseqno, mapdict::regdictionary) FROM pg_ts_config_map WHERE mapcfg >= 16384;
SELECT ROW('dictionary', d.oid::regdictionary, pg_get_userbyid(dictowner), (SELECT tmplname FROM pg_ts_template WHERE oid = dicttemplate), dictinitoption) FROM pg_ts_dict d WHERE d.oid >= 16384;
SELECT ROW('parser', x.identity, prsstart, prstoken, prsend, prsheadline, prslextype) FROM pg_ts_parser p, pg_identify_object('pg_ts_parser'::regclass, p.oid, 0) x WHERE p.oid >= 16384;
SELECT ROW('template', x.identity, tmplinit, tmpllexize) FROM pg_ts_template p, pg_identify_object('pg_ts_template'::regclass, p.oid, 0) x WHERE p.oid >= 16384;
SELECT ROW('extension', extname, pg_get_userbyid(extowner), extnamespace::regnamespace, extrelocatable, extversion) FROM pg_extension;
SELECT ROW('default rights', pg_get_userbyid(defaclrole), CASE WHEN defaclnamespace <> 0 THEN defaclnamespace::regnamespace::text END, defaclobjtype, pg_temp.rights(defaclacl)) FROM pg_default_acl;
SELECT ROW('comment', x.type, x.identity, description) FROM pg_description d, pg_identify_object(classoid, objoid, objsubid) x WHERE objoid >= 16384 OR classoid = 'pg_namespace'::regclass OR classoid = 'pg_language'::regclass OR classoid = 'pg_extension'::regclass;
SELECT ROW('member', e.extname, x.type, x.identity) FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = refobjid, pg_identify_object(d.classid, d.objid, d.objsubid) x WHERE d.deptype = 'e';
