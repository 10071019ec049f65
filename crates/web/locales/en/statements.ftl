# Statements, alerts and anomalies.

statements-title = Statement { $value }
statements-draft-title = Draft of a statement, { $value }
statements-draft = draft
statements-draft-notice = This is a draft. It is computed anew each time it is opened and may change until the statement is issued. The organization does not see it.
statements-drafts = Drafts
statements-drafts-text = Computed from the usage, members and rates of this moment. They may change, and the organization does not see them.
statements-issued-title = Issued statements
statements-empty = No statement was issued yet. After the end of a month your reseller issues one, and it appears here with its files.
statements-empty-reseller = No statement was issued yet. Close a month on the reseller's page of statements, and it appears here with its files.
statements-empty-usage = No usage in this month.
statements-empty-month = No organization fits. Clear the search, or create an organization first.
statements-number = Number
statements-period = Period
statements-issued-on = Issued on
statements-facts = Particulars
statements-totals = Totals
statements-usage = Usage
statements-seats = Subscription
statements-seat-price = Price for the whole month
statements-corrections = Corrections
statements-corrections-text = What changed in earlier months after their statements were issued, at the rates of those statements.
statements-net = Net
statements-with-seats = incl.{"\u00A0"}subscription { $value }
statements-vat = VAT
statements-gross = Gross
statements-vat-of = VAT { $value }%
statements-vat-none = VAT does not apply
statements-vat-own = Rate
statements-vat-default = As for all organizations
statements-vat-default-of = VAT { $value }%, as for all organizations
statements-vat-percent = VAT rate in percent
statements-vat-note = Note on VAT
statements-vat-note-hint = Required where VAT does not apply: the legal basis; it is printed on statements.
statements-evidence = NBP table
statements-table = { $table } of{"\u00A0"}{ $day }
statements-pdf-hash = SHA-256 of the PDF when it was issued:
statements-document-hash = SHA-256 of the stored document:
statements-no-invoice = A statement is no VAT invoice.
statements-seller = Seller
statements-seller-name = Name of the seller
statements-seller-text = Printed on statements as the seller. Changes apply to statements that are not issued yet.
statements-seller-incomplete = Nothing can be issued before name, address and tax ID of the seller are set below.
statements-seller-saved = The seller was saved.
statements-buyer = Buyer
statements-buyer-text = Printed on statements as the buyer. Changes apply to statements that are not issued yet.
statements-buyer-read-only = Printed on statements as the buyer. Only your reseller can change it.
statements-buyer-saved = The buyer was saved.
statements-legal-name = Legal name
statements-legal-name-hint = Empty: the name of the organization
statements-address = Address
statements-tax-id = Tax ID
statements-pdf-language = Language of the PDF
statements-numbering = Numbering restarts
statements-monthly = Each month: 2026/11/0001
statements-yearly = Each year: 2026/0001
statements-unfit-name = The name must have 1 to 200 characters and no control characters.
statements-unfit-address = The address must have 1 to 400 characters.
statements-unfit-tax-id = The tax ID must have 1 to 40 characters.
statements-unfit-vat = Write the VAT rate as a percentage of 0 to 100 with at most two decimals, such as 23.
statements-unfit-note = Write the legal basis on which VAT does not apply, in at most 400 characters.
statements-state = State
statements-issued = issued
statements-new = just now
statements-ready = ready to issue
statements-held = held back
statements-nothing = nothing to bill
statements-failed = failed
statements-held-month = The month is not over.
statements-held-rate = It is not certain yet which of NBP's tables counts.
statements-held-seller = Name, address and tax ID of the seller are not all set.
statements-unbilled = Usage without a statement: { $value }
statements-close = Close { $value }
statements-close-title = Issue the statements of { $month }: { $whose }?
statements-close-text = What nothing holds back is issued and numbered. An issued statement can never be changed or withdrawn; what changes later becomes corrections of a later one.
statements-issue = Issue
statements-result = Result: { $value }
statements-to-month = Back to the month
statements-issued-count = { $n ->
    [one] { $shown } statement was issued.
   *[other] { $shown } statements were issued.
}
statements-pending = { $n ->
    [one] { $shown } generation waits for its cost
   *[other] { $shown } generations wait for their cost
}
statements-sum-without = { $n ->
    [one] PLN without { $shown } organization whose amount is not certain
   *[other] PLN without { $shown } organizations whose amount is not certain
}

