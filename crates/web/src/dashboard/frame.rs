//! [`Frame`]: what surrounds every page: head, navigation, switches and foot.

use mai_organization::client_organization::OrganizationEntry;
use mai_primitives::OrganizationId;

use super::{
    address::{Address, encoded_part},
    assets, format,
    language::Language,
    preferences::Theme,
    visit::{Reader, Visit},
};
use crate::api::{
    ApiError,
    caller::{Caller, Role},
    cookie,
};

/// The values of an address that the tabs of an organization share.
pub(crate) const SHARED: [&str; 3] = ["range", "start_date", "end_date"];

/// A link that may lead to the page itself.
pub(crate) struct Link {
    /// Where it leads.
    pub(crate) href: String,
    /// What it says.
    pub(crate) label: String,
    /// Whether it is what is shown already.
    pub(crate) is_current: bool,
}

/// Who is signed in.
pub(crate) struct SignedIn {
    /// What people call the owner of the session.
    pub(crate) name: String,
    /// What the owner may do, as a text.
    pub(crate) role: String,
    /// What changes must carry, masked for this page; none where a token and no session is presented.
    pub(crate) csrf_token: Option<String>,
    /// Whether the reseller's pages are there.
    pub(crate) is_reseller: bool,
    /// Whether a password may be changed.
    pub(crate) has_account: bool,
}

/// What surrounds a page.
pub(crate) struct Frame {
    /// The language.
    pub(crate) language: Language,
    /// The colours.
    pub(crate) theme: Theme,
    /// The page's title.
    pub(crate) title: String,
    /// The organization that the page is about: its name.
    pub(crate) organization: Option<String>,
    /// The pages of that organization, or the reseller's own.
    pub(crate) tabs: Vec<Link>,
    /// Who is signed in.
    pub(crate) signed_in: Option<SignedIn>,
    /// What the foot says about how fresh the figures are.
    pub(crate) freshness: Vec<String>,
    /// Whether the page's figures may change while it is looked at.
    pub(crate) is_live: bool,
    /// Where the style, the script and the icon are.
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) icon: String,
    /// The version of this program.
    pub(crate) version: &'static str,
    address: Address,
}

impl Frame {
    /// The frame of a page for anybody.
    pub(crate) fn new(reader: &Reader, title: &str) -> Self {
        Self {
            language: reader.language,
            theme: reader.theme,
            title: title.to_owned(),
            organization: None,
            tabs: Vec::new(),
            signed_in: None,
            freshness: Vec::new(),
            is_live: false,
            style: assets::style(),
            script: assets::script(),
            icon: assets::icon(),
            version: env!("CARGO_PKG_VERSION"),
            address: reader.address.clone(),
        }
    }

    /// The same for somebody who is signed in.
    pub(crate) async fn signed_in(mut self, visit: &Visit, caller: &Caller) -> Result<Self, ApiError> {
        let session = caller.session.as_deref();
        let account = match session.and_then(|session| session.model.account_id.as_deref()) {
            Some(id) => visit.api.services.account_db.get(id).await?,
            None => None,
        };
        let role = match &caller.role {
            Role::Reseller => "role-reseller",
            Role::Admin(_) => "role-admin",
            Role::Member(..) => "role-member",
        };
        let role = self.language.text(role);
        let has_account = account.is_some();
        let user = session.and_then(|session| session.model.user_id.as_ref());
        self.signed_in = Some(SignedIn {
            name: account
                .map(|row| row.name)
                .or_else(|| user.map(ToString::to_string))
                .unwrap_or_else(|| role.clone()),
            role,
            csrf_token: session.map(|session| cookie::masked(&session.csrf_token)).transpose()?,
            is_reseller: caller.is_reseller(),
            has_account,
        });
        Ok(self)
    }

    /// The same with the tabs of an organization. What a member may not see is not there. None of them is
    /// `current` where the page is none of them.
    pub(crate) fn of_organization(
        mut self,
        caller: &Caller,
        organization: &OrganizationEntry,
        current: Option<Tab>,
    ) -> Self {
        let is_member = matches!(caller.role, Role::Member(..));
        let tabs = Tab::ALL.into_iter().filter(|tab| !is_member || tab.is_for_members());
        self.tabs = tabs
            .map(|tab| Link {
                href: self.address.sharing(tab.path(&organization.id), &SHARED).link(),
                label: self.language.text(tab.label(is_member)),
                is_current: current == Some(tab),
            })
            .collect();
        self.organization = Some(organization.name.clone());
        self
    }

    /// The same with the reseller's own pages.
    pub(crate) fn of_reseller(mut self, current: ResellerTab) -> Self {
        let link = |tab: ResellerTab| Link {
            href: tab.path().to_owned(),
            label: self.language.text(tab.label()),
            is_current: tab == current,
        };
        self.tabs = ResellerTab::ALL.into_iter().map(link).collect();
        self
    }

    /// What the tabs are of.
    pub(crate) fn tabs_label(&self) -> String {
        self.t(if self.organization.is_some() { "nav-organization" } else { "nav-reseller" })
    }

    /// What the forms of the page must carry; nothing where a token and no session is presented, whose
    /// forms are refused.
    pub(crate) fn proof(&self) -> &str {
        let token = self.signed_in.as_ref().and_then(|who| who.csrf_token.as_deref());
        token.unwrap_or_default()
    }

    /// Whether the reader is the reseller.
    pub(crate) fn is_reseller(&self) -> bool {
        self.signed_in.as_ref().is_some_and(|who| who.is_reseller)
    }

