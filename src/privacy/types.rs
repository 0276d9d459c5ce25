//! What a data request is: who asks what, until when it must be answered, and how far it is.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use validator::Validate;

use crate::consents::ConsentPurpose;
use crate::db::json::RawJson;
use crate::http::{AnyOf, Versioned};
use crate::journal::TouchpointActor;
use crate::schema::data_requests;

/// How long a company may take (GDPR, article 12(3): one month).
pub const ANSWERED_WITHIN: TimeDelta = TimeDelta::days(30);
/// By how much that may be extended, once (the same: two further months).
pub const EXTENDED_BY: TimeDelta = TimeDelta::days(60);

crate::text_enum! {
    /// What a customer asks (GDPR, articles 15 to 21).
    pub enum DataRequestKind {
        /// To see all that is known about them (15).
        Access = "access",
        /// To have it in a form that others can read (20).
        Portability = "portability",
        /// To have something put right (16).
        Rectification = "rectification",
        /// To be forgotten (17).
        Erasure = "erasure",
        /// To have the data kept and nothing else done with it (18).
        Restriction = "restriction",
        /// That something is no longer done (21).
        Objection = "objection",
    }
}

crate::text_enum! {
    /// How far a data request is.
    pub enum DataRequestStatus {
        Received = "received",
        /// It is being found out whether it is really the customer who asks.
        Verifying = "verifying",
        Processing = "processing",
        Completed = "completed",
        Rejected = "rejected",
    }
}

impl DataRequestKind {
    /// Whether the answer is an archive.
    pub fn has_archive(self) -> bool {
        matches!(self, Self::Access | Self::Portability)
    }
}

/// What a customer asks about their own data.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DataRequest {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// Who asks. An erasure leaves this id and nothing else.
    pub customer_id: Uuid,
    /// What they ask.
    pub kind: DataRequestKind,
    /// How far it is.
    pub status: DataRequestStatus,
    /// What else is to be known about it.
    pub note: Option<String>,
    /// What an objection is about.
    pub purposes: Vec<ConsentPurpose>,
    /// Who recorded it.
    #[schema(value_type = TouchpointActor)]
    pub actor: RawJson,
    /// When the customer asked.
    pub received_at: DateTime<Utc>,
    /// Until when it must be answered: 30 days, or 90 where it was extended.
    pub due_at: DateTime<Utc>,
    /// Why it takes longer; null where it does not.
    pub extension_reason: Option<String>,
    /// Why it was rejected.
    pub rejection_reason: Option<String>,
    /// When it was certain that it is the customer who asks.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it was completed or rejected.
    pub completed_at: Option<DateTime<Utc>>,
    /// When a restriction ended.
    pub lifted_at: Option<DateTime<Utc>>,
    /// The archive that answers it, while there is one.
    pub archive: Option<DataArchive>,
    /// Where the certificate of an erasure is.
    #[schema(example = "/v1/data_requests/0192f0c1-2a3b-7c4d-8e5f-60718293a4b5/certificate")]
    pub certificate_url: Option<String>,
    /// Rises by one with every change; the `ETag`.
    pub version: i64,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Everything about one customer, as a ZIP file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DataArchive {
    /// Size of the file in bytes.
    pub bytes: i64,
    /// SHA-256 of the file, in hexadecimal.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// Until when it can be had.
    pub expires_at: DateTime<Utc>,
}