alerts-views = Parts of the alerts
alerts-destinations = Destinations
alerts-destination = Destination
alerts-raised = Raised alerts
alerts-deliveries = Deliveries
alerts-anomalies = Anomalies
alerts-limits = Limits
alerts-all = All
alerts-only-new = Not acknowledged
alerts-what = Alert
alerts-when = Raised
alerts-state = State
alerts-kinds = Kinds of alerts
alerts-channel = Channel
alerts-webhook = Webhook
alerts-target = URL or e-mail address
alerts-target-hint = A webhook needs an https URL with a public address.
alerts-language = E-mail language
alerts-of-nothing = nothing
alerts-new = New destination
alerts-new-text = Alerts about limits that are used up and about unusual days go there.
alerts-new-of-all = It receives alerts about all organizations. Destinations of one organization are made on its own page.
alerts-all-organizations = All organizations
alerts-add = Add
alerts-edit = Settings
alerts-id = ID
alerts-created = Created
alerts-updated = Changed
alerts-gone-at = Receiver gone since
alerts-previous-until = The secret before signs until
alerts-active = active
alerts-gone = receiver gone
alerts-held = waits for a mail server
alerts-no-mail = No mail server is set up (MAI_SMTP_URL). Mail waits and goes out as soon as there is one.
alerts-waiting = waiting
alerts-delivered = delivered
alerts-failed = failed
alerts-only-waiting = Waiting
alerts-only-delivered = Delivered
alerts-only-failed = Failed
alerts-made = The destination was made.
alerts-removed = The destination was removed.
alerts-saved = The destination was saved.
alerts-switched-on = The destination is active.
alerts-switched-off = The destination is inactive. What waits for it waits on.
alerts-switch-on = Activate
alerts-switch-off = Deactivate
alerts-remove = Remove
alerts-remove-title = Remove { $value }?
alerts-remove-text = Nothing goes there any more, and what waits for it has failed. The secret is lost. This cannot be undone.
alerts-secret-title = Signing secret of { $value }
alerts-secret-text = It is shown only now. Keep it where the receiver verifies signatures.
alerts-rotate-title = Signing secret
alerts-rotate-text = A new secret is shown once. For the chosen time the one before signs too.
alerts-rotate = Replace the secret
alerts-rotated = The secret was replaced.
alerts-grace = The secret before signs for another
alerts-grace-day = 1 day
alerts-grace-week = 7 days
alerts-grace-month = 30 days
alerts-grace-none = no time: it ends at once
alerts-test = Test
alerts-test-title = Send a test
alerts-test-text = One attempt now. The page says what became of it.
alerts-test-about = About the organization
alerts-test-send = Send a test
alerts-test-delivered = The test was delivered.
alerts-test-failed = The test was not delivered: { $value }
alerts-again-title = Send again what has failed
alerts-again-text = The receiver gets the same IDs and the same content.
alerts-since = Raised since
alerts-send-again = Send again
alerts-replayed = It will be sent again at once.
alerts-replayed-count = { $n ->
    [one] { $shown } delivery will be sent again at once.
   *[other] { $shown } deliveries will be sent again at once.
}
alerts-not-now = This cannot be done now: the last attempt was less than a minute ago, the destination is inactive, or it had too many tests or repetitions within the hour.
alerts-too-many = There are 100 destinations already. Remove one first.
alerts-unfit-target = This cannot be a destination. A webhook needs an https URL with a public address and without a password; mail needs an e-mail address.
alerts-unfit-name = The name must have 1 to 200 characters and no control characters.
alerts-attempts = Attempts
alerts-last-attempt = last { $value }
alerts-next = next attempt { $value }
alerts-destination-gone = removed
alerts-only-to = To { $value }
alerts-whole-organization = Organization
alerts-limit-reached = { $value }% of the monthly limit reached
alerts-of-limit = { $value } of { $bound }
alerts-unusual-spend = Unusual cost
alerts-unusual-requests = Unusual number of requests
alerts-above = { $value }, above { $bound }
alerts-empty-destinations = Nobody is told yet. Add a webhook or an e-mail address below.
alerts-empty-raised = No alert was raised yet. One appears when half of a limit is used or when a day stands out.
alerts-empty-deliveries = Nothing was sent. Deliveries appear here when an alert is raised and a destination is subscribed to it.
alerts-empty-anomalies = There are no such days. Choose other days above.
alerts-anomalies-text = Days on which a user or a model stands far outside of its own history.
alerts-anomalies-count = { $n ->
    [one] { $shown } anomaly
   *[other] { $shown } anomalies
}
alerts-subject = User or model
alerts-usual = Usual
alerts-threshold = stands out from { $value }
alerts-history = { $n ->
    [one] by { $shown } active day before
   *[other] by { $shown } active days before
}
alerts-known = Acknowledged
alerts-acknowledge = Acknowledge
alerts-acknowledged = The anomaly was acknowledged.
alerts-note = Note, may be empty
alerts-unfit-note = The note must have at most 300 characters.
alerts-name = Name
