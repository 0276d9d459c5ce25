//! What a consent is: to what, on which ground, since when, and how that can be shown.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use validator::{Validate, ValidationError};

use crate::channels::ChannelType;
use crate::db::json::Jsonb;
use crate::journal::TouchpointActor;
use crate::schema::{consent_events, consents};

crate::text_enum! {
    /// What the company wants to do.
    pub enum ConsentPurpose {
        /// Advertise.
        Marketing = "marketing",
        /// Tell about an order or a contract.
        Transactional = "transactional",
        /// Tell about what the customer uses.
        Service = "service",
        /// Measure what people do.
        Analytics = "analytics",
        /// Judge a person by what they did.
        Profiling = "profiling",
    }
}

crate::text_enum! {
    /// Why the company may do it (GDPR, article 6).
    pub enum LawfulBasis {
        Consent = "consent",
        Contract = "contract",
        LegalObligation = "legal_obligation",
        VitalInterests = "vital_interests",
        PublicTask = "public_task",
        LegitimateInterests = "legitimate_interests",
    }
}

crate::text_enum! {
    /// What the customer says to it.
    pub enum ConsentState {
        /// Nothing yet.
        Unknown = "unknown",
        /// Asked to confirm (double opt-in).
        Pending = "pending",
        Granted = "granted",
        /// Said no from the beginning.
        Denied = "denied",
        /// Said no later.
        Withdrawn = "withdrawn",
        /// Granted until a time that is over.
        Expired = "expired",
    }
}

crate::text_enum! {
    /// What callers may record; `expired` comes by itself.
    pub enum SettableConsentState {
        Granted = "granted",
        /// Asked to confirm: the answer has the token for the message (double opt-in).
        Pending = "pending",
        Denied = "denied",
        Withdrawn = "withdrawn",
        /// Nothing was said; another basis than consent is recorded.
        Unknown = "unknown",
    }
}

crate::text_enum! {
    /// How it was said.
    pub enum ConsentMethod {
        /// Somebody recorded it over the API.
        Api = "api",
        /// It came with an import.
        Import = "import",
        /// The person confirmed it with the token that was sent.
        DoubleOptIn = "double_opt_in",
        /// The person unsubscribed with one click (RFC 8058).
        OneClick = "one_click",
        /// The person chose it in the preference centre.
        PreferenceCenter = "preference_center",
        /// Nobody said anything: its time was over.
        Expiry = "expiry",
    }
}

impl From<SettableConsentState> for ConsentState {
    fn from(state: SettableConsentState) -> Self {
        match state {
            SettableConsentState::Granted => Self::Granted,
            SettableConsentState::Pending => Self::Pending,
            SettableConsentState::Denied => Self::Denied,
            SettableConsentState::Withdrawn => Self::Withdrawn,
            SettableConsentState::Unknown => Self::Unknown,
        }
    }
}

impl ConsentState {
    /// Whether the customer said no.
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Denied | Self::Withdrawn)
    }
}

impl ConsentPurpose {
    /// What it rests on where nobody says otherwise.
    pub fn usual_basis(self) -> LawfulBasis {
        match self {
            Self::Marketing | Self::Analytics | Self::Profiling => LawfulBasis::Consent,
            Self::Transactional => LawfulBasis::Contract,
            Self::Service => LawfulBasis::LegitimateInterests,
        }
    }
}

/// How it can be shown that the customer said so (GDPR, article 7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentEvidence {
    /// The address it came from.
    #[validate(custom(function = "ip_address"))]
    #[schema(example = "203.0.113.7", max_length = 45)]
    pub ip: Option<String>,
    /// The browser or app it came from.
    #[validate(length(max = 1000))]
    #[schema(max_length = 1000)]
    pub user_agent: Option<String>,
    /// The form that was filled in.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "newsletter_footer", min_length = 1, max_length = 100)]
    pub form_id: Option<String>,
    /// What the customer was told, word for word.
    #[validate(length(min = 1, max = 4000))]
    #[schema(example = "Yes, send me the newsletter.", min_length = 1, max_length = 4000)]
    pub text: Option<String>,
    /// Which version of that text it was.
    #[validate(length(min = 1, max = 100))]
    #[schema(example = "2026-03", min_length = 1, max_length = 100)]
    pub text_version: Option<String>,
    /// Where a signed form, a recording or a picture is kept.
    #[validate(custom(function = "crate::values::valid::url"), length(max = 2000))]
    #[schema(max_length = 2000)]
    pub document_url: Option<String>,
}

