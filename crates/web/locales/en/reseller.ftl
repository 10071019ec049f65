# The reseller's pages.


ops-filter = Filter
ops-filter-actions = Actions
ops-filter-all-organizations = All organizations
ops-filter-apply = Show
ops-filter-clear = Clear the filter
ops-page-first = First page
ops-more = { $n ->
    [one] and { $shown } more
   *[other] and { $shown } more
}
ops-yes = yes
ops-no = no

fleet-active = Organizations with usage
fleet-of-organizations = { $n ->
    [one] of { $shown } organization
   *[other] of { $shown } organizations
}
fleet-per-organization = { $value } per organization with usage
fleet-raw-note = what OpenRouter charges
fleet-margin = Margin
fleet-margin-of = Margin { $value } of the raw cost
fleet-captured = Captured against billed
fleet-captured-of = { $captured } captured, { $billed } billed by OpenRouter
fleet-captured-unread = No provider key was read on these days
fleet-captured-days = { $n ->
    [one] { $shown } day is not known yet
   *[other] { $shown } days are not known yet
}
fleet-captured-unfinished = The days that were read are not complete yet
fleet-chart = Client price by organization
fleet-limit = Limit
fleet-limit-ok = in bounds
fleet-limit-warning = nearly used
fleet-limit-reached = used up
fleet-limits-reached = { $n ->
    [one] { $shown } further limit used up
   *[other] { $shown } further limits used up
}
fleet-empty-title = There is no organization yet
fleet-empty = Create the first one. Its usage, price and profit appear here seconds after its first request.

gen-title = Generation
gen-text = What OpenRouter charged for these generations is not known. It is looked up for 72 hours by itself; after that a person decides.
gen-waiting = Looked up
gen-waiting-note = by itself, no decision is needed
gen-unresolved = Waiting for a person
gen-unresolved-note = settle or dismiss them
gen-which = Which generations
gen-all = All
gen-search = Id of a generation
gen-not-found = No organization has a generation with this id.
gen-none-fits = No generation fits. Choose another state or organization.
gen-empty = The cost of every generation is known. A generation appears here when an answer broke off or told no cost, until that is looked up.
gen-since = Since
gen-asked = Model asked for
gen-state = State
gen-last-attempt = Last look-up
gen-reserved = Reserved
gen-look-up = Look up again
gen-decide = Open
gen-attempts = { $n ->
    [0] not tried yet
    [one] tried { $shown } time
   *[other] tried { $shown } times
}
gen-next = next { $value }
gen-state-pending = looked up
gen-state-unresolved = waiting for a person
gen-reason-client-gone = The client left before the answer was complete
gen-reason-upstream-cut = OpenRouter's answer broke off
gen-reason-no-usage = The answer told nothing about usage
gen-reason-cost-unknown = The answer told the tokens and no cost
gen-reason-crash = The service stopped during the call
gen-reason-error-event = The stream ended with an error
gen-reason-no-id = No id was told, so it cannot be looked up
gen-reason-no-answer = No answer came
gen-reason-unbookable = The usage cannot be booked as it is
gen-reason-conflict = The ledger has this id with other usage
gen-back = All open generations
gen-cost-unknown = The cost is not known
gen-why = Reason
gen-tried = Look-ups
gen-last-error = Last error
gen-next-attempt = Next look-up
gen-key = Gateway key
gen-settle-title = Settle
gen-settle-text = Books the generation with what OpenRouter's activity page shows for it. The client price follows from the organization's rate.
gen-settle-cost = Raw cost in USD
gen-settle-model = Model that answered
gen-settle = Settle
gen-input = Input tokens
gen-output = Output tokens
gen-dismiss = Dismiss
gen-dismiss-title = Dismiss generation { $value }?
gen-dismiss-text = Nothing is booked for it, and its reservation ends. It is not looked up any more.
gen-dismiss-reason = Reason
gen-booked = In the ledger
gen-began = Began
gen-booked-at = Booked
gen-source = Told by
gen-source-gateway = the gateway
gen-source-look-up = a look-up at OpenRouter
gen-source-broadcast = OpenRouter's Broadcast
gen-source-webhook = the webhook
gen-source-manual = a person
gen-history = Contradictions and decisions
gen-side-booked = In the ledger before
gen-side-reported = Reported
gen-tokens = { $input } and { $output } tokens
gen-audit-corrected = Corrected by a report of more authority
gen-audit-refused = Report refused
gen-audit-dismissed = Dismissed
gen-done-look-up = The generation is looked up within seconds.
gen-done-settle = The generation is booked.
gen-done-dismiss = The generation is dismissed. Nothing was booked.
gen-unfit-cost = Nothing was changed. Write the cost in USD, from 0 to 1000000, such as 0.0125.
gen-unfit-tokens = Nothing was changed. Write the tokens as whole numbers, 0 or more.
gen-unfit-model = Nothing was changed. The call named no model, so name the one that answered.
gen-unfit-reason = Nothing was changed. Write why it was not charged.

