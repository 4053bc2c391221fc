-- aimtrack.sql: a small sample database, after AimTrack, a shooting sports logbook in a Laravel app.
-- For the demo and the benchmark of a small database. Everybody in it is made up.
--
-- Plain SQL, to be sent to a new, empty database as one simple-query batch over any client library: no psql
-- meta-commands, no COPY FROM stdin, no backslash. For PostgreSQL 13 to 18. Deterministic: no clock, no chance.
-- 20 tables (15, and activity_log with 4 partitions), about 10,000 rows, a view, a materialized view, an enum,
-- a domain, triggers, sequences, jsonb and bytea.

SET client_min_messages = warning;
SET standard_conforming_strings = on;

CREATE TYPE discipline AS ENUM ('luchtgeweer', 'luchtpistool', 'klein kaliber geweer', 'klein kaliber pistool', 'groot kaliber', 'kleiduiven');
CREATE DOMAIN knsa_number AS varchar(8) CONSTRAINT knsa_number_digits CHECK (VALUE ~ '^[0-9]{6,8}$');
CREATE SEQUENCE member_number_seq START WITH 100001;

CREATE TABLE migrations (
  id        serial PRIMARY KEY,
  migration varchar(255) NOT NULL,
  batch     integer NOT NULL
);

CREATE TABLE clubs (
  id         bigserial PRIMARY KEY,
  name       varchar(255) NOT NULL UNIQUE,
  city       varchar(120) NOT NULL,
  founded    date,
  settings   jsonb NOT NULL DEFAULT '{}',
  created_at timestamp(0) NOT NULL
);

CREATE TABLE users (
  id                bigserial PRIMARY KEY,
  club_id           bigint REFERENCES clubs ON DELETE SET NULL,
  member_number     integer NOT NULL DEFAULT nextval('member_number_seq') UNIQUE,
  knsa              knsa_number,
  name              varchar(255) NOT NULL,
  email             varchar(255) NOT NULL,
  email_verified_at timestamp(0),
  password          varchar(255) NOT NULL,
  remember_token    varchar(100),
  preferences       jsonb NOT NULL DEFAULT '{"taal": "nl", "thema": "licht"}',
  created_at        timestamp(0) NOT NULL,
  updated_at        timestamp(0),
  deleted_at        timestamp(0)
);
ALTER SEQUENCE member_number_seq OWNED BY users.member_number;
CREATE UNIQUE INDEX users_email_unique ON users (lower(email));

CREATE TABLE password_reset_tokens (
  email      varchar(255) PRIMARY KEY,
  token      varchar(255) NOT NULL,
  created_at timestamp(0)
);

CREATE TABLE personal_access_tokens (
  id             bigserial PRIMARY KEY,
  tokenable_type varchar(255) NOT NULL,
  tokenable_id   bigint NOT NULL,
  name           varchar(255) NOT NULL,
  token          varchar(64) NOT NULL UNIQUE,
  abilities      text,
  last_used_at   timestamp(0),
  created_at     timestamp(0)
);
CREATE INDEX personal_access_tokens_tokenable ON personal_access_tokens (tokenable_type, tokenable_id);

CREATE TABLE jobs (
  id           bigserial PRIMARY KEY,
  queue        varchar(255) NOT NULL,
  payload      text NOT NULL,
  attempts     smallint NOT NULL,
  reserved_at  integer,
  available_at integer NOT NULL,
  created_at   integer NOT NULL
);
CREATE INDEX jobs_queue_index ON jobs (queue);

CREATE TABLE locations (
  id       bigserial PRIMARY KEY,
  club_id  bigint NOT NULL REFERENCES clubs ON DELETE CASCADE,
  name     varchar(255) NOT NULL,
  distance integer NOT NULL CHECK (distance IN (10, 12, 25, 50, 100, 300)),
  lanes    smallint NOT NULL,
  indoor   boolean NOT NULL DEFAULT true,
  position point,
  UNIQUE (club_id, name)
);