/// The stored columns of a data request.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = data_requests)]
pub struct Row {
    pub id: Uuid,
    pub customer_id: Uuid,
    pub kind: DataRequestKind,
    pub status: DataRequestStatus,
    note: Option<String>,
    pub purposes: Vec<ConsentPurpose>,
    actor: RawJson,
    received_at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    pub extension_reason: Option<String>,
    rejection_reason: Option<String>,
    verified_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    pub lifted_at: Option<DateTime<Utc>>,
    archive_bytes: Option<i64>,
    archive_sha256: Option<Vec<u8>>,
    pub archive_expires_at: Option<DateTime<Utc>>,
    pub link_expires_at: Option<DateTime<Utc>>,
    pub certificate: Option<RawJson>,
    pub version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for DataRequest {
    fn from(row: Row) -> Self {
        let archive = row.archive_sha256.zip(row.archive_bytes).zip(row.archive_expires_at);
        let has_certificate = row.certificate.is_some();
        Self {
            id: row.id,
            customer_id: row.customer_id,
            kind: row.kind,
            status: row.status,
            note: row.note,
            purposes: row.purposes,
            actor: row.actor,
            received_at: row.received_at,
            due_at: row.due_at,
            extension_reason: row.extension_reason,
            rejection_reason: row.rejection_reason,
            verified_at: row.verified_at,
            completed_at: row.completed_at,
            lifted_at: row.lifted_at,
            archive: archive.map(|((hash, bytes), expires_at)| DataArchive {
                bytes,
                sha256: crate::crypto::hex(&hash),
                expires_at,
            }),
            certificate_url: has_certificate
                .then(|| format!("{}/{}/certificate", Self::COLLECTION, row.id)),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl Versioned for DataRequest {
    const COLLECTION: &'static str = "/v1/data_requests";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> i64 {
        self.version
    }
}

/// A request to be recorded.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDataRequest {
    /// Who asks. Customers who were deleted can ask too.
    pub customer_id: Uuid,
    /// What they ask.
    pub kind: DataRequestKind,
    /// What else is to be known about it.
    #[validate(length(min = 1, max = 2000))]
    #[schema(example = "By letter", min_length = 1, max_length = 2000)]
    pub note: Option<String>,
    /// What an objection is about; `marketing` where absent.
    #[serde(default)]
    #[validate(length(max = 5))]
    #[schema(max_items = 5)]
    pub purposes: Vec<ConsentPurpose>,
    /// When the customer asked; now where absent.
    #[validate(custom(function = "crate::values::valid::time"))]
    pub received_at: Option<DateTime<Utc>>,
    /// Whether it is certain that it is the customer who asks. If so the request is processed at once,
    /// which for an erasure takes the scope `customers:erase`.
    #[serde(default)]
    pub is_verified: bool,
}

/// Why a request is rejected, or takes longer.
#[derive(Debug, Clone, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DataRequestReason {
    /// The reason, as the customer is told.
    #[validate(length(min = 1, max = 500))]
    #[schema(example = "We cannot tell whether it is you.", min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Which data requests to list; filters are combined with and.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DataRequestFilter {
    /// Those of this customer.
    pub customer_id: Option<Uuid>,
    /// Any of these kinds.
    #[serde(default)]
    #[param(value_type = Option<Vec<DataRequestKind>>, style = Form, explode = false)]
    pub kind: AnyOf<DataRequestKind>,
    /// Any of these statuses.
    #[serde(default)]
    #[param(value_type = Option<Vec<DataRequestStatus>>, style = Form, explode = false)]
    pub status: AnyOf<DataRequestStatus>,
    /// Those that must be answered by then.
    pub due_at_lte: Option<DateTime<Utc>>,
}

/// What was done to forget a customer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErasureCertificate {
    /// The request.
    pub data_request_id: Uuid,
    /// Who was forgotten, with those that were merged into them.
    pub customer_ids: Vec<Uuid>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When all was done.
    pub erased_at: DateTime<Utc>,
    /// What there was, and what became of it.
    pub records: Vec<ErasedRecords>,
    /// How many answers that were kept for repeats, and notes of failed work, went with it.
    pub copies_deleted: i64,
    /// How many addresses will not be written to any more; their hashes are kept.
    pub addresses_suppressed: i64,
    /// How many identities cannot come back unless somebody readmits them; hashes are kept.
    pub identities_blocked: i64,
}

/// What became of one kind of records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErasedRecords {
    /// What they are.
    #[schema(example = "touchpoints")]
    pub kind: String,
    /// How many there were.
    pub count: i64,
    /// What became of them.
    pub treatment: super::registry::Treatment,
    /// Why they were kept; null where they were not.
    pub reason: Option<String>,
}
