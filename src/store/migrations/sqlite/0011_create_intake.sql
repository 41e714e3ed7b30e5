-- What producers leave without HTTP, and what of it could not be taken.

CREATE TABLE intake (
    seq BIGINT NOT NULL PRIMARY KEY,
    envelope TEXT NOT NULL,
    enqueued_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('table', 'stream')),
    -- Which entry of the stream it was, so that one that is delivered again is kept once.
    entry TEXT UNIQUE,
    form TEXT NOT NULL CHECK (form IN ('text', 'hex', 'redacted')),
    envelope TEXT NOT NULL,
    code TEXT NOT NULL,
    field TEXT,
    reason TEXT NOT NULL,
    refused_at TEXT NOT NULL
);
