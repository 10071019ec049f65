-- The last whole price list that OpenRouter gave. All organizations share it.

CREATE TABLE model_price_list (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- When it was read. Unix seconds.
    fetched_at INTEGER NOT NULL
) STRICT;

CREATE TABLE model_prices (
    -- The slug by which the model is asked for.
    model_id TEXT NOT NULL PRIMARY KEY,
    -- The dated slug under which answers may name it.
    canonical_slug TEXT,
    name TEXT NOT NULL,
    -- Tokens.
    context_length INTEGER,
    max_completion_tokens INTEGER,
    -- The object `pricing` as OpenRouter wrote it: decimal texts in US dollars a unit, none of them rounded.
    pricing TEXT NOT NULL
) STRICT;
