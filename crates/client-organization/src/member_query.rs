//! Which members a list shows.

use diesel::prelude::*;
use mai_primitives::OrganizationId;
use mai_storage::DbConnection;

use crate::{
    error::Result,
    members::{MemberModel, MemberRole, MemberSource},
    schema::members,
};

/// Which members to list.
#[derive(Debug, Clone, Default)]
pub struct MemberQuery {
    /// Only those with this in the name, the address or the id, whatever the case of the letters.
    pub search: Option<String>,
    /// Only those who may see this much.
    pub role: Option<MemberRole>,
    /// Only active ones, or only inactive ones.
    pub is_active: Option<bool>,
    /// Only those whom we know from there.
    pub source: Option<MemberSource>,
}

impl MemberQuery {
    /// The members, by user id.
    pub(crate) fn run(
        &self,
        conn: &mut DbConnection,
        organization: &OrganizationId,
    ) -> Result<Vec<MemberModel>> {
        let mut rows = members::table
            .filter(members::client_org_id.eq(organization))
            .order(members::user_id)
            .select(MemberModel::as_select())
            .into_boxed();
        if let Some(role) = self.role {
            rows = rows.filter(members::role.eq(role));
        }
        if let Some(is_active) = self.is_active {
            rows = rows.filter(members::is_active.eq(is_active));
        }
        if let Some(source) = self.source {
            rows = rows.filter(members::source.eq(source));
        }
        let mut rows: Vec<MemberModel> = rows.load(conn)?;
        // Not in SQL, because SQLite knows only the case of ASCII letters.
        if let Some(wanted) = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            let wanted = wanted.to_lowercase();
            rows.retain(|row| is_found(row, &wanted));
        }
        Ok(rows)
    }
}

fn is_found(row: &MemberModel, wanted: &str) -> bool {
    let texts = [row.name.as_deref(), row.email.as_deref(), Some(row.user_id.as_str())];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(wanted))
}
