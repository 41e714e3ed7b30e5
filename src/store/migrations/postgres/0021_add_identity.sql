-- Which database this is, so that two that share a Redis by mistake tell each other apart. A restore of an older backup
-- makes the table itself.

CREATE TABLE IF NOT EXISTS identity (
    id TEXT NOT NULL PRIMARY KEY
);

INSERT INTO identity (id) SELECT replace(gen_random_uuid()::text, '-', '') WHERE NOT EXISTS (SELECT FROM identity);
