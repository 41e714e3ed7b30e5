-- What producers leave without HTTP, and what of it could not be taken.

CREATE TABLE intake (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    envelope TEXT NOT NULL,
    enqueued_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE dead_letters (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('table', 'stream')),
    -- Which entry of the stream it was, so that one that is delivered again is kept once.
    entry TEXT COLLATE "C" UNIQUE,
    form TEXT NOT NULL CHECK (form IN ('text', 'hex', 'redacted')),
    envelope TEXT NOT NULL,
    code TEXT NOT NULL,
    field TEXT,
    reason TEXT NOT NULL,
    refused_at TIMESTAMPTZ NOT NULL
);

-- For producers whose role may call these and nothing else, from whatever search_path: they write as their owner, and
-- only into the schema that has them. Nobody may call them until somebody grants it.
DO $do$
BEGIN
    EXECUTE format($make$
        CREATE FUNCTION dunlin_enqueue(envelope json) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
        BEGIN
            IF envelope IS NULL THEN
                RAISE null_value_not_allowed USING MESSAGE = 'the envelope is NULL';
            END IF;
            INSERT INTO %1$I.intake (envelope, enqueued_at) VALUES (envelope::text, clock_timestamp());
        END
        $body$
    $make$, current_schema());
    EXECUTE format($make$
        CREATE FUNCTION dunlin_enqueue_all(envelopes json) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
        BEGIN
            IF envelopes IS NULL THEN
                RAISE null_value_not_allowed USING MESSAGE = 'the array of envelopes is NULL';
            END IF;
            INSERT INTO %1$I.intake (envelope, enqueued_at)
                SELECT r.value::text, clock_timestamp()
                FROM json_array_elements(envelopes) WITH ORDINALITY AS r(value, place) ORDER BY r.place;
        END
        $body$
    $make$, current_schema());
    REVOKE ALL ON FUNCTION dunlin_enqueue(json), dunlin_enqueue_all(json) FROM PUBLIC;
END
$do$;