CREATE TABLE weapons (
  id            bigserial PRIMARY KEY,
  user_id       bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  name          varchar(255) NOT NULL,
  kind          discipline NOT NULL,
  caliber       varchar(30) NOT NULL,
  serial_number varchar(60),
  permit_until  date,
  specs         jsonb,
  created_at    timestamp(0) NOT NULL,
  updated_at    timestamp(0),
  UNIQUE (user_id, serial_number)
);

CREATE TABLE ammunition (
  id        bigserial PRIMARY KEY,
  user_id   bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  brand     varchar(120) NOT NULL,
  caliber   varchar(30) NOT NULL,
  grains    numeric(5,1),
  in_stock  integer NOT NULL DEFAULT 0 CHECK (in_stock >= 0),
  price     numeric(8,2) NOT NULL,
  stock_value numeric(12,2) GENERATED ALWAYS AS (in_stock * price / 50) STORED
);

CREATE TABLE sessions (
  id          bigserial PRIMARY KEY,
  user_id     bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  location_id bigint REFERENCES locations ON DELETE SET NULL,
  kind        discipline NOT NULL,
  shot_on     date NOT NULL,
  started_at  time(0) NOT NULL,
  minutes     smallint NOT NULL CHECK (minutes > 0),
  shot_count  smallint NOT NULL DEFAULT 0,
  total_score integer NOT NULL DEFAULT 0,
  notes       text,
  weather     jsonb,
  created_at  timestamp(0) NOT NULL,
  updated_at  timestamp(0)
);
CREATE INDEX sessions_user_date ON sessions (user_id, shot_on DESC);
CREATE INDEX sessions_notes ON sessions USING gin (to_tsvector('pg_catalog.dutch', COALESCE(notes, '')));

CREATE TABLE session_weapon (
  session_id    bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
  weapon_id     bigint NOT NULL REFERENCES weapons ON DELETE CASCADE,
  ammunition_id bigint REFERENCES ammunition ON DELETE SET NULL,
  rounds        smallint NOT NULL DEFAULT 0,
  PRIMARY KEY (session_id, weapon_id)
);

CREATE TABLE shots (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  session_id bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
  number     smallint NOT NULL,
  score      smallint NOT NULL CHECK (score BETWEEN 0 AND 10),
  x          real NOT NULL,
  y          real NOT NULL,
  UNIQUE (session_id, number)
);

CREATE TABLE reflections (
  id         uuid PRIMARY KEY,
  session_id bigint NOT NULL UNIQUE REFERENCES sessions ON DELETE CASCADE,
  model      varchar(60) NOT NULL,
  summary    text NOT NULL,
  strengths  text[] NOT NULL DEFAULT '{}',
  next_focus jsonb,
  created_at timestamptz NOT NULL
);

CREATE TABLE attachments (
  id         bigserial PRIMARY KEY,
  session_id bigint REFERENCES sessions ON DELETE CASCADE,
  weapon_id  bigint REFERENCES weapons ON DELETE CASCADE,
  file_name  varchar(255) NOT NULL,
  mime_type  varchar(100) NOT NULL,
  content    bytea NOT NULL,
  sha256     bytea GENERATED ALWAYS AS (sha256(content)) STORED,
  meta       jsonb,
  created_at timestamp(0) NOT NULL,
  CONSTRAINT attachments_one_owner CHECK (num_nonnulls(session_id, weapon_id) = 1)
);

CREATE TABLE friendships (
  user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  friend_id  bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  since      date NOT NULL,
  PRIMARY KEY (user_id, friend_id),
  CHECK (user_id <> friend_id)
);

