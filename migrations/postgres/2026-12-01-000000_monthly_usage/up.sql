-- What a member or a model used on those days of a month that have their rate, so that long ranges are read
-- by the month. `days` has a bit for each day with usage, the lowest for the first of the month.
CREATE TABLE client_monthly_usage (
    client_org_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'model')),
    usage_month DATE NOT NULL CHECK (EXTRACT(DAY FROM usage_month) = 1),
    name TEXT NOT NULL,
    -- The least of those that OpenRouter knew a member as; null of a model.
    openrouter_user_id TEXT,
    total_tokens BIGINT NOT NULL,
    total_requests BIGINT NOT NULL,
    raw_cost BIGINT NOT NULL,
    markup_cost BIGINT NOT NULL,
    -- The sum of the days' client prices, each in grosz by the day's rate.
    cost_pln BIGINT NOT NULL,
    days BIGINT NOT NULL CHECK (days > 0),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (client_org_id, kind, usage_month, name)
);

-- Nobody adds to the days between the reading below and the end of the migration.
LOCK TABLE client_daily_usage, client_user_daily_usage, client_model_daily_usage IN SHARE ROW EXCLUSIVE MODE;

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
    SELECT used.*, whole.usd_pln_rate AS rate, date_trunc('month', used.usage_date)::DATE AS usage_month
    FROM used
    JOIN client_daily_usage AS whole
        ON whole.client_org_id = used.client_org_id AND whole.usage_date = used.usage_date
    WHERE whole.usd_pln_rate IS NOT NULL
)
INSERT INTO client_monthly_usage
SELECT client_org_id, kind, usage_month, name, MIN(openrouter_user_id COLLATE "C"), SUM(total_tokens), SUM(total_requests),
    SUM(raw_cost), SUM(markup_cost),
    SUM(
        markup_cost / 1000000 * rate / 100000
        + (
            markup_cost / 1000000 * rate % 100000 * 1000000 + markup_cost % 1000000 * rate
            + CASE WHEN markup_cost < 0 THEN -50000000000 ELSE 50000000000 END
        ) / 100000000000
    ),
    SUM(1::BIGINT << (EXTRACT(DAY FROM usage_date)::INTEGER - 1)), MAX(updated_at)
FROM rated
GROUP BY client_org_id, kind, usage_month, name;