run-title = Daily run of { $value }
run-next = Next run
run-schedule = every day at { $value }
run-last-success = Last success
run-never = never
run-of-day = for { $value }
run-now = Now: step { $step } of { $steps }
run-progress = { $done } of { $total }
run-trouble = Please look: { $value }
run-begin-title = Run now
run-begin-text = A run brings rates and prices up to date, checks every day up to the chosen one against the ledger, adds up the month and makes a backup. It changes nothing that is right already.
run-day = Day
run-again = Do it again where it was done, and check all days again
run-begin = Run now
run-force = Do it again
run-force-title = Do the daily run of { $value } again?
run-force-text = Every day that the ledger still has is checked and made equal to it again, which may take minutes. Closed statements stay as they are.
run-list = Latest runs
run-empty = There was no run yet. The first one comes at the time above, or now by the form.
run-began = Began
run-ended = Ended
run-by = Started by
run-by-schedule = the schedule
run-by-catch-up = the schedule, late
run-by-hand = a person or the API
run-by-command = the command line
run-forced = again
run-took = Duration
run-seconds = { $value } s
run-minutes = { $minutes } min { $seconds } s
run-milliseconds = { $value } ms
run-steps = Steps
run-steps-of = { $done } of { $all }
run-step = Step
run-optional = optional
run-running = running
run-waiting = waiting
run-succeeded = succeeded
run-failed = failed
run-back = All runs
run-facts = The run
run-process = Process
run-id = Id
run-begun = The run has begun. This page follows it.
run-done-before = This day was processed before; this is that run. Tick the box below the day to do it again.
run-busy = Nothing was begun. A daily run is going on; wait until it is over.
run-unfit-day = Nothing was begun. Choose a day that is over.
run-step-exchange-rates = Exchange rates of NBP
run-step-model-prices = OpenRouter's price list
run-step-validation = Check against the ledger
run-step-month-totals = Totals of the month
run-step-subscription = Seats of the month before
run-step-reconcile = Captured against billed
run-step-anomalies = What stands out
run-step-retention = Clean-up
run-step-backup = Backup

health-ready = New calls are taken and recorded.
health-unready = New calls are refused or not recorded. See the checks below.
health-checks = Checks
health-check = Check
health-ok = in order
health-warning = please look
health-refusing = calls are refused
health-database = Database
health-database-note = Statistics, settings and the ledger
health-journal = Journal
health-journal-note = Makes every record durable before its answer ends
health-applier = Records on their way to the database
health-applier-note = From the journal into the ledger
health-unresolved-note = Generations whose cost a person has to settle
health-accepting = Taking calls
health-accepting-note = Whether the service is stopping
health-batch-note = Rates, checks, totals and backup of each day
health-members-note = Taken over from Open WebUI
health-backlog = Not in the database yet
health-waiting = the oldest for { $value } s
health-open-calls = Open calls
health-open-streams = { $value } of them streams
health-calls = Calls since the start
health-refused = { $value } refused by limits
health-sources = Rates, prices and both books
health-process = This process
health-prices = Price list read
health-prices-state = Price list
health-prices-fresh = up to date
health-prices-old = old, OpenRouter could not be read
health-built-in = built in, OpenRouter was never read
health-rate = Latest rate of NBP
health-rate-read = Rate read
health-captured = Captured in 7 days
health-billed = Billed by OpenRouter in 7 days
health-version = Version
health-started = Started
health-records = Records made durable
health-applied = Records applied
health-look-ups = Costs looked up
health-look-ups-failed = Failed look-ups
health-directory = Organizations and keys compared