CREATE TABLE activity_log (
  id         bigint NOT NULL,
  user_id    bigint REFERENCES users ON DELETE SET NULL,
  event      varchar(60) NOT NULL,
  properties jsonb,
  ip         inet,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE SEQUENCE activity_log_id_seq OWNED BY activity_log.id;
ALTER TABLE activity_log ALTER COLUMN id SET DEFAULT nextval('activity_log_id_seq');
CREATE TABLE activity_log_2026_06 PARTITION OF activity_log FOR VALUES FROM ('2026-06-01 00:00:00+00') TO ('2026-07-01 00:00:00+00');
CREATE TABLE activity_log_2026_07 PARTITION OF activity_log FOR VALUES FROM ('2026-07-01 00:00:00+00') TO ('2026-08-01 00:00:00+00');
CREATE TABLE activity_log_2026_08 PARTITION OF activity_log FOR VALUES FROM ('2026-08-01 00:00:00+00') TO ('2026-09-01 00:00:00+00');
CREATE TABLE activity_log_2026_09 PARTITION OF activity_log FOR VALUES FROM ('2026-09-01 00:00:00+00') TO ('2026-10-01 00:00:00+00');
CREATE INDEX activity_log_user ON activity_log (user_id, created_at);
CREATE INDEX activity_log_event ON activity_log (event);

-- Rows. The score of shot n of session s, 3 to 10:
CREATE FUNCTION demo_score(s integer, n integer) RETURNS integer LANGUAGE sql IMMUTABLE
  AS 'SELECT GREATEST(3, 10 - ((s * 7 + n * 13 + s * n % 11) % 17) / 4 - (n * s % 5) / 4)';

INSERT INTO migrations (migration, batch)
SELECT '2025_01_' || lpad(i::text, 2, '0') || '_000000_create_' || t || '_table', 1 + i / 8
  FROM unnest(ARRAY['users', 'password_reset_tokens', 'jobs', 'personal_access_tokens', 'clubs', 'locations', 'weapons', 'ammunition', 'sessions', 'session_weapon', 'shots', 'reflections', 'attachments', 'friendships', 'activity_log']) WITH ORDINALITY m(t, i);

INSERT INTO clubs (name, city, founded, settings, created_at)
SELECT 'Schietvereniging ' || n, c, date '1921-03-01' + (i * 2718)::integer, jsonb_build_object('contributie', 120 + i * 15, 'keuken', i % 2 = 0, 'dagen', to_jsonb(ARRAY['dinsdag', 'vrijdag'])), timestamp '2025-01-10 09:00:00' + i * interval '1 day'
  FROM unnest(ARRAY['De Vrijheid', 'Willem Tell', 'De Roos', 'Het Zuiden', 'Oranje', 'De Goede Moed'], ARRAY['Veldhoek', 'Zandwijk', 'Oudermeer', 'Rietbeek', 'Houtdorp', 'Weidestein']) WITH ORDINALITY x(n, c, i);

INSERT INTO users (club_id, knsa, name, email, email_verified_at, password, remember_token, preferences, created_at, updated_at, deleted_at)
SELECT 1 + i % 6, lpad((200000 + i * 7919)::text, 7, '1'), v || ' ' || a, translate(lower(v), 'ëé', 'ee') || '.' || replace(lower(a), ' ', '') || i || '@example.org',
       CASE WHEN i % 9 <> 0 THEN timestamp '2025-01-15 10:00:00' + i * interval '31 hours' END,
       '$2y$12$' || substr(encode(sha256(convert_to('wachtwoord ' || i, 'UTF8')), 'hex'), 1, 53), CASE WHEN i % 3 = 0 THEN md5('token ' || i) END,
       jsonb_build_object('taal', CASE WHEN i % 8 = 0 THEN 'en' ELSE 'nl' END, 'thema', CASE WHEN i % 2 = 0 THEN 'donker' ELSE 'licht' END, 'meldingen', jsonb_build_object('mail', i % 4 <> 0, 'push', i % 5 = 0)),
       timestamp '2025-01-14 08:30:00' + i * interval '30 hours', timestamp '2026-05-01 12:00:00' + i * interval '7 hours', CASE WHEN i % 20 = 19 THEN timestamp '2026-08-01 00:00:00' END
  FROM generate_series(1, 60) i,
       LATERAL (SELECT (ARRAY['Jan', 'Sanne', 'Pieter', 'Fleur', 'Daan', 'Lotte', 'Kees', 'Maud', 'Bram', 'Zoë', 'Joris', 'Noor', 'Teun', 'Renée', 'Sjoerd', 'Iris'])[1 + i * 5 % 16] AS v,
                       (ARRAY['de Vries', 'Bakker', 'van den Berg', 'Visser', 'Smit', 'Meijer', 'Mulder', 'de Groot', 'Bos', 'Vos', 'Peters', 'Hendriks', 'Dekker', 'Brouwer', 'van Dijk', 'Kok', 'Jacobs'])[1 + i * 11 % 17] AS a) n;

INSERT INTO password_reset_tokens
SELECT email, md5('reset ' || id), timestamp '2026-09-20 07:00:00' + id * interval '3 hours' FROM users WHERE id % 12 = 0 ORDER BY id;

INSERT INTO personal_access_tokens (tokenable_type, tokenable_id, name, token, abilities, last_used_at, created_at)
SELECT 'App/Models/User', 1 + i % 60, 'telefoon ' || i, encode(sha256(convert_to('pat ' || i, 'UTF8')), 'hex'), '["*"]', CASE WHEN i % 3 <> 0 THEN timestamp '2026-09-01 20:00:00' + i * interval '5 hours' END, timestamp '2026-01-01 12:00:00' + i * interval '2 days'
  FROM generate_series(1, 80) i;

INSERT INTO jobs (queue, payload, attempts, reserved_at, available_at, created_at)
SELECT CASE WHEN i % 4 = 0 THEN 'mail' ELSE 'default' END, '{"uuid":"' || md5('job ' || i)::uuid || '","displayName":"App.Jobs.MakeReflection","maxTries":3,"data":{"session":' || i * 7 || '}}', i % 3, NULL, 1790000000 + i * 60, 1790000000 + i * 60
  FROM generate_series(1, 25) i;

INSERT INTO locations (club_id, name, distance, lanes, indoor, position)
SELECT c, 'Baan ' || d || ' meter', d, 4 + (c * d % 9), d <= 50, point(round((4.5 + c * 0.31)::numeric, 4)::float8, round((51.4 + c * 0.17)::numeric, 4)::float8)
  FROM generate_series(1, 6) c, unnest(ARRAY[10, 25, 50, 100]) d WHERE d < 100 OR c IN (2, 5) ORDER BY c, d;

INSERT INTO weapons (user_id, name, kind, caliber, serial_number, permit_until, specs, created_at, updated_at)
SELECT 1 + i * 7 % 60, b || ' ' || 100 + i, k, CASE k WHEN 'luchtgeweer' THEN '4,5 mm' WHEN 'luchtpistool' THEN '4,5 mm' WHEN 'groot kaliber' THEN '9 mm' WHEN 'kleiduiven' THEN '12' ELSE '.22 LR' END,
       upper(substr(md5('serie ' || i), 1, 10)), CASE WHEN k NOT IN ('luchtgeweer', 'luchtpistool') THEN date '2026-12-01' + i * 5 END,
       jsonb_build_object('gewicht', 900 + i * 13 % 3800, 'trekker', round(i * 0.37, 2), 'richtmiddel', CASE WHEN i % 2 = 0 THEN 'diopter' ELSE 'open' END), timestamp '2025-02-01 10:00:00' + i * interval '29 hours', NULL
  FROM generate_series(1, 110) i, LATERAL (SELECT (enum_range(NULL::discipline))[1 + i % 6] AS k, (ARRAY['Roosendael', 'Kestrel', 'Van Aken', 'Noordstar', 'Duinvalk'])[1 + i % 5] AS b) x;

INSERT INTO ammunition (user_id, brand, caliber, grains, in_stock, price)
SELECT 1 + i * 13 % 60, (ARRAY['Merel', 'Sperwer', 'Kiekendief', 'Torenvalk'])[1 + i % 4], (ARRAY['4,5 mm', '.22 LR', '9 mm', '12'])[1 + i % 4], (ARRAY[8.2, 40, 124, NULL])[1 + i % 4], i * 83 % 1500, 4.95 + i % 30
  FROM generate_series(1, 90) i;

INSERT INTO sessions (user_id, location_id, kind, shot_on, started_at, minutes, shot_count, total_score, notes, weather, created_at, updated_at)
SELECT 1 + i * 17 % 60, 1 + i % 20, (enum_range(NULL::discipline))[1 + i % 6], date '2025-02-03' + i * 600 / 650, time '18:30' + i % 7 * interval '15 minutes', 45 + i % 6 * 15, 9 + i % 5, t.total,
       CASE WHEN i % 3 <> 0 THEN (ARRAY['Rustige avond, goede groep op de eerste kaart.', 'Te veel aan de trekker gerukt; ademhaling oefenen.', 'Nieuwe kolf geprobeerd, voelt beter aan de schouder.', 'Wedstrijd: zenuwachtig begonnen, sterk geëindigd.', 'Visier twee klikken naar links gezet.'])[1 + i % 5] || CASE WHEN i % 10 = 0 THEN chr(10) || 'Volgende keer: "droog" trainen en ''s avonds eerder beginnen.' ELSE '' END END,
       CASE WHEN i % 4 = 0 THEN jsonb_build_object('wind', i % 9, 'richting', (ARRAY['N', 'O', 'Z', 'W'])[1 + i % 4], 'temperatuur', (i % 30) - 2.5) END,
       timestamp '2025-02-03 21:00:00' + i * 600 / 650 * interval '1 day', CASE WHEN i % 5 = 0 THEN timestamp '2025-02-04 08:00:00' + i * 600 / 650 * interval '1 day' END
  FROM generate_series(1, 600) i, LATERAL (SELECT sum(demo_score(i, n)) AS total FROM generate_series(1, 9 + i % 5) n) t;

INSERT INTO session_weapon (session_id, weapon_id, ammunition_id, rounds)
SELECT s, 1 + (s * 3 + w * 41) % 110, CASE WHEN s % 4 <> 0 THEN 1 + s * 7 % 90 END, (9 + s % 5) * w
  FROM generate_series(1, 600) s, generate_series(1, 2) w WHERE w = 1 OR s % 5 = 0 ORDER BY s, w;

INSERT INTO shots (session_id, number, score, x, y)
SELECT s, n, sc, round(((10 - sc) * cos(s * 31 + n * 17) * 7.9)::numeric, 2)::real, round(((10 - sc) * sin(s * 31 + n * 17) * 7.9)::numeric, 2)::real
  FROM generate_series(1, 600) s, LATERAL generate_series(1, 9 + s % 5) n, LATERAL (SELECT demo_score(s, n) AS sc) x ORDER BY s, n;

INSERT INTO reflections (id, session_id, model, summary, strengths, next_focus, created_at)
SELECT md5('reflectie ' || i)::uuid, i * 3, 'schutter-1', 'Gemiddeld ' || round(total_score::numeric / shot_count, 1) || ' punten over ' || shot_count || ' schoten. ' || repeat('De groep ligt iets naar links; let op een gelijkmatige druk op de trekker. ', 1 + i % 4),
       (ARRAY[ARRAY['ritme', 'houding'], ARRAY['ademhaling', 'nazicht'], ARRAY['richtbeeld', 'geduld']])[1 + i % 3 : 1 + i % 3], jsonb_build_object('doel', 'trekkercontrole', 'oefeningen', jsonb_build_array('droog vuren', i % 7 + 3)),
       timestamptz '2026-01-01 22:00:00+00' + i * interval '1 day'
  FROM generate_series(1, 200) i JOIN sessions ON sessions.id = i * 3 ORDER BY i;

-- 2 to 10 kB each, does not compress: like a photograph
INSERT INTO attachments (session_id, weapon_id, file_name, mime_type, content, meta, created_at)
SELECT CASE WHEN i % 3 <> 0 THEN i * 5 END, CASE WHEN i % 3 = 0 THEN i END, CASE WHEN i % 3 = 0 THEN 'verlof-' ELSE 'kaart-' END || lpad(i::text, 3, '0') || '.jpg', 'image/jpeg',
       (SELECT string_agg(sha512(convert_to(i || '/' || n, 'UTF8')), NULL ORDER BY n) FROM generate_series(1, 32 + i * 37 % 128) n), jsonb_build_object('breedte', 640, 'hoogte', 480, 'exif', NULL), timestamp '2026-03-01 19:45:00' + i * interval '26 hours'
  FROM generate_series(1, 100) i;

INSERT INTO friendships
SELECT i, 1 + (i + d * 7) % 60, date '2025-03-01' + i * d FROM generate_series(1, 60) i, generate_series(1, 3) d ORDER BY i, d;

INSERT INTO activity_log (user_id, event, properties, ip, created_at)
SELECT CASE WHEN i % 50 <> 0 THEN 1 + i * 23 % 60 END, (ARRAY['aangemeld', 'sessie gemaakt', 'sessie gewijzigd', 'bijlage toegevoegd', 'afgemeld'])[1 + i % 5],
       CASE WHEN i % 5 <> 4 THEN jsonb_build_object('sessie', i % 600 + 1, 'browser', CASE WHEN i % 2 = 0 THEN 'Firefox' ELSE 'Safari' END, 'oud', NULL, 'nieuw', jsonb_build_object('minuten', i % 90)) END,
       ('192.0.2.' || i % 254 + 1)::inet, timestamptz '2026-06-01 05:00:00+00' + i * interval '117 minutes 13 seconds'
  FROM generate_series(1, 1480) i;

DROP FUNCTION demo_score(integer, integer);

-- What works on these rows: triggers, a view, a materialized view.
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER weapons_touch BEFORE UPDATE ON weapons FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER sessions_touch BEFORE UPDATE ON sessions FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_updated_at();

CREATE FUNCTION count_shots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE public.sessions s
     SET shot_count = t.n, total_score = t.total
    FROM (SELECT x.session_id, count(sh.id) AS n, COALESCE(sum(sh.score), 0) AS total
            FROM (SELECT DISTINCT session_id FROM changed) x LEFT JOIN public.shots sh ON sh.session_id = x.session_id
           GROUP BY x.session_id) t
   WHERE s.id = t.session_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER shots_added AFTER INSERT ON shots REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_shots();
CREATE TRIGGER shots_removed AFTER DELETE ON shots REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_shots();

CREATE VIEW session_overview AS
SELECT s.id, s.shot_on, u.name AS shooter, c.name AS club, l.name AS location, s.kind, s.shot_count, s.total_score,
       round(s.total_score::numeric / NULLIF(s.shot_count, 0), 2) AS average,
       rank() OVER (PARTITION BY s.user_id, s.kind ORDER BY s.total_score::numeric / NULLIF(s.shot_count, 0) DESC NULLS LAST) AS personal_rank
  FROM sessions s
  JOIN users u ON u.id = s.user_id
  LEFT JOIN clubs c ON c.id = u.club_id
  LEFT JOIN locations l ON l.id = s.location_id
 WHERE u.deleted_at IS NULL;

CREATE MATERIALIZED VIEW monthly_scores AS
SELECT s.user_id, date_trunc('month', s.shot_on::timestamp)::date AS month, s.kind, count(DISTINCT s.id) AS sessions, count(*) AS shots, round(avg(h.score), 2) AS average, count(*) FILTER (WHERE h.score = 10) AS tens
  FROM sessions s JOIN shots h ON h.session_id = s.id
 GROUP BY 1, 2, 3;
CREATE UNIQUE INDEX monthly_scores_key ON monthly_scores (user_id, month, kind);

COMMENT ON TABLE sessions IS 'Een avond op de baan';
COMMENT ON TABLE shots IS 'Elk schot met plaats op de kaart, in millimeters vanaf het midden';
COMMENT ON COLUMN weapons.permit_until IS 'Verlof geldig tot; leeg als er geen nodig is';
COMMENT ON VIEW session_overview IS 'Sessies met schutter, vereniging en gemiddelde';
