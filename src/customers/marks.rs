//! What an identity is before anybody has it: read, checked and brought to the form that compares.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::error::{Error, FieldError, Result};
use crate::external_ids::ExternalId;
use crate::values::{Email, Phone};

crate::text_enum! {
    /// What kind of mark a customer is recognised by.
    pub enum IdentityType {
        Email = "email",
        Phone = "phone",
        /// The id of a login in the company's own shop or app.
        UserId = "user_id",
        /// The id a browser or app made up before anybody signed in.
        AnonymousId = "anonymous_id",
        DeviceId = "device_id",
        Cookie = "cookie",
        /// The id in an outside system, named by `source`.
        External = "external",
        /// The handle in a social network, named by `source`.
        Social = "social",
    }
}

impl IdentityType {
    fn has_source(self) -> bool {
        matches!(self, Self::External | Self::Social)
    }

    /// How far a match can be trusted, highest first.
    pub fn strength(self) -> u8 {
        match self {
            Self::UserId | Self::External => 3,
            Self::Email | Self::Phone => 2,
            Self::Social => 1,
            Self::AnonymousId | Self::DeviceId | Self::Cookie => 0,
        }
    }
}

/// A mark to attach to a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// What kind of mark it is.
    pub r#type: IdentityType,
    /// The outside system or social network; for `external` and `social` only.
    #[validate(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    pub source: Option<String>,
    /// The mark itself.
    #[validate(length(min = 1, max = 512))]
    #[schema(example = "ada@shop.example.com", min_length = 1, max_length = 512)]
    pub value: String,
    /// Whether somebody proved that it is theirs.
    #[serde(default)]
    pub is_verified: bool,
}

/// An identity in the form in which it is compared and stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    pub kind: IdentityType,
    pub source: Option<String>,
    pub value: String,
    pub norm: String,
    pub is_verified: bool,
    pub is_primary: bool,
    /// Where it stood in the request, for refusals.
    pub pointer: String,
}

/// What two identities are compared by.
pub type MarkKey = (IdentityType, String);

impl Mark {
    /// Reads an identity; the error says what its type expects.
    pub fn parse(
        kind: IdentityType,
        source: Option<&str>,
        value: &str,
    ) -> Result<Self, FieldError> {
        let fault = |code, detail: &str| Err(FieldError::at("#/value", code, detail));
        if kind.has_source() != source.is_some() {
            let detail =
                "`source` names the system of an `external` or the network of a `social` identity";
            return Err(FieldError::at("#/source", "invalid_source", detail));
        }
        let norm = match kind {
            IdentityType::Email => match Email::parse(value) {
                Some(email) => email.norm,
                None => return fault("invalid_email", "`value` is not an email address"),
            },
            IdentityType::Phone => match Phone::parse(value, None) {
                Some(phone) => phone.e164,
                None => {
                    return fault(
                        "invalid_phone",
                        "`value` is not a phone number with country code",
                    );
                }
            },
            _ if value.trim().is_empty() => return fault("required", "`value` is blank"),
            _ => value.trim().to_owned(),
        };
        let norm = source.map_or(norm.clone(), |source| qualified(source, &norm));
        let (source, value) = (source.map(str::to_owned), value.trim().to_owned());
        let pointer = "#/value".to_owned();
        Ok(Self { kind, source, value, norm, is_verified: false, is_primary: false, pointer })
    }

    pub fn external(reference: &ExternalId) -> Self {
        Self {
            kind: IdentityType::External,
            source: Some(reference.source.clone()),
            value: reference.id.clone(),
            norm: qualified(&reference.source, &reference.id),
            is_verified: false,
            is_primary: false,
            pointer: "#/external_ids".to_owned(),
        }
    }

    /// The same mark, read at another place of the request.
    pub fn from(self, pointer: &str) -> Self {
        Self { pointer: pointer.to_owned(), ..self }
    }

    pub fn primary(mut self) -> Self {
        self.is_primary = true;
        self
    }

    pub fn key(&self) -> MarkKey {
        (self.kind, self.norm.clone())
    }
}

/// What one person has one of: a login, and an id in each outside system. Whoever has another one is
/// somebody else. None for marks of which people have several, or which they share.
pub fn slot((kind, norm): &MarkKey) -> Option<(IdentityType, &str)> {
    match kind {
        IdentityType::UserId => Some((*kind, "")),
        // A `:` in the system's name is escaped.
        IdentityType::External => Some((*kind, norm.split_once(':')?.0)),
        _ => None,
    }
}

/// A value and the system it belongs to; a `:` in the system's name cannot end it.
fn qualified(source: &str, value: &str) -> String {
    format!("{}:{value}", source.replace('%', "%25").replace(':', "%3A"))
}

impl NewIdentity {
    pub(super) fn mark(&self) -> Result<Mark, FieldError> {
        let mut mark = Mark::parse(self.r#type, self.source.as_deref(), &self.value)?;
        mark.is_verified = self.is_verified;
        Ok(mark)
    }
}

/// Every mark that a new customer brings, each once. Reports faults at their place in the body.
pub fn marks(
    email: Option<&str>,
    phone: Option<&str>,
    external_ids: &[ExternalId],
    others: &[NewIdentity],
) -> Result<Vec<Mark>> {
    let invalid = |fault: FieldError, at: &str| {
        let relocated = FieldError { pointer: Some(at.to_owned()), ..fault };
        Error::invalid(vec![relocated])
    };
    let mut found: Vec<Mark> = Vec::new();
    for (kind, value, at) in
        [(IdentityType::Email, email, "#/email"), (IdentityType::Phone, phone, "#/phone")]
    {
        if let Some(value) = value {
            let mark = Mark::parse(kind, None, value).map_err(|fault| invalid(fault, at))?;
            found.push(mark.primary().from(at));
        }
    }
    for (position, reference) in external_ids.iter().enumerate() {
        found.push(Mark::external(reference).from(&format!("#/external_ids/{position}")));
    }
    for (position, other) in others.iter().enumerate() {
        let at = format!("#/identities/{position}");
        let mark = other.mark().map_err(|fault| Error::invalid(vec![fault.under(&at)]))?;
        match found.iter_mut().find(|known| known.key() == mark.key()) {
            Some(known) => known.is_verified |= mark.is_verified,
            None => found.push(mark.from(&format!("{at}/value"))),
        }
    }
    Ok(found)
}
