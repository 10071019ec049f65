//! Which table counts: pure functions of what was published.

use mai_primitives::UsageDate;
use mai_storage::text_enum;

use crate::{model::PublishedRate, published::Published};

text_enum! {
    /// Which table gives a day of usage its indicative rate.
    #[derive(Default)]
    pub enum DayRatePolicy {
        /// The table of the day itself, or the last one before where the day has none.
        #[default]
        SameDayOrBefore = "same_day_or_before",
        /// The last table before the day, as Polish accounting converts an event of that day.
        BeforeDay = "before_day",
    }
}

text_enum! {
    /// Which table gives a statement its rate. Both are "the last working day before" of article 31a of the
    /// Polish VAT act; which of the two days it is before, an accountant must confirm.
    #[derive(Default)]
    pub enum StatementRatePolicy {
        /// The last table before the last day of the period, which is the tax point of a service that is
        /// settled by periods (article 31a, paragraph 1).
        #[default]
        BeforePeriodEnd = "before_period_end",
        /// The last table before the day of issue, for a statement that is issued before the tax point
        /// (article 31a, paragraph 2).
        BeforeIssueDay = "before_issue_day",
    }
}

impl DayRatePolicy {
    /// The last day whose table may count for `day`. Once it is known whether that day has one, the rate of
    /// `day` is certain.
    #[must_use]
    pub fn last_day(self, day: UsageDate) -> UsageDate {
        match self {
            Self::SameDayOrBefore => day,
            Self::BeforeDay => day.minus_days(1),
        }
    }

    /// The table of a day; none while it is not certain.
    pub fn rate_of(self, published: &Published, day: UsageDate) -> Option<&PublishedRate> {
        published.last_up_to(self.last_day(day))
    }
}

impl StatementRatePolicy {
    /// The last day whose table may count for a statement over a period that ends with the day
    /// `period_end` and is issued on `issue_day`.
    #[must_use]
    pub fn last_day(self, period_end: UsageDate, issue_day: UsageDate) -> UsageDate {
        match self {
            Self::BeforePeriodEnd => period_end.minus_days(1),
            Self::BeforeIssueDay => issue_day.minus_days(1),
        }
    }

    /// The table of a statement; none while it is not certain, and then the statement has to wait.
    pub fn rate_of(
        self,
        published: &Published,
        period_end: UsageDate,
        issue_day: UsageDate,
    ) -> Option<&PublishedRate> {
        published.last_up_to(self.last_day(period_end, issue_day))
    }
}
