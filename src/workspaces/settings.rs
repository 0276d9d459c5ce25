//! What a company decides about its workspace.

use crate::http::json::{never_null, null_empties};
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use url::Url;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

crate::text_enum! {
    /// When two records are taken for the same person without asking anybody.
    pub enum MergePolicy {
        /// Never; candidates are only suggested.
        Strict = "strict",
        /// When they share an identity that is verified.
        Verified = "verified",
        /// When they share any identity.
        Eager = "eager",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro that makes the enum knows no default")]
impl Default for MergePolicy {
    fn default() -> Self {
        Self::Verified
    }
}

/// The hours in which nobody is written to; they may reach over midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Beginning, in the local time of whoever would be written to.
    #[validate(custom(function = "time_of_day"))]
    #[schema(example = "21:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub from: String,
    /// End, in the same local time.
    #[validate(custom(function = "time_of_day"))]
    #[schema(example = "08:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub to: String,
}

/// What a company decides about its workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceSettings {
    /// When two records are taken for the same person.
    #[schema(example = "verified")]
    pub merge_policy: MergePolicy,
    /// The hours in which nobody is written to.
    #[validate(nested)]
    pub quiet_hours: Option<QuietHours>,
    /// Days for which touchpoints are kept; null keeps them.
    #[validate(range(min = 1, max = 36_500))]
    #[schema(minimum = 1, maximum = 36500)]
    pub retention_days: Option<i32>,
    /// Browser origins that may call the API, exactly as browsers send them.
    #[validate(length(max = 50), custom(function = "origins"))]
    #[schema(value_type = Vec<crate::values::items::Origin>, inline, max_items = 50, example = json!(["https://shop.example.com"]))]
    pub cors_origins: Vec<String>,
}

/// Changes to the settings.
#[derive(Debug, Clone, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceSettingsPatch {
    /// When two records are taken for the same person.
    #[serde(default, deserialize_with = "never_null")]
    #[schema(nullable = false)]
    pub merge_policy: Option<MergePolicy>,
    /// The hours in which nobody is written to.
    #[serde(default, with = "double_option")]
    #[validate(nested)]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// Days for which touchpoints are kept; null keeps them.
    #[serde(default, with = "double_option")]
    #[validate(range(min = 1, max = 36_500))]
    #[schema(minimum = 1, maximum = 36500)]
    pub retention_days: Option<Option<i32>>,
    /// Browser origins that may call the API; the list is replaced. Where several processes serve, a preflight
    /// of a new one may be refused for up to ten seconds.
    #[serde(default, deserialize_with = "null_empties")]
    #[validate(length(max = 50), custom(function = "origins"))]
    #[schema(value_type = Option<Vec<crate::values::items::Origin>>, inline, max_items = 50, example = json!(["https://shop.example.com"]))]
    pub cors_origins: Option<Vec<String>>,
}

impl WorkspaceSettings {
    /// The settings after a change.
    pub fn merged(mut self, patch: &WorkspaceSettingsPatch) -> Self {
        let WorkspaceSettingsPatch { merge_policy, quiet_hours, retention_days, cors_origins } =
            patch.clone();
        self.merge_policy = merge_policy.unwrap_or(self.merge_policy);
        self.quiet_hours = quiet_hours.unwrap_or(self.quiet_hours);
        self.retention_days = retention_days.unwrap_or(self.retention_days);
        self.cors_origins = cors_origins.unwrap_or(self.cors_origins);
        self
    }
}

/// For `#[validate]`: hours and minutes as in `08:30`.
pub fn time_of_day(text: &str) -> Result<(), ValidationError> {
    let is_time = text.len() == 5 && chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok();
    let expected = "must be a time of day such as `08:30`";
    if is_time { Ok(()) } else { Err(fault("invalid_time_of_day", expected)) }
}

fn origins(list: &[String]) -> Result<(), ValidationError> {
    if !list.iter().all(|text| is_origin(text)) {
        let expected = "takes origins as browsers send them, such as `https://shop.example.com`: \
                        lower case, no path, no default port";
        return Err(fault("invalid_origin", expected));
    }
    if list.iter().collect::<BTreeSet<_>>().len() < list.len() {
        return Err(fault("duplicate_origin", "must not contain an origin twice"));
    }
    Ok(())
}

/// Whether the text is the origin of a web page in the one spelling that browsers use.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        text.len() <= 255
            && !text.contains('*')
            && matches!(url.scheme(), "https" | "http")
            && url.origin().ascii_serialization() == text
    })
}

fn fault(code: &'static str, message: &'static str) -> ValidationError {
    ValidationError::new(code).with_message(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelled_as_browsers_spell_it() {
        for good in ["https://shop.example.com", "http://localhost:5173", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "shop.example.com",
            "https://shop.example.com/",
            "https://Shop.example.com",
            "https://shop.example.com:443",
            "https://user@shop.example.com",
            "https://*.example.com",
            "ftp://shop.example.com",
            "file:///etc/passwd",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        assert!(origins(&["https://a.example".into(), "https://a.example".into()]).is_err());
    }

    #[test]
    fn a_time_of_day_has_two_digits_each() {
        assert!(["00:00", "08:30", "23:59"].iter().all(|text| time_of_day(text).is_ok()));
        for bad in ["", "8:30", "24:00", "12:60", "12:00:00", "12.00", "1２:0"] {
            assert!(time_of_day(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_patch_of_settings_keeps_sets_and_clears() {
        let quiet = QuietHours { from: "21:00".into(), to: "08:00".into() };
        let before = WorkspaceSettings {
            quiet_hours: Some(quiet),
            retention_days: Some(30),
            ..WorkspaceSettings::default()
        };
        let patch = serde_json::json!({ "quiet_hours": null, "merge_policy": "eager" });
        let after = before.merged(&serde_json::from_value(patch).expect("a patch"));
        assert_eq!(after.quiet_hours, None);
        assert_eq!((after.merge_policy, after.retention_days), (MergePolicy::Eager, Some(30)));
    }
}
