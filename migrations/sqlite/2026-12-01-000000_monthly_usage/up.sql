-- What a member or a model used on those days of a month that have their rate, so that long ranges are read
-- by the month. `days` has a bit for each day with usage, the lowest for the first of the month.
CREATE TABLE client_monthly_usage (
    client_org_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'model')),
    usage_month TEXT NOT NULL CHECK (usage_month LIKE '%-01'),
    name TEXT NOT NULL,
    -- The least of those that OpenRouter knew a member as; null of a model.
    openrouter_user_id TEXT,
    total_tokens INTEGER NOT NULL,
    total_requests INTEGER NOT NULL,
    raw_cost INTEGER NOT NULL,
    markup_cost INTEGER NOT NULL,
    -- The sum of the days' client prices, each in grosz by the day's rate.
    cost_pln INTEGER NOT NULL,
    days INTEGER NOT NULL CHECK (days > 0),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, kind, usage_month, name)
) STRICT, WITHOUT ROWID;

-- Of the days that have their rate already. An amount is converted as `UsdPlnRate::convert` does it, in parts
-- that do not leave 64 bits.
WITH
used AS (
    SELECT client_org_id, 'user' AS kind, usage_date, user_id AS name, openrouter_user_id, total_tokens,
        total_requests, raw_cost, markup_cost, updated_at
    FROM client_user_daily_usage
    UNION ALL
    SELECT client_org_id, 'model', usage_date, model_name, NULL, total_tokens, total_requests, raw_cost,
        markup_cost, updated_at
    FROM client_model_daily_usage
),
rated AS (
    SELECT used.*, whole.usd_pln_rate AS rate, substr(used.usage_date, 1, 7) || '-01' AS usage_month
    FROM used
    JOIN client_daily_usage AS whole
        ON whole.client_org_id = used.client_org_id AND whole.usage_date = used.usage_date
    WHERE whole.usd_pln_rate IS NOT NULL
)
INSERT INTO client_monthly_usage
SELECT client_org_id, kind, usage_month, name, MIN(openrouter_user_id), SUM(total_tokens), SUM(total_requests),
    SUM(raw_cost), SUM(markup_cost),
    SUM(
        markup_cost / 1000000 * rate / 100000
        + (
            markup_cost / 1000000 * rate % 100000 * 1000000 + markup_cost % 1000000 * rate
            + CASE WHEN markup_cost < 0 THEN -50000000000 ELSE 50000000000 END
        ) / 100000000000
    ),
    SUM(1 << (CAST(substr(usage_date, 9, 2) AS INTEGER) - 1)), MAX(updated_at)
FROM rated
GROUP BY client_org_id, kind, usage_month, name;
