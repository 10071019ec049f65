# Texts of the dashboard. Keys and values are the same in every language; see `dashboard/language.rs`.

skip = Skip to the content
nav-main = Main
nav-organization = Pages of the organization
nav-reseller = Pages of the reseller
language = Language
language-pl = Polish
language-en = English
theme = Colours
theme-system = System
theme-light = Light
theme-dark = Dark
role-reseller = Reseller
role-admin = Administrator
role-member = Member

sign-in = Sign in
sign-in-title = Sign in
sign-in-help = No password yet, or forgotten? Ask your administrator for a one-time link.
sign-in-wrong = Address and password do not fit, or the account is locked for a while after several attempts.
sign-in-too-many = Too many attempts have failed. Wait a minute and try again.
sign-in-busy = Many people are signing in right now. Try again in a few seconds.
sign-out = Sign out
sign-out-everywhere = Sign out everywhere
email = E-mail
name = Name
password = Password
link-title = Sign in by link
link-text = This link signs you in once.
link-paste = Paste the whole link here
link-used = The link is used up or too old. Ask whoever gave it to you for another one.
password-title = Change password
password-set-title = Set a password
password-current = Present password
password-current-wrong = The present password is not right.
password-new = New password, at least 12 characters
password-save = Save the password
password-later = Not now
password-help = Saving signs you out everywhere else.
password-unfit = The password must have 12 to 256 characters and must not be easy to guess.
account-title = Create your account
account-text = You are signed in as the reseller. Create the account with which you sign in from now on.
account-create = Create my account
account-taken = There is an account with this address already.
account-email-unfit = This is no e-mail address.
account-name-unfit = The name must have 1 to 200 characters.

tab-overview = Overview
tab-own = My usage
tab-users = By user
tab-models = By model
tab-providers = By provider
tab-subscription = Subscription
tab-pricing = Model pricing
tab-exports = Exports
tab-limits = Limits & keys
tab-members = Members
tab-statements = Statements
tab-alerts = Alerts
tab-audit = Audit log
tab-settings = Settings
tab-generations = Open generations
tab-runs = Daily runs
tab-health = Health
tab-access = Access

range = Days
range-this-month = This month
range-last-month = Last month
range-7d = 7 days
range-30d = 30 days
range-90d = 90 days
range-12m = 12 months
range-from = From
range-to = To
range-apply = Show

tokens = Tokens
requests = Requests
cost = Cost
rate = Rate
date = Date
month = Month
user = User
model = Model
provider = Provider
organization = Organization
organizations = Organizations
organizations-search = Name
organizations-count = { $n ->
    [one] { $shown } organization
   *[other] { $shown } organizations
}
raw-cost = Raw cost
client-price = Client price
profit = Profit
total = Total
share = Share
change = Change
all = All usage
other = Other
unknown = Unknown
no-data = No data
active-users = Active users
days-active = Days active
days-used = Days used
last-activity = Last activity
models-used = Models
so-far = so far
estimated = Converted by the latest rate, because not every day has one of its own yet
about = about
rate-fallback = configured rate
metric = Figure
group-by = Group by
group-model = Model
group-provider = Provider
group-user = User
group-none = Nothing
forecast = Forecast

users-count = { $n ->
    [one] { $shown } user
   *[other] { $shown } users
}
requests-count = { $n ->
    [one] { $shown } request
   *[other] { $shown } requests
}
models-count = { $n ->
    [one] { $shown } model
   *[other] { $shown } models
}
providers-count = { $n ->
    [one] { $shown } provider
   *[other] { $shown } providers
}

ago-now = just now
ago-minutes = { $n ->
    [one] { $shown } minute ago
   *[other] { $shown } minutes ago
}
ago-hours = { $n ->
    [one] { $shown } hour ago
   *[other] { $shown } hours ago
}
ago-days = { $n ->
    [one] { $shown } day ago
   *[other] { $shown } days ago
}
ago-months = { $n ->
    [one] { $shown } month ago
   *[other] { $shown } months ago
}
ago-years = { $n ->
    [one] { $shown } year ago
   *[other] { $shown } years ago
}

