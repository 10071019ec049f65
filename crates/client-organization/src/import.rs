//! Lists of members from elsewhere: a CSV file, or the user registry of an Open WebUI.
//!
//! A list adds and changes, and takes nothing away that it does not mention: what it leaves open stays
//! as it is. Whoever is missing in it becomes inactive only where the import asks for that, and only
//! those who came from the same source; their usage stays in any case.

pub mod csv;

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use mai_audit_log::{Details, NewEntry, append};
use mai_primitives::{OrganizationId, UnixTime, UserId};
use mai_storage::DbConnection;

use crate::{
    error::{Error, Result},
    external_ids::{begin_change, is_of_nobody, members_called},
    members::{MemberModel, MemberRole, MemberSource, MemberTable, map_new, members_of, replace_members},
    query::require_organization,
    register::clean,
    validate,
};

/// The most members that a list may have.
pub const MAX_LISTED: usize = 100_000;

/// A member as a list has it, word for word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedMember {
    /// Where in the list: the line of a file, else the number of the entry, from 1 on.
    pub line: u64,
    /// The member's id.
    pub user_id: String,
    /// What people call the member; empty leaves it open.
    pub name: String,
    /// The member's address; empty leaves it open.
    pub email: String,
    /// `admin`, `member` (or `user`, as Open WebUI has it) or `pending`; empty leaves it open, which
    /// means `member` for a new one.
    pub role: String,
    /// `true` or `false` (or 1, 0, yes, no); empty leaves it open, which means true for a new one.
    pub active: String,
    /// Since when the source knows the member.
    pub joined_at: Option<UnixTime>,
}

/// A list of members of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberList {
    /// Where it comes from.
    pub source: MemberSource,
    /// The entries that could be read.
    pub members: Vec<ListedMember>,
    /// Those that could not.
    pub refused: Vec<Refusal>,
}

/// How a list is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The list is complete: members of the same source who are missing in it become inactive, and those
    /// who are back become active.
    pub deactivate_missing: bool,
    /// Nothing is changed; the report says what would be.
    pub dry_run: bool,
}

/// An entry that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where in the list it stands.
    pub line: u64,
    /// Whose entry it is, as the list has it.
    pub user_id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What an import did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Whether it was done: not for a dry run, and not for a file with a bad line.
    pub applied: bool,
    /// Entries of the list.
    pub listed: usize,
    /// Members who were not known.
    pub new: usize,
    /// Members of whom something was changed.
    pub changed: usize,
    /// Members who are known just so.
    pub unchanged: usize,
    /// Entries whose id is a further id of a member who is registered under another one; they are left out.
    pub merged: usize,
    /// Members who are missing in the list and became inactive.
    pub deactivated: usize,
    /// Entries that were not taken. A file with one of them is not taken at all.
    pub refused: Vec<Refusal>,
}

/// An entry whose words are good.
struct Checked {
    user_id: UserId,
    name: Option<String>,
    email: Option<String>,
    role: Option<MemberRole>,
    is_active: Option<bool>,
    joined_at: Option<UnixTime>,
}

/// What has to be written, and the report about it.
struct Work {
    /// New and changed members, by user id.
    rows: Vec<MemberModel>,
    report: ImportReport,
}

impl MemberTable {
    /// Takes a list of members, in one transaction, and reports what became of it. A list that is refused
    /// as a whole is an error: one of more than [`MAX_LISTED`], an empty one with `deactivate_missing`, and
    /// one of an unknown organization.
    pub async fn import(
        &self,
        organization: &OrganizationId,
        list: MemberList,
        options: ImportOptions,
    ) -> Result<ImportReport> {
        let import = Import::new(organization, list, options, self.clock.now().into())?;
        let (import, first) = self
            .storage
            .read(move |conn| {
                require_organization(conn, &import.organization)?;
                let report = import.compare(conn)?.report;
                Ok::<_, Error>((import, report))
            })
            .await?;
        // The usual result of a list that is taken every hour leaves no trace.
        if !import.is_to_be_written() || first.new + first.changed + first.deactivated == 0 {
            return Ok(ImportReport { applied: import.is_to_be_written(), ..first });
        }
        let actor = self.actor.clone();
        self.storage
            .write(move |conn| {
                begin_change(conn, &import.organization)?;
                let work = import.compare(conn)?;
                work.write(conn, &import)?;
                let entry =
                    NewEntry::done(Some(&import.organization), "member.import", import.source.as_str());
                append(conn, &actor, import.now, &entry.with(work.report.details()))?;
                Ok(ImportReport { applied: true, ..work.report })
            })
            .await
    }
}

/// A list that is about to be taken.
struct Import {
    organization: OrganizationId,
    source: MemberSource,
    options: ImportOptions,
    now: UnixTime,
    entries: BTreeMap<UserId, Checked>,
    /// Everybody whom the list names, also by an entry that was refused.
    named: BTreeSet<String>,
    listed: usize,
    refused: Vec<Refusal>,
}

impl Import {
    fn new(
        organization: &OrganizationId,
        list: MemberList,
        options: ImportOptions,
        now: UnixTime,
    ) -> Result<Self> {
        let MemberList { source, members, mut refused } = list;
        let listed = members.len() + refused.len();
        if listed > MAX_LISTED {
            return Err(Error::invalid("members", format!("must be at most {MAX_LISTED}")));
        }
        if listed == 0 && options.deactivate_missing {
            return Err(Error::invalid("members", "must not be empty where missing ones become inactive"));
        }
        let (mut entries, mut named) = (BTreeMap::new(), BTreeSet::new());
        for entry in members {
            let (line, user_id) = (entry.line, entry.user_id.trim().to_owned());
            let reason = match check(organization, source, &entry, now) {
                Ok(checked) => match entries.entry(checked.user_id.clone()) {
                    Entry::Vacant(place) => {
                        place.insert(checked);
                        None
                    }
                    Entry::Occupied(_) => Some("the user id is there twice".to_owned()),
                },
                Err(reason) => Some(reason),
            };
            refused.extend(reason.map(|reason| Refusal { line, user_id: user_id.clone(), reason }));
            named.insert(user_id);
        }
        named.extend(refused.iter().map(|one| one.user_id.clone()));
        refused.sort_by_key(|one| one.line);
        Ok(Self { organization: organization.clone(), source, options, now, entries, named, listed, refused })
    }

