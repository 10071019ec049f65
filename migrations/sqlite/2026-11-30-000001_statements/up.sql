-- Statements of months. Amounts in PLN are in grosz, those in USD in nano-dollars.

-- Who sells, how it is taxed, and how statements are numbered. One row.
CREATE TABLE billing_settings (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Without a name, an address and a tax id nothing is issued.
    seller_name TEXT,
    seller_address TEXT,
    seller_tax_id TEXT,
    -- Basis points such as `2300`, or `not_applicable`; then the note says by which rule.
    vat TEXT NOT NULL,
    vat_note TEXT,
    -- monthly: 2026/11/0001; yearly: 2026/0001.
    numbering TEXT NOT NULL CHECK (numbering IN ('monthly', 'yearly')),
    updated_at INTEGER NOT NULL
) STRICT;

INSERT INTO billing_settings (id, vat, numbering, updated_at) VALUES (1, '2300', 'monthly', 0);

-- What a statement says about its buyer beside the organization's name and address for bills.
CREATE TABLE billing_profiles (
    client_org_id TEXT NOT NULL PRIMARY KEY REFERENCES client_organizations (id),
    -- Null means the organization's name.
    legal_name TEXT,
    address TEXT,
    tax_id TEXT,
    -- As above; null means what the settings say.
    vat TEXT,
    vat_note TEXT,
    -- pl or en.
    language TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- Issued statements. A row is written once and never changed.
CREATE TABLE statements (
    client_org_id TEXT NOT NULL REFERENCES client_organizations (id),
    -- The first day of the month.
    month TEXT NOT NULL,
    number TEXT NOT NULL,
    issue_date TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    -- The rate of its usage; NBP's table has it.
    usd_pln_rate INTEGER NOT NULL CHECK (usd_pln_rate > 0 AND usd_pln_rate < 1000000),
    rate_table_no TEXT NOT NULL,
    rate_effective_date TEXT NOT NULL,
    -- Client price of usage and corrections.
    usage_usd INTEGER NOT NULL,
    net INTEGER NOT NULL,
    vat INTEGER NOT NULL,
    gross INTEGER NOT NULL,
    -- The canonical JSON with raw cost, which only the reseller sees, and its hex SHA-256.
    document TEXT NOT NULL,
    document_sha256 TEXT NOT NULL,
    -- Of the PDF as it was when the statement was issued.
    pdf_sha256 TEXT NOT NULL,
    PRIMARY KEY (client_org_id, month)
) STRICT;

CREATE INDEX idx_statements_month ON statements (month, client_org_id);

-- What statements have billed of each month and model: its own month, and by corrections those before.
CREATE TABLE statement_usage (
    client_org_id TEXT NOT NULL,
    month TEXT NOT NULL,
    usage_month TEXT NOT NULL,
    model_name TEXT NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    raw_cost INTEGER NOT NULL,
    markup_cost INTEGER NOT NULL,
    -- What the line charges: a correction is what the month's total comes to without what was charged before.
    cost_pln INTEGER NOT NULL,
    PRIMARY KEY (client_org_id, month, usage_month, model_name),
    FOREIGN KEY (client_org_id, month) REFERENCES statements (client_org_id, month)
) STRICT;

CREATE INDEX idx_statement_usage_month ON statement_usage (client_org_id, usage_month);

-- The last number of each series, such as `2026/11`. Whoever issues locks the row.
CREATE TABLE statement_series (
    series TEXT NOT NULL PRIMARY KEY,
    last_number INTEGER NOT NULL CHECK (last_number >= 0)
) STRICT;

-- Which statement has which number.
CREATE TABLE statement_numbers (
    series TEXT NOT NULL REFERENCES statement_series (series),
    number INTEGER NOT NULL CHECK (number > 0),
    client_org_id TEXT NOT NULL,
    month TEXT NOT NULL,
    document_sha256 TEXT NOT NULL,
    PRIMARY KEY (series, number)
) STRICT;
