-- Which database this is, so that two that share a Redis by mistake tell each other apart.

CREATE TABLE identity (
    id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

INSERT INTO identity (id) VALUES (lower(hex(randomblob(16))));