    /// A file has one author, who can repair it. A registry is somebody else's, and one odd entry must
    /// not hold up all others.
    fn is_to_be_written(&self) -> bool {
        !self.options.dry_run && (self.source != MemberSource::Csv || self.refused.is_empty())
    }

    fn compare(&self, conn: &mut DbConnection) -> Result<Work> {
        let called = members_called(conn, &self.organization, self.entries.keys().map(UserId::as_str))?;
        let known: BTreeMap<UserId, MemberModel> = members_of(conn, &self.organization)?
            .into_iter()
            .map(|member| (member.user_id.clone(), member))
            .collect();
        let mut report =
            ImportReport { listed: self.listed, refused: self.refused.clone(), ..ImportReport::default() };
        let mut rows = Vec::new();
        for entry in self.entries.values() {
            if called.contains_key(entry.user_id.as_str()) {
                report.merged += 1;
                continue;
            }
            let row = match known.get(&entry.user_id) {
                None => {
                    report.new += 1;
                    self.new_member(entry)
                }
                Some(old) => match self.changed_member(entry, old) {
                    None => {
                        report.unchanged += 1;
                        continue;
                    }
                    Some(row) => {
                        report.changed += 1;
                        row
                    }
                },
            };
            rows.push(row);
        }
        if self.options.deactivate_missing {
            let missing = known.into_values().filter(|member| {
                member.is_active
                    && member.source == self.source
                    && !self.named.contains(member.user_id.as_str())
            });
            let missing = missing.map(|old| MemberModel { is_active: false, updated_at: self.now, ..old });
            let before = rows.len();
            rows.extend(missing);
            report.deactivated = rows.len() - before;
            rows.sort_by(|a, b| a.user_id.cmp(&b.user_id));
        }
        Ok(Work { rows, report })
    }

    fn new_member(&self, entry: &Checked) -> MemberModel {
        MemberModel {
            client_org_id: self.organization.clone(),
            user_id: entry.user_id.clone(),
            name: entry.name.clone(),
            email: entry.email.clone(),
            role: entry.role.unwrap_or(MemberRole::Member),
            source: self.source,
            is_active: entry.is_active.unwrap_or(true),
            created_at: entry.joined_at.unwrap_or(self.now),
            updated_at: self.now,
        }
    }

    /// The member as it shall be; none where it is so already.
    fn changed_member(&self, entry: &Checked, old: &MemberModel) -> Option<MemberModel> {
        let is_back = self.options.deactivate_missing.then_some(true);
        let new = MemberModel {
            name: entry.name.clone().or_else(|| old.name.clone()),
            email: entry.email.clone().or_else(|| old.email.clone()),
            role: entry.role.unwrap_or(old.role),
            source: self.source,
            is_active: entry.is_active.or(is_back).unwrap_or(old.is_active),
            created_at: entry.joined_at.map_or(old.created_at, |joined| joined.min(old.created_at)),
            ..old.clone()
        };
        (new != *old).then_some(MemberModel { updated_at: self.now, ..new })
    }
}

impl Work {
    fn write(&self, conn: &mut DbConnection, import: &Import) -> Result<()> {
        replace_members(conn, &self.rows)?;
        let active = self.rows.iter().filter(|row| row.is_active);
        map_new(conn, &import.organization, active.map(|row| row.user_id.clone()), import.now)
    }
}

impl ImportReport {
    fn details(&self) -> Details {
        Details::none()
            .with("new", self.new)
            .with("changed", self.changed)
            .with("deactivated", self.deactivated)
            .with("refused", self.refused.len())
    }
}

/// An entry as it is taken, or what is wrong with it.
fn check(
    organization: &OrganizationId,
    source: MemberSource,
    entry: &ListedMember,
    now: UnixTime,
) -> Result<Checked, String> {
    let user_id = UserId::new(entry.user_id.trim()).map_err(|error| error.to_string())?;
    if is_of_nobody(organization, &user_id).map_err(|error| error.to_string())? {
        return Err(format!("`{user_id}` stands for nobody"));
    }
    let (name, email) = if source == MemberSource::Csv {
        let name = filled(&entry.name).map(validate::name).transpose();
        let email = filled(&entry.email).map(|text| validate::email("email", text)).transpose();
        (name.map_err(|error| error.to_string())?, email.map_err(|error| error.to_string())?)
    } else {
        // Whatever another system lets people be called is no reason not to know them.
        (clean(Some(&entry.name)), clean(Some(&entry.email)))
    };
    Ok(Checked {
        user_id,
        name,
        email,
        role: filled(&entry.role).map(role).transpose()?,
        is_active: filled(&entry.active).map(truth).transpose()?,
        // A clock that was wrong then must not make somebody a member of the future.
        joined_at: entry.joined_at.filter(|joined| joined.seconds() > 0 && *joined <= now),
    })
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Our roles, and Open WebUI's.
fn role(text: &str) -> Result<MemberRole, String> {
    match text.to_ascii_lowercase().as_str() {
        "user" => Ok(MemberRole::Member),
        other => other.parse().map_err(|_| format!("role: `{text}` is not admin, member, user or pending")),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(format!("active: `{text}` is not true or false")),
    }
}