tile-cost-month = Cost this month
tile-cost = Cost
tile-estimated = about { $value }
tile-no-pln = No PLN yet
tile-per-day = { $value } per day
tile-of-members = { $n ->
    [one] of { $shown } member
   *[other] of { $shown } members
}
tile-of-days = { $n ->
    [one] of { $shown } day
   *[other] of { $shown } days
}
tile-limit = Limit used this month
tile-limit-of = of { $value }
tile-no-limit = No limit
tile-no-limit-note = Usage is not limited
tile-forecast = Forecast to month end
tile-forecast-range = { $low } to { $high }
tile-no-forecast = Needs usage in the four weeks before
change-title = against the same number of days before

chart-cost = Cost over time
chart-tokens = Tokens over time
chart-requests = Requests over time
chart-own-cost = My cost over time
chart-own-tokens = My tokens over time
chart-own-requests = My requests over time
chart-description = Stacked bars, { $value }. The table below has the same figures.
chart-expected = { $value } expected
chart-so-far = { $value } so far
chart-today = { $value } so far, { $expected } more expected
chart-table = { $value }, the figures as a table
chart-data = Show the figures as a table

top-model = Top model
top-models = Top 3 models
top-models-note = By tokens, with share of all tokens
monthly-summary = Summary
summary-active-users = Active users
summary-new-users = New users
summary-idle-members = Members without usage
summary-days = Days with usage
summary-days-of = { $active } of { $all }
summary-cost-per-day = Average per day
summary-cost-per-user = Average per active user
summary-busiest = Day with the most tokens
summary-dearest = Day with the highest cost
summary-change = Cost change from the previous period
daily-breakdown = Daily breakdown
months-title = Month over month
activity-title = Activity
activity-description = { $n ->
    [one] Requests by day of the last half year, { $shown } day with usage.
   *[other] Requests by day of the last half year, { $shown } days with usage.
}
activity-week = Week of
activity-less = Less
activity-more = More

users-which = Which users
users-all = All
users-active = With usage
users-idle = No usage
users-search = Name, e-mail or ID
models-search = Model
providers-search = Provider
search = Search
search-clear = Clear
badge-inactive = inactive
badge-inactive-organization = inactive
badge-unregistered = not registered
ranking-models = Cost by model
ranking-providers = Cost by provider
pager = { $from }–{ $to } of { $total }
pages = Pages of the table
page-previous = Previous
page-next = Next

seats-users = Users
seats-tier = Current tier
seats-tier-note = per user and month
seats-tier-range = { $value } users
seats-tiers = Pricing tiers
seats-current = current
seats-total = Monthly total
seats-total-note = prorated by day
seats-details = Billing by user
seats-added = Added
seats-days = Days charged
seats-days-of = { $charged } of { $all }
seats-cost = Monthly cost
seats-frozen = This month is over. Its figures were fixed on { $value } and no longer change.
seats-running = This month is still running. Its figures follow the current list of users.
seats-open = This month is over and will be fixed by the next daily run.
seats-how = How billing works
seats-rule-1 = Every active user needs a seat.
seats-rule-2 = The number of users decides the tier, and all users pay the price of that tier.
seats-rule-3 = A user who was added during the month pays for the days from then on, that day included.
seats-rule-4 = The amounts are in PLN, separate from the cost of usage.

