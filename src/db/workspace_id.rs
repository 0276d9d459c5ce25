//! The id that every statement is scoped by.

use std::fmt;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{Output, ToSql};
use diesel::{deserialize::FromSql, sql_types};
use uuid::Uuid;

/// A workspace that a credential has opened. Only the kernel makes one, from a verified credential
/// or from a row it read, so a query that starts from `of(conn.workspace)` cannot be pointed at
/// another workspace by a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Uuid)]
pub struct WorkspaceId(Uuid);

impl WorkspaceId {
    /// Comes before all others; it has the work that belongs to none of them.
    pub const FIRST: Self = Self(Uuid::nil());

    /// What comes right after this one in the order of ids.
    pub fn next(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().wrapping_add(1)))
    }

    /// Trusts `id`: for the kernel only (a test over the sources keeps it so).
    pub(crate) fn trusted(id: Uuid) -> Self {
        Self(id)
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql<sql_types::Uuid, Pg> for WorkspaceId {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<sql_types::Uuid, Pg> for WorkspaceId {
    fn from_sql(value: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        <Uuid as FromSql<sql_types::Uuid, Pg>>::from_sql(value).map(Self)
    }
}