    /// The text of a key.
    pub(crate) fn t(&self, key: &str) -> String {
        self.language.text(key)
    }

    /// The text of a key with a value.
    pub(crate) fn with(&self, key: &str, value: &str) -> String {
        self.language.with(key, value)
    }

    /// A number as it is written.
    pub(crate) fn number(&self, number: i64) -> String {
        format::number(self.language, number)
    }

    /// The code of the language.
    pub(crate) fn code(&self) -> &'static str {
        self.language.code()
    }

    /// The address of the page itself.
    pub(crate) fn here(&self) -> String {
        self.address.link()
    }

    /// The switch of languages.
    pub(crate) fn languages(&self) -> Vec<Link> {
        let all = [(Language::English, "English"), (Language::Polish, "Polski")];
        let link = |(language, label): (Language, &str)| Link {
            href: self.address.with(&[("lang", language.code())]).link(),
            label: label.to_owned(),
            is_current: language == self.language,
        };
        all.into_iter().map(link).collect()
    }

    /// The switch of colours.
    pub(crate) fn themes(&self) -> Vec<Link> {
        let link = |theme: Theme| Link {
            href: self.address.with(&[("theme", theme.code())]).link(),
            label: self.language.text(match theme {
                Theme::System => "theme-system",
                Theme::Light => "theme-light",
                Theme::Dark => "theme-dark",
            }),
            is_current: theme == self.theme,
        };
        Theme::ALL.into_iter().map(link).collect()
    }
}

/// A page of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    /// What was used at a glance; of a member its own usage.
    Overview,
    /// By member.
    Users,
    /// By model and by provider.
    Models,
    /// What the seats cost.
    Subscription,
    /// What models cost.
    Pricing,
    /// Limits, gateway keys and the provider key.
    Limits,
    /// Who belongs to it.
    Members,
    /// What was billed.
    Statements,
    /// What is told without being asked, and what stands out.
    Alerts,
    /// Files.
    Exports,
    /// Who changed what.
    Audit,
    /// Its name, its terms and how its Open WebUI is set up.
    Settings,
}

impl Tab {
    /// All of them, in the order of the tabs.
    pub(crate) const ALL: [Self; 12] = [
        Self::Overview,
        Self::Users,
        Self::Models,
        Self::Subscription,
        Self::Pricing,
        Self::Limits,
        Self::Members,
        Self::Statements,
        Self::Alerts,
        Self::Exports,
        Self::Audit,
        Self::Settings,
    ];

    /// Whether a member may see it.
    pub(crate) const fn is_for_members(self) -> bool {
        matches!(self, Self::Overview | Self::Pricing)
    }

    const fn segment(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Users => "/users",
            Self::Models => "/models",
            Self::Subscription => "/subscription",
            Self::Pricing => "/pricing",
            Self::Limits => "/limits",
            Self::Members => "/members",
            Self::Statements => "/statements",
            Self::Alerts => "/alerts",
            Self::Exports => "/exports",
            Self::Audit => "/audit-log",
            Self::Settings => "/settings",
        }
    }

    /// The text of the tab.
    pub(crate) const fn label(self, is_member: bool) -> &'static str {
        match self {
            Self::Overview if is_member => "tab-own",
            Self::Overview => "tab-overview",
            Self::Users => "tab-users",
            Self::Models => "tab-models",
            Self::Subscription => "tab-subscription",
            Self::Pricing => "tab-pricing",
            Self::Limits => "tab-limits",
            Self::Members => "tab-members",
            Self::Statements => "tab-statements",
            Self::Alerts => "tab-alerts",
            Self::Exports => "tab-exports",
            Self::Audit => "tab-audit",
            Self::Settings => "tab-settings",
        }
    }

    /// Where it is.
    pub(crate) fn path(self, organization: &OrganizationId) -> String {
        format!("/organizations/{}{}", encoded_part(organization.as_str()), self.segment())
    }
}

/// A page of the reseller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResellerTab {
    /// All organizations.
    Organizations,
    /// What was billed, and closing a month.
    Statements,
    /// Generations whose cost is not known yet.
    Generations,
    /// What is told without being asked, and what stands out.
    Alerts,
    /// The daily runs.
    Runs,
    /// How the service is.
    Health,
    /// Who changed what.
    Audit,
    /// Accounts and tokens.
    Access,
    /// How the service is set up.
    Settings,
}

impl ResellerTab {
    /// All of them, in the order of the tabs.
    pub(crate) const ALL: [Self; 9] = [
        Self::Organizations,
        Self::Statements,
        Self::Generations,
        Self::Alerts,
        Self::Runs,
        Self::Health,
        Self::Audit,
        Self::Access,
        Self::Settings,
    ];

    /// Where it is.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Organizations => "/organizations",
            Self::Statements => "/reseller/statements",
            Self::Generations => "/reseller/generations",
            Self::Alerts => "/reseller/alerts",
            Self::Runs => "/reseller/runs",
            Self::Health => "/reseller/health",
            Self::Audit => "/reseller/audit-log",
            Self::Access => "/reseller/access",
            Self::Settings => "/reseller/settings",
        }
    }

    /// The text of the tab.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Statements => "tab-statements",
            Self::Generations => "tab-generations",
            Self::Alerts => "tab-alerts",
            Self::Runs => "tab-runs",
            Self::Health => "tab-health",
            Self::Audit => "tab-audit",
            Self::Access => "tab-access",
            Self::Settings => "tab-settings",
        }
    }
}