pricing-list = Models
pricing-catalogue = Offered
pricing-all = All models
pricing-count = { $n ->
    [one] { $shown } model available
   *[other] { $shown } models available
}
pricing-note = Prices are in USD for a million tokens, as your organization is charged.
pricing-updated = Read from OpenRouter on { $at } ({ $ago }).
pricing-variable = varies
pricing-built-in = OpenRouter's price list could not be read yet. These prices are built in and may be old.
pricing-old = OpenRouter's price list could not be read for more than a day. These are the last known prices.
price-input = Input
price-output = Output
context = Context
category = Category
category-all = All
category-all-budget = Budget
category-all-standard = Standard
category-all-fast = Fast
category-all-premium = Premium
category-all-reasoning = Reasoning
category-budget = Budget
category-standard = Standard
category-fast = Fast
category-premium = Premium
category-reasoning = Reasoning

exports-text = The figures of the chosen days as files, exact to the nano-dollar.
export-table = Table
export-files = Files
export-daily = Days
export-daily-note = A row for each day with usage
export-by-user = Users
export-by-user-note = A row for each user, also those without usage
export-by-model = Models
export-by-model-note = A row for each model
export-by-user-daily = Users by day
export-by-user-daily-note = A row for each user and day
export-by-model-daily = Models by day
export-by-model-daily-note = A row for each model and day
export-generations = Generations
export-generations-note = A row for each generation that the ledger still has

notice-no-rate = No exchange rate of NBP is known yet. Amounts are in USD, and PLN follows by itself.
notice-fallback-rate = No exchange rate of NBP is known yet. PLN is an estimate by the configured rate; nothing is billed by it.
foot-recorded = Recorded up to { $at } ({ $ago })
foot-rate = Rate { $rate }, table { $table } of { $day }
foot-rate-fallback = Configured rate { $value }
foot-zone = Days in { $value } time

empty-range = No usage on these days. Choose other days above.
empty-own = You used nothing on these days.
empty-users = No user fits. Clear the search or choose other days.
empty-models = No model fits. Clear the search or choose other days.
empty-providers = No provider was used on these days.
empty-seats = Nobody needs a seat in this month.
empty-pricing = No model fits. Clear the search or choose another category.
empty-organizations = No organization fits. Clear the search, or create one by the button above.
empty-organization = Nothing was used yet
empty-organization-text = Usage appears here seconds after the first request. Give your client this base URL and a key of your organization.

state-loading = Loading usage data
state-slow = The server takes long to answer. Nothing is lost.
state-away = The server cannot be reached. The figures below are the last ones.
state-lost = Connection lost, trying again
retry = Try again
refresh = Refresh
copy = Copy
copied = Copied
to-start = Go to the start page
request-id = If it lasts, tell your administrator this ID:

problem-forbidden-title = You do not have access to this page
problem-forbidden = Only administrators can open it. Ask yours for what you need.
problem-inactive-title = No access at present
problem-inactive-organization = The organization is inactive. Your data is kept. Ask your reseller.
problem-inactive-member = You no longer belong to the organization. Ask its administrator.
problem-csrf-title = The form is too old
problem-csrf = It did not come from a page of this session. Nothing was changed. Open the page again and repeat it.
problem-not-found-title = There is no such page
problem-not-found = The address is wrong, or it leads to something that you have no access to.
problem-bad-title = The address cannot be understood
problem-bad = A value in it does not fit. Nothing was changed.
problem-form-title = The form cannot be read
problem-form = It lacks a field or is too long. Nothing was changed. Open the page anew and try again.
problem-detail = Technical detail:
problem-often-title = Too many requests
problem-often = Wait a few seconds and try again.
problem-slow-title = The database takes long to answer
problem-slow = The page was not ready in time. Usage is still recorded. Try again, or choose fewer days.
problem-slow-change = The answer was not ready in time. The change may have been made, or may still be: look before you repeat it.
problem-away-title = The database cannot be reached
problem-away = Usage is still recorded and appears as soon as the database is back. Try again in a moment.
problem-failed-title = This did not work
problem-failed = The error is noted in the server's log. Recorded usage is not touched by it.

form-refused = Nothing was changed: { $value }
form-unfit-amount = Write the amount in USD, such as 12.50.
form-cancel = Cancel
form-save = Save