log-when = When
log-who = Who
log-what = What
log-about = About what
log-result = Result
log-details = Details
log-action = Action
log-all-actions = All actions
log-actor = Id of who did it
log-number = No. { $value }
log-ok = done
log-refused = refused
log-verify = Check the chain
log-export = Export as JSONL
log-unbroken = { $n ->
    [0] The log is empty.
    [one] The chain is unbroken: { $shown } entry.
   *[other] The chain is unbroken: { $shown } entries.
}
log-head = Its last hash is { $value }.
log-broken = The chain is broken: { $value }
log-none-fits = No entry fits. Clear the filter or choose other days.
log-empty = Nothing was changed yet. Every change appears here with who made it.
log-by-system = The service
log-by-command-line = Command line
log-by-reseller-token = Reseller's token
log-by-account = Account
log-by-api-token = API token
log-by-open-webui = Open WebUI
log-by-link = One-time link
log-by-stranger = Not signed in
log-of-request = Request
log-of-organization = Organization
log-of-member = Member
log-of-mapping = Mapping of a user
log-of-account = Account and sign-in
log-of-session = Session
log-of-sign-in-link = One-time link
log-of-open-webui = Sign-in by Open WebUI
log-of-api-token = API token
log-of-gateway-key = Gateway key
log-of-provider-key = Provider key
log-of-master-key = Master key
log-of-usage-limit = Limit
log-of-usage = Usage
log-of-generation = Generation
log-of-statement = Statement
log-of-billing-profile = Buyer's data
log-of-subscription = Seats
log-of-alert-destination = Alert destination
log-of-anomaly = Anomaly
log-of-batch = Daily run
log-of-settings = Settings

global-rate = Default markup
global-rate-label = Percent above raw cost
global-rate-hint = For organizations without a markup of their own, from now on. With 30 the client pays the raw cost and 30% more.
global-key = OpenRouter's management API
global-key-is = A key is stored that ends in { $value }.
global-key-none = No key is stored. With one, provider keys can be made here.
global-key-label = New key
global-key-hint = It is stored encrypted and never shown again.
global-key-clear = Remove the key
global-key-clear-title = Remove the key of OpenRouter's management API?
global-key-clear-text = Provider keys can then no longer be made or changed here. Those that are there go on working.
global-tiers = Price of a seat
global-tiers-text = The number of users decides the tier, and all users pay its price. Each tier ends where the next one begins.
global-tier-from = From users
global-tier-price = PLN per user and month
global-tiers-reset = Use the built-in tiers
global-roles = Who needs a seat
global-roles-text = Active members with these roles.
global-role-admin = Administrators
global-role-member = Members
global-role-pending = Members who are not let in yet
global-facts = How the service was started
global-facts-text = These come from the environment or the settings file and are changed there.
global-currency = Currency of usage
global-changed = Settings last changed
global-zone = Time zone
global-schedule = Daily run
global-retention = Generations are kept
global-days = { $n ->
    [one] { $shown } day
   *[other] { $shown } days
}
global-backups = Backups kept
global-rate-policy = Exchange rate of a day
global-rate-policy-text = NBP table A of the day or the last before, unless an organization has another rule
global-prices = Price list read
global-public-url = Address for browsers
global-token = Reseller's token in the settings
global-broadcast = Broadcast of OpenRouter is taken
global-open-webui = Sign-in by Open WebUI
global-done-rate = The markup is saved and holds from now on.
global-done-key = The key is saved.
global-done-key-cleared = The key is removed.
global-done-tiers = The tiers are saved. Months that are over keep theirs.
global-done-roles = The roles are saved.
global-unfit-rate = Nothing was changed. Write percent with at most four decimals, such as 30 or 12.5.
global-unfit-key = Nothing was changed. A key has 1 to 512 visible characters.
global-unfit-tiers = Nothing was changed. The first tier begins with 1 user, each begins above the one before, and prices are 0 to 1000000 PLN with at most two decimals.
global-unfit-roles = Nothing was changed. Choose one role or more.