impl ConsentEvidence {
    /// Whether it shows what was agreed to; where somebody sat does not.
    pub fn shows_agreement(&self) -> bool {
        self.form_id.is_some() || self.text.is_some() || self.document_url.is_some()
    }
}

/// For `#[validate]`: an IPv4 or IPv6 address.
fn ip_address(text: &str) -> Result<(), ValidationError> {
    let is_address = text.parse::<IpAddr>().is_ok();
    let expected = "must be an IPv4 or IPv6 address";
    if is_address { Ok(()) } else { Err(fault("invalid_ip", expected)) }
}

fn fault(code: &'static str, expected: &'static str) -> ValidationError {
    ValidationError::new(code).with_message(expected.into())
}

/// When a consent was asked for and confirmed by message.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, ToSchema,
)]
#[diesel(table_name = consents)]
pub struct DoubleOptIn {
    /// When the customer was last asked to confirm.
    #[diesel(column_name = double_opt_in_sent_at)]
    pub sent_at: Option<DateTime<Utc>>,
    /// When the customer last confirmed.
    #[diesel(column_name = double_opt_in_confirmed_at)]
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// What a customer says to one purpose on one type of channel.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Serialize, ToSchema)]
#[diesel(table_name = consents)]
pub struct Consent {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The customer it belongs to now.
    pub customer_id: Uuid,
    /// The customer who said it; a merge never changes it.
    pub origin_customer_id: Uuid,
    /// Where.
    pub channel_type: ChannelType,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what; null is everything that has no consent of its own.
    #[schema(example = "climbing")]
    pub topic: Option<String>,
    /// What the customer says to it.
    #[schema(example = "granted")]
    pub state: ConsentState,
    /// Why the company may do it.
    pub lawful_basis: LawfulBasis,
    /// Whether it is advertising for what the customer bought before, without asking first.
    pub soft_opt_in: bool,
    /// How it was said.
    pub method: ConsentMethod,
    /// Where it came from.
    #[schema(example = "shop")]
    pub source: Option<String>,
    /// How it can be shown.
    #[schema(value_type = Option<ConsentEvidence>)]
    pub evidence: Option<Jsonb<ConsentEvidence>>,
    /// When it was asked for and confirmed by message.
    #[diesel(embed)]
    pub double_opt_in: DoubleOptIn,
    /// When it was last granted.
    pub granted_at: Option<DateTime<Utc>>,
    /// When it was last withdrawn.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Until when it is granted; null is without end.
    pub expires_at: Option<DateTime<Utc>>,
    /// The event that decides.
    pub event_id: Uuid,
    /// When that was decided.
    pub decided_at: DateTime<Utc>,
    /// How many events there are.
    pub version: i64,
    /// When the first of them was recorded.
    pub created_at: DateTime<Utc>,
    /// When the last of them was recorded.
    pub updated_at: DateTime<Utc>,
}

/// One entry of the ledger: what a customer said, never changed afterwards.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Serialize, ToSchema)]
#[diesel(table_name = consent_events)]
pub struct ConsentEvent {
    /// Unique id, a UUIDv7.
    pub id: Uuid,
    /// The consent it belongs to.
    pub consent_id: Uuid,
    /// The customer who said it; a merge never changes it.
    pub origin_customer_id: Uuid,
    /// Where.
    pub channel_type: ChannelType,
    /// What for.
    pub purpose: ConsentPurpose,
    /// About what; null is everything that has no consent of its own.
    #[schema(example = "climbing")]
    pub topic: Option<String>,
    /// What the customer said to it.
    #[schema(example = "granted")]
    pub state: ConsentState,
    /// Why the company may do it.
    pub lawful_basis: LawfulBasis,
    /// Whether it is advertising for what the customer bought before, without asking first.
    pub soft_opt_in: bool,
    /// How it was said.
    pub method: ConsentMethod,
    /// Where it came from.
    #[schema(example = "shop")]
    pub source: Option<String>,
    /// How it can be shown.
    #[schema(value_type = Option<ConsentEvidence>)]
    pub evidence: Option<Jsonb<ConsentEvidence>>,
    /// Who recorded it.
    #[schema(value_type = TouchpointActor)]
    pub actor: Value,
    /// When it was said, which for imports is long before it was recorded.
    pub occurred_at: DateTime<Utc>,
    /// When it was recorded.
    pub recorded_at: DateTime<Utc>,
    /// Until when it is granted; null is without end.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its position among the events of the consent, in the order of recording.
    pub version: i64,
}
